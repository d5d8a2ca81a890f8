"""Serve the page: its port is bound before the adapter starts, and closed with it."""

import logging
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapter.bus.admin import MonitorClient
from adapter.config import Config
from adapter.errors import BusError, ConfigError, SchemaError
from adapter.failpoints import Failpoint, inject
from adapter.http_server import BoundedProtocol, ConnectionLimits
from adapter.ops.metrics import Metrics
from adapter.ops.page import assets
from adapter.ops.page.api import PageApi
from adapter.ops.page.auth import PageAuth, is_loopback
from adapter.ops.page.broadcaster import MAX_PAGES, Broadcaster
from adapter.ops.page.follower import Follower
from adapter.ops.page.health import HealthEndpoints
from adapter.ops.page.middleware import Guard
from adapter.ops.page.pictures import PictureLoader
from adapter.ops.page.state import PageState
from adapter.ops.page.tokens import PageToken, page_address, sign_in_link
from adapter.ops.supervisor import Supervisor

log = logging.getLogger(__name__)

# Connections at a time: the six that a browser opens for each of 16 pages, and as many again for probes.
MAX_CONNECTIONS: Final = 12 * MAX_PAGES
BACKLOG: Final = 128
# Seconds that requests get to end at a stop.
CLOSE_SECONDS: Final = 2


@asynccontextmanager
async def serve_page(
    config: Config, bind: tuple[str, int], url: str | None, metrics: Metrics, supervisor: Supervisor
) -> AsyncIterator[str]:
    """Serve the page on a host and port; yield its address.

    Raises ConfigError if the port is taken or the token cannot be used.
    """
    host, port = bind
    token = PageToken.load(config)
    with _listening(host, port) as listener:
        port = listener.getsockname()[1]
        address = page_address(host, port)
        is_local = token.file is not None and is_loopback(host)
        auth = PageAuth(token, port, answers_local_names_alone=is_local)
        log.info("status page on %s%s", address, f", its token is in {token.file}" if token.file else "")
        if sys.stderr.isatty():  # a person reads it and uses it; a log would keep it
            link = sign_in_link(address, auth.links)
            sys.stderr.write(f"open the status page once with {link} (within an hour)\n")
        log.info("`qqbus page` prints a link that opens the status page once")
        monitor = MonitorClient.from_url(url, config.prefix)
        try:
            state = PageState()
            broadcaster = Broadcaster(state)
            follower = Follower(monitor, broadcaster, state, metrics)
            app = application(
                PageApi(monitor, broadcaster, auth, PictureLoader(monitor)),
                HealthEndpoints(metrics, monitor, broadcaster),
            )
            async with _running(_PageServer(app, listener, broadcaster), follower, supervisor):
                yield address
        finally:
            with anyio.CancelScope(shield=True):
                await monitor.close()


@asynccontextmanager
async def _running(server: "_PageServer", follower: Follower, supervisor: Supervisor) -> AsyncIterator[None]:
    stop = anyio.Event()
    async with anyio.create_task_group() as tasks:
        closed = anyio.Event()

        async def serve() -> None:
            await supervisor.run("page server", server, stop)
            closed.set()

        tasks.start_soon(serve)
        tasks.start_soon(supervisor.run, "page", follower, stop)
        try:
            yield
        finally:
            stop.set()
            server.wake()
            with anyio.move_on_after(CLOSE_SECONDS + 1, shield=True):
                await closed.wait()
            tasks.cancel_scope.cancel()


class _PageServer:
    """The service that answers HTTP."""

    def __init__(self, app: Starlette, listener: socket.socket, broadcaster: Broadcaster) -> None:
        self._app = app
        self._listener = listener
        self._broadcaster = broadcaster
        self._server: _Server | None = None

    async def run(self, stop: anyio.Event) -> None:  # noqa: ARG002 – `wake` stops it
        """Serve until stopped."""
        await inject(Failpoint.PAGE_SERVER)
        self._server = _Server(
            uvicorn.Config(
                self._app,
                log_config=None,
                # What a peer sends wrong is no matter of the log.
                log_level=logging.ERROR,
                access_log=False,
                lifespan="off",
                ws="none",
                http=BoundedProtocol.with_limits(ConnectionLimits.below_descriptors(MAX_CONNECTIONS)),
                loop="none",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=CLOSE_SECONDS,
            )
        )
        # uvicorn closes its socket at the end, and this service may be run again.
        await self._server.serve([self._listener.dup()])

    def wake(self) -> None:
        """Close all connections and end `run`."""
        self._broadcaster.close()
        if self._server is not None:
            self._server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the command line has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server(
            (host, port),
            family=family,
            backlog=BACKLOG,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as exc:
        raise ConfigError(
            "QQBUS_HTTP={host}:{port} cannot be used: {strerror}; give another host:port, or off",
            host=host,
            port=port,
            strerror=exc.strerror,
        ) from exc
    with listener:
        listener.setblocking(False)
        yield listener


def application(handlers: PageApi, health: HealthEndpoints) -> Starlette:
    """Return all routes behind the guard."""
    routes = [
        Route("/healthz", health.alive),
        Route("/readyz", health.ready),
        Route("/metrics", health.figures),
        Route("/api/picture", handlers.picture),
        Route("/api/image", handlers.image),
        Route("/api/text", handlers.text),
        Route("/api/contacts", handlers.contacts),
        Route("/api/send", handlers.send, methods=["POST"]),
        Route("/api/answer", handlers.answer, methods=["POST"]),
        Route("/api/control", handlers.control, methods=["POST"]),
        Route("/api/dead", handlers.dead, methods=["POST"]),
        Route("/login", handlers.login, methods=["POST"]),
        Route("/login", handlers.open_link, methods=["GET"]),
        Route("/api/stream", handlers.stream),
        *assets.routes(),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, auth=handlers.auth)],
        exception_handlers={
            HTTPException: _answer_refused,
            SchemaError: _answer_unreadable,
            BusError: _answer_unavailable,
            ClientDisconnect: _answer_none,
        },
    )


async def _answer_refused(_: Request, exc: Exception) -> Response:
    """Say what is wrong with a request."""
    assert isinstance(exc, HTTPException)  # noqa: S101 – it is registered for this one
    return JSONResponse({"error": exc.detail}, exc.status_code, headers=exc.headers)


async def _answer_unreadable(_: Request, exc: Exception) -> Response:
    """Say what is wrong with what a person typed; the page translates `text` and puts in the values."""
    assert isinstance(exc, SchemaError)  # noqa: S101 – likewise
    return JSONResponse({"error": str(exc), **_translatable(exc)}, 400)


def _translatable(exc: SchemaError) -> dict[str, object]:
    values = exc.values.items()
    inner = {name: _translatable(one) if isinstance(one, SchemaError) else str(one) for name, one in values}
    return {"text": exc.text, "values": inner}


async def _answer_none(_: Request, __: Exception) -> Response:
    """Answer a peer that left before its body was whole: nothing of it is sent."""
    return Response(status_code=400)


async def _answer_unavailable(_: Request, exc: Exception) -> Response:
    """Say that Redis failed; its own text may hold names of hosts."""
    log.debug("page: %s", exc)
    return JSONResponse({"error": f"Redis does not answer ({type(exc).__name__}): try again"}, 503)
