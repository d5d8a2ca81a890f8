"""The forward WebSocket server: handshakes, tokens, paths, and the port itself."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Literal

from aiohttp import WSMsgType, web

from .connection import Connection, Role
from .dialects import Dialect
from .hub import Hub, dumps
from .lines import ServerLine
from .record import Handshake
from .serving import ActionServer
from .state import State

HOST = "127.0.0.1"
Token = Literal["absent", "right", "wrong"]
# Seconds that open connections have when the port closes.
_CLOSING_SECONDS = 0.2
_SECRET = frozenset({"authorization"})


class Gateway:
    """Listens on one port, which can be closed and opened again."""

    def __init__(self, state: State, hub: Hub, actions: ActionServer, port: int) -> None:
        self._state = state
        self._hub = hub
        self._actions = actions
        self.port = port
        self._runner: web.ServerRunner | None = None

    async def open(self) -> None:
        """Listen; a port of 0 is replaced by the one that the system chose."""
        server = web.Server(self._handle, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=_CLOSING_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self.port, reuse_address=True).start()
        except OSError:
            await runner.cleanup()
            raise
        self.port = runner.addresses[0][1]
        self._runner = runner

    async def close(self) -> None:
        """Stop listening and reset all connections of this port."""
        if self._runner is None:
            return
        for site in list(self._runner.sites):
            await site.stop()
        for connection in list(self._hub.connections.values()):
            if not connection.is_reverse:
                connection.reset("down")
        runner, self._runner = self._runner, None
        await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        traits = self._state.traits
        token = self._token(request, traits)
        refusal = "" if token == "right" and not self._state.options.refuse_all else _refusal(token, traits)
        role = self._role(request.path, traits)
        if not refusal and role is None:
            refusal = "http-404"
        await asyncio.sleep(self._state.options.handshake_seconds)
        number = self._hub.number()
        self._record(request, number, token, refusal, role or "dead")
        if refusal.startswith("http"):
            return web.Response(status=int(refusal.removeprefix("http-")))
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(status=426, text="Upgrade Required")
        socket = web.WebSocketResponse(
            max_msg_size=self._state.options.max_frame, compress=False, autoping=True, timeout=1.0
        )
        await socket.prepare(request)
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            return socket
        line = ServerLine(transport, socket)
        if refusal:
            await _refuse(line, refusal, traits)
            return socket
        await self._serve(socket, Connection(number, line, role or "dead", request.path))
        return socket

    def _token(self, request: web.BaseRequest, traits: Dialect) -> Token:
        wanted = self._state.options.token
        if not wanted:
            return "right"
        text = request.headers.get("Authorization", "")
        header = text.partition(" ")[2] if traits.name == "go-cqhttp" else text.rpartition("Bearer ")[2]
        query = request.query.get("access_token", "")
        given = (query or header) if traits.does_query_token_win else (header or query)
        if not given:
            return "absent"
        return "right" if given == wanted else "wrong"

    def _role(self, path: str, traits: Dialect) -> Role | None:
        base = path.rstrip("/")
        if base == "/api":
            return "api"
        if base == "/event" and traits.name != "napcat":
            return "event"
        own = self._state.options.path.rstrip("/") if traits.is_other_path_refused else ""
        if base == own:
            return "universal"
        if traits.is_other_path_refused:
            return None
        return "dead" if traits.is_other_path_dead else "universal"

    def _record(self, request: web.BaseRequest, number: int, token: Token, refusal: str, role: Role) -> None:
        state = self._state
        query = {name: value for name, value in request.query.items() if name != "access_token"}
        path = request.path + ("?" + "&".join(f"{one}={query[one]}" for one in query) if query else "")
        headers = public_headers(request.headers)
        state.record.handshakes.add(
            lambda n: Handshake(n, state.clock(), number, path, headers, token, refusal, role), 1_000
        )

    async def _serve(self, socket: web.WebSocketResponse, connection: Connection) -> None:
        self._hub.add(connection)
        traits = self._state.traits
        tasks = [asyncio.ensure_future(connection.write())]
        if not traits.is_heartbeat_shared and connection.takes_events:
            tasks.append(asyncio.ensure_future(self._hub.beat(connection)))
        if self._state.options.ping_seconds:
            tasks.append(asyncio.ensure_future(_ping(socket, self._state.options.ping_seconds)))
        reason = ""
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._actions.take(connection, message.data)
            reason = str(socket.exception() or "")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._actions.drop(connection)
            self._hub.remove(connection, socket.close_code or 1006, reason)


def _refusal(token: Token, traits: Dialect) -> str:
    if traits.refusal != "http":
        return traits.refusal
    return "http-401" if token == "absent" else "http-403"


def public_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers without the value of the token; its scheme stays."""
    shown = {}
    for name, value in headers.items():
        is_secret = name.lower() in _SECRET
        shown[name] = (
            f"{value.partition(' ')[0]} …" if is_secret and " " in value else "…" if is_secret else value
        )
    return shown


async def _refuse(line: ServerLine, refusal: str, traits: Dialect) -> None:
    way, _, code = refusal.partition("-")
    if way == "frame":
        wording = "token验证失败"
        answer = {"status": "failed", "retcode": 1403, "data": None, "message": wording, "wording": wording}
        stream = {"stream": "normal-action"} if traits.has_stream_field else {}
        await line.send([dumps({**answer, "echo": None, **stream})])
    await line.close(int(code), "" if code == "1005" else "invalid access token")


async def _ping(socket: web.WebSocketResponse, seconds: float) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await asyncio.sleep(seconds)
            await socket.ping()
