"""Serve the tools over streamable HTTP: the token first, then Host and Origin, then the SDK."""

import asyncio
import hmac
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapter import ConfigError
from consumers.mcp.inbox import Delivery
from consumers.mcp.server import DELIVERY
from consumers.onebot.options import is_loopback, parse_address

# Seconds that open answers get when the server ends.
_CLOSE_SECONDS: Final = 1


class Gate:
    """Lets in who has the token, and watches whether answers arrive."""

    def __init__(self, app: ASGIApp, token: str, address: str) -> None:
        self._app = app
        self._token = token.encode()
        self._host, self._port = parse_address(address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if refusal := self._refuse(scope):
            await refusal(scope, receive, send)
            return
        delivery = scope[DELIVERY] = Delivery()

        async def watched_receive() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect" and not delivery.is_done:
                delivery.is_cut = True
            return message

        async def watched_send(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                # uvicorn drops what is written to a client that is gone, without a word.
                delivery.is_done = not delivery.is_cut

        await self._app(scope, watched_receive, watched_send)

    def _refuse(self, scope: Scope) -> PlainTextResponse | None:
        headers = {name.decode("latin-1"): value for name, value in scope["headers"]}
        kind, _, given = headers.get("authorization", b"").strip().partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._token):
            return PlainTextResponse("a token is missing or wrong\n", 401, {"WWW-Authenticate": "Bearer"})
        host = headers.get("host", b"").decode("latin-1")
        if not self._is_own_host(host):
            return PlainTextResponse("this host is not served here\n", 421)
        origin = headers.get("origin", b"").decode("latin-1")
        if origin and urlsplit(origin).netloc != host:
            return PlainTextResponse("requests of this origin are refused\n", 403)
        return None

    def _is_own_host(self, header: str) -> bool:
        try:
            parts = urlsplit(f"//{header}")
            name, port = parts.hostname or "", parts.port
        except ValueError:
            return False
        if port != self._port:
            return False
        if is_loopback(self._host):
            return is_loopback(name)
        # Behind a wildcard address the machine has names that it does not know.
        return bool(name)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the worker's program has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def transport_security() -> TransportSecuritySettings:
    """Return settings with which the SDK checks neither Host nor Origin: the gate has, and more strictly."""
    return TransportSecuritySettings(enable_dns_rebinding_protection=False)


async def serve_http(server: Any, address: str, token: str, stop: asyncio.Event) -> None:
    """Serve at `host:port` until `stop` is set. Raises ConfigError."""
    app = Gate(server.streamable_http_app(transport_security=transport_security()), token, address)
    with _listening(address) as listener:
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            lifespan="on",
            ws="none",
            loop="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_CLOSE_SECONDS,
        )
        running = _Server(config)
        serving = asyncio.ensure_future(running.serve([listener]))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        running.should_exit = True
        await serving


@contextmanager
def _listening(address: str) -> Iterator[socket.socket]:
    place = parse_address(address)
    try:
        family = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server(place, family=family)
    except OSError as exc:
        raise ConfigError(
            "{name} {address} cannot be used: {error}", name="--http", address=address, error=exc.strerror
        ) from exc
    with listener:
        listener.setblocking(False)
        yield listener
