"""Serve bots that connect: forward WebSocket at `/`, `/event`, `/api`, and actions over HTTP.

A token is asked before anything else. Without one the gateway listens on loopback alone, and a request that a
web page in a browser could have made is refused.
"""

import hmac
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from adapter import ConfigError
from consumers.onebot.actions.registry import Actions
from consumers.onebot.answers import Answer, failed
from consumers.onebot.bots import Bots
from consumers.onebot.chat_order import ChatOrder
from consumers.onebot.connection import MAX_FRAME, Role
from consumers.onebot.errors import BAD_REQUEST, FORBIDDEN, UNKNOWN_ACTION
from consumers.onebot.hub import encode_frame
from consumers.onebot.options import Options, is_loopback

log = logging.getLogger("qqbus.gateway")

# WebSockets at a time: each costs some megabytes at worst.
MAX_SOCKETS: Final = 256
# Seconds that open answers get when the gateway ends.
_CLOSE_SECONDS: Final = 1.0
# Seconds for which an idle HTTP connection is kept.
_KEEPALIVE_SECONDS: Final = 30.0
_ROLES: Final = {"/": Role.UNIVERSAL, "/event": Role.EVENT, "/api": Role.API}
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


class GatewayServer:
    """One listener. Raises ConfigError where the address cannot be used."""

    def __init__(self, options: Options, bots: Bots, actions: Actions) -> None:
        self._options = options
        self._bots = bots
        self._actions = actions

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Serve while the body runs."""
        app = web.Application(client_max_size=MAX_FRAME)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            shutdown_timeout=_CLOSE_SECONDS,
        )
        await runner.setup()
        try:
            host, port = self._options.listen_address
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as exc:
                raise ConfigError(
                    "{name} {address} cannot be used: {error}",
                    name="--listen",
                    address=self._options.listen,
                    error=exc.strerror,
                ) from exc
            log.info("bots connect to ws://%s, actions go to http://%s", *[self._options.listen] * 2)
            yield
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._refuse(request):
            return refusal
        if not self._bots.account.current.number:
            return _json(
                failed(FORBIDDEN, "the account is not known yet: the adapter has not logged in"), 503
            )
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_socket(request)
        return await self._serve_action(request)

    # --- who may ---------------------------------------------------------------------------------

    def _refuse(self, request: web.Request) -> web.Response | None:
        token = self._options.token
        if token:
            given = _given_token(request)
            if not given:
                return _json(failed(FORBIDDEN, "a token is missing"), 401)
            if not hmac.compare_digest(given.encode(), token.encode()):
                return _json(failed(FORBIDDEN, "the token is wrong"), 403)
            return None
        if "Origin" in request.headers or not self._is_own_host(request.headers.get("Host", "")):
            words = "a browser may not ask without a token: set QQBUS_GATEWAY_TOKEN"
            return _json(failed(FORBIDDEN, words), 403)
        return None

    def _is_own_host(self, header: str) -> bool:
        try:
            host = urlsplit(f"//{header}").hostname or ""
        except ValueError:
            return False
        return is_loopback(host)

    # --- WebSocket -------------------------------------------------------------------------------

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        role = _ROLES.get(request.path.rstrip("/") or "/")
        if role is None:
            return _json(failed(UNKNOWN_ACTION, "WebSockets are served at /, /event and /api"), 404)
        if self._bots.total >= MAX_SOCKETS:
            return _json(failed(FORBIDDEN, f"{MAX_SOCKETS} bots are connected already"), 503)
        socket = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=MAX_FRAME, timeout=_CLOSE_SECONDS
        )
        if not socket.can_prepare(request):
            return _json(failed(BAD_REQUEST, "this is no WebSocket handshake"), 400)
        await socket.prepare(request)
        transport = request.transport

        def abort() -> None:
            if transport is not None:
                transport.abort()

        await self._bots.serve(socket, abort, role, f"bot at {request.remote}")
        return socket

    # --- HTTP ------------------------------------------------------------------------------------

    async def _serve_action(self, request: web.Request) -> web.StreamResponse:
        action = request.path.strip("/")
        if request.method not in {"GET", "POST"}:
            return _json(failed(BAD_REQUEST, "actions are asked for by GET or POST"), 405)
        if not action:
            return _json(failed(UNKNOWN_ACTION, "name an action: POST /send_msg"), 404)
        try:
            params = await _params(request)
        except web.HTTPRequestEntityTooLarge:
            return _json(failed(BAD_REQUEST, f"the body is over {MAX_FRAME} bytes"), 413)
        except (ValueError, RecursionError, LookupError) as exc:
            return _json(failed(BAD_REQUEST, f"the body cannot be read: {str(exc)[:100]}"), 400)
        answer = await self._actions.run(ChatOrder(), action, params)
        if isinstance(params, Mapping) and "echo" in params:
            answer = answer | {"echo": params["echo"]}
        is_unknown = answer["retcode"] == UNKNOWN_ACTION and not self._actions.knows(action)
        return _json(answer, 404 if is_unknown else 200)


def _given_token(request: web.Request) -> str:
    kind, _, value = request.headers.get("Authorization", "").strip().partition(" ")
    if kind.lower() in {"bearer", "token"} and value.strip():
        return value.strip()
    return request.query.get("access_token", "")


async def _params(request: web.Request) -> object:
    """Return the parameters of an action: query, then form or JSON. Raises ValueError."""
    query: dict[str, Any] = {name: value for name, value in request.query.items() if name != "access_token"}
    if request.method == "GET" or not request.body_exists:
        return query
    if request.content_type in _FORMS:
        form = await request.post()
        return query | {name: value for name, value in form.items() if isinstance(value, str)}
    body = await request.read()
    if not body.strip():
        return query
    value = json.loads(body)
    return query | value if isinstance(value, dict) else value


def _json(answer: Answer, status: int = 200) -> web.Response:
    return web.Response(
        body=encode_frame(answer), status=status, content_type="application/json", charset="utf-8"
    )
