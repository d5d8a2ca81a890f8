"""The page's server: opened on its port before anything is promised, closed with the adapter."""

import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapter.bus.admin import MonitorClient
from adapter.config import Config
from adapter.errors import BusError, ConfigError
from adapter.ops.metrics import Metrics
from adapter.ops.page import assets
from adapter.ops.page.api import Handlers
from adapter.ops.page.auth import PageAuth, access
from adapter.ops.page.broadcaster import MAX_PAGES, Broadcaster
from adapter.ops.page.follower import Follower
from adapter.ops.page.health import Health
from adapter.ops.page.middleware import Guard
from adapter.ops.page.state import PageState
from adapter.ops.page.transport import Protocol

log = logging.getLogger(__name__)

# Open pages, and as many requests again beside them.
CONNECTIONS: Final = 2 * MAX_PAGES
BACKLOG: Final = 128
CLOSE_SECONDS: Final = 2


@asynccontextmanager
async def run_page(config: Config, url: str | None, metrics: Metrics) -> AsyncIterator[str]:
    """Serve the page on `config.http`; yields its address. Raises ConfigError where the port is taken."""
    if config.http_bind is None:
        yield ""
        return
    host, port = config.http_bind
    rules, file = access(host, config.http_token, config.state_dir)
    with _listening(host, port) as listener:
        address = _address(listener)
        told = f", its token is in {file}" if file else ""
        log.info("status page on %s%s", address, told)
        lookout = MonitorClient.from_url(url, config.prefix)
        try:
            async with _running(listener, lookout, rules, metrics):
                yield address
        finally:
            with anyio.CancelScope(shield=True):
                await lookout.close()


@asynccontextmanager
async def _running(
    listener: socket.socket, lookout: MonitorClient, rules: PageAuth, metrics: Metrics
) -> AsyncIterator[None]:
    hub, board = Broadcaster(), PageState()
    app = application(Handlers(lookout, hub, board, rules), Health(metrics, lookout, hub))
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            lifespan="off",
            ws="none",
            http=Protocol,
            loop="none",
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=CLOSE_SECONDS,
        )
    )
    async with anyio.create_task_group() as tasks:
        ended = anyio.Event()

        async def serve() -> None:
            await server.serve([listener])
            ended.set()

        tasks.start_soon(serve)
        tasks.start_soon(Follower(lookout, hub, board, metrics).run)
        try:
            yield
        finally:
            hub.close()
            server.should_exit = True
            with anyio.move_on_after(CLOSE_SECONDS + 1, shield=True):
                await ended.wait()
            tasks.cancel_scope.cancel()


class _Server(uvicorn.Server):
    """Signals are the command line's business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as exc:
        raise ConfigError(
            f"QQBUS_HTTP={host}:{port} cannot be used: {exc.strerror}; give another host:port, or off"
        ) from exc
    with listener:
        listener.setblocking(False)
        yield listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def application(handlers: Handlers, health: Health) -> Starlette:
    """All routes behind the guard."""
    routes = [
        Route("/healthz", health.alive),
        Route("/readyz", health.ready),
        Route("/metrics", health.figures),
        Route("/api/picture", handlers.picture),
        Route("/api/text", handlers.text),
        Route("/api/contacts", handlers.contacts),
        Route("/api/send", handlers.send, methods=["POST"]),
        Route("/api/control", handlers.control, methods=["POST"]),
        Route("/api/dead", handlers.dead, methods=["POST"]),
        Route("/login", handlers.login, methods=["POST"]),
        Route("/api/stream", handlers.stream),
        *assets.routes(),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, access=handlers.access)],
        exception_handlers={HTTPException: _told, BusError: _away},
    )


async def _told(_: Request, exc: Exception) -> Response:
    """What was wrong with a request, in words."""
    assert isinstance(exc, HTTPException)  # noqa: S101 – it is registered for this one
    return JSONResponse({"error": exc.detail}, exc.status_code)


async def _away(_: Request, exc: Exception) -> Response:
    """Redis could not do it; its own words may hold names of hosts."""
    log.debug("page: %s", exc)
    return JSONResponse({"error": f"Redis did not do it ({type(exc).__name__}): try again"}, 503)
