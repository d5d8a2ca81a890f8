"""The gateway: Hello, Identify, Resume, heartbeats and dispatches by WebSocket."""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from .frames import (
    ABNORMAL,
    ACK,
    BANNED,
    DISPATCH,
    EXPIRED,
    HEARTBEAT,
    HELLO,
    IDENTIFY,
    INVALID,
    RECONNECT,
    RESUME,
    TOO_FAST,
    WRONG_OP,
    WRONG_PAYLOAD,
    WRONG_SEQ,
    WRONG_TOKEN,
    CloseConnection,
    parse_frame,
    read_intents,
    read_shard,
)
from .record import ConnectionLog, Frame
from .service import Service
from .sessions import Session
from .world import BOT

_ANSWERED_SECONDS = 2.0  # the client's part of a close handshake
_TICK = 0.05  # seconds between two looks at the clock
_MINUTE = 60.0


@dataclass(eq=False)
class Connection:
    """One client; `cursor` is the s up to which its session has been written."""

    log: ConnectionLog
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    session: Session | None = None
    cursor: int = 0
    resumed_at: int = -1
    since: float = 0.0
    beaten: float = 0.0
    expires: float = 0.0
    arrivals: list[float] = field(default_factory=list)


class Gateway:
    """Serve all connections of one bot."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.connections: list[Connection] = []

    async def serve(self, request: web.BaseRequest) -> web.WebSocketResponse:
        """Serve one WebSocket until it is closed."""
        socket = web.WebSocketResponse(autoping=True, timeout=_ANSWERED_SECONDS)
        await socket.prepare(request)
        record = self._service.record
        log = ConnectionLog(record.number("connections"), self._service.clock())
        connection = Connection(log, socket, request.transport)
        connection.beaten = self._service.clock()
        record.add(record.connections, log)
        self.connections.append(connection)
        try:
            await self._converse(connection)
        finally:
            self._forget(connection)
        return socket

    # Commands of a test

    async def close(self, code: int, reason: str = "", *, how: str = "close") -> int:
        """Close all connections; `how` is `close` or `reset`. Return how many."""
        closing = list(self.connections)
        for connection in closing:
            await self._end(connection, code, reason, how)
        return len(closing)

    async def reconnect(self) -> int:
        """Ask all clients to reconnect (op 7); return how many."""
        grace = self._service.options.reconnect_grace
        for connection in self.connections:
            connection.expires = self._service.clock() + grace
        return await self.push_frame({"op": RECONNECT})

    async def invalidate(self, *, resumable: bool) -> int:
        """Tell all clients that their session is invalid (op 9)."""
        if not resumable:
            self.end_sessions("invalidated")
        return await self.push_frame({"op": INVALID, "d": resumable})

    def end_sessions(self, reason: str) -> None:
        """End all sessions, whether connected or not."""
        for session in self._service.sessions.alive():
            self._service.sessions.end(session, reason, self._service.clock())
        for connection in self.connections:
            connection.session = None

    async def push_frame(self, frame: dict[str, Any]) -> int:
        """Send a frame as it is to all clients."""
        for connection in list(self.connections):
            await self._send(connection, frame)
        return len(self.connections)

    # One connection

    async def _converse(self, connection: Connection) -> None:
        if self._service.options.hello:
            await self._send(
                connection, {"op": HELLO, "d": {"heartbeat_interval": self._service.options.heartbeat_ms}}
            )
        tasks = [asyncio.ensure_future(work(connection)) for work in (self._read, self._write, self._watch)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, CloseConnection):
                await self._end(connection, result.code, result.reason, "close")
            elif isinstance(result, BaseException) and not isinstance(
                result, asyncio.CancelledError | ConnectionError
            ):
                raise result

    async def _read(self, connection: Connection) -> None:
        async for message in connection.socket:
            if message.type is not WSMsgType.TEXT:
                raise CloseConnection(WRONG_PAYLOAD, "text frames only")
            frame = parse_frame(message.data)
            self._note(connection, "in", frame)
            self._limit(connection)
            await self._handle(connection, frame)

    def _limit(self, connection: Connection) -> None:
        now, limit = self._service.clock(), self._service.options.frame_limit
        connection.arrivals = [one for one in connection.arrivals if now - one < _MINUTE] + [now]
        if limit and len(connection.arrivals) > limit:
            raise CloseConnection(TOO_FAST, "sent too fast")

    async def _handle(self, connection: Connection, frame: dict[str, Any]) -> None:
        op, d = frame["op"], frame.get("d")
        if op == HEARTBEAT:
            connection.beaten = self._service.clock()
            if self._service.options.heartbeat_acks:
                await self._send(connection, {"op": ACK})
        elif op in {IDENTIFY, RESUME}:
            if connection.session is not None:
                raise CloseConnection(WRONG_PAYLOAD, "already identified")
            if not isinstance(d, dict):
                raise CloseConnection(WRONG_PAYLOAD, "d is no object")
            self._check_token(d)
            await (self._identify(connection, d) if op == IDENTIFY else self._resume(connection, d))
        elif op != ACK:
            raise CloseConnection(WRONG_OP, f"unknown op {op!r}")

    def _check_token(self, d: dict[str, Any]) -> None:
        if self._service.options.banned:
            raise CloseConnection(BANNED, "bot banned")
        if not self._service.tokens.is_valid(str(d.get("token", ""))):
            raise CloseConnection(WRONG_TOKEN, "Authentication fail")

    async def _identify(self, connection: Connection, d: dict[str, Any]) -> None:
        service = self._service
        intents, shard = read_intents(d, service.options.granted_intents), read_shard(d)
        if service.record.count("identifies") >= service.options.session_starts:
            await self._send(connection, {"op": INVALID, "d": False})
            return
        service.record.number("identifies")
        session = Session(
            service.mint.hexadecimal(36), intents, shard, service.clock(), service.options.replay_limit
        )
        service.sessions.add(session)
        ready = {
            "version": 1,
            "session_id": session.id,
            "user": {"id": service.bot_id, "username": BOT, "bot": True, "status": 1},
            "shard": list(shard),
        }
        s = session.take_s()
        self._attach(connection, session, "identify", s)
        await self._send(connection, {"op": DISPATCH, "s": s, "t": "READY", "d": ready})

    async def _resume(self, connection: Connection, d: dict[str, Any]) -> None:
        service = self._service
        session_id, seq = d.get("session_id"), d.get("seq")
        if not isinstance(session_id, str) or not isinstance(seq, int):
            raise CloseConnection(WRONG_PAYLOAD, "session_id is text, seq is a number")
        service.sessions.expire(service.clock(), service.options.resume_seconds)
        session = service.sessions.find(session_id)
        connection.log.entry, connection.log.resumed_from = "refused resume", seq
        if session is None:
            await self._refuse_resume(connection)
            return
        if not session.can_replay(seq):
            raise CloseConnection(WRONG_SEQ, "seq error")
        for other in list(self.connections):
            if other.session is session:
                other.session = None
                await self._end(other, EXPIRED, "resumed elsewhere", "close")
        connection.resumed_at = session.seq
        self._attach(connection, session, "resume", session.before(seq, service.options.replay_overlap))

    async def _refuse_resume(self, connection: Connection) -> None:
        how = self._service.options.bad_resume
        if how != "op9":
            raise CloseConnection(int(how), "session invalid")
        await self._send(connection, {"op": INVALID, "d": False})

    def _attach(self, connection: Connection, session: Session, entry: str, cursor: int) -> None:
        connection.session, connection.cursor = session, cursor
        connection.since = self._service.clock()
        connection.log.session, connection.log.entry = session.id, entry
        session.detached = None
        self._service.record.changed.beat()

    async def _write(self, connection: Connection) -> None:
        """Write what the session holds above the cursor, then RESUMED."""
        service = self._service
        while True:
            await service.record.changed.until(lambda: self._has_work(connection))
            session = connection.session
            if session is None:
                continue
            entry = session.after(connection.cursor)
            if connection.resumed_at >= 0 and (entry is None or entry.s > connection.resumed_at):
                connection.resumed_at = -1
                await self._send(connection, self._resumed(session))
                continue
            if entry is None:
                continue
            if service.options.dispatch_delay:
                await asyncio.sleep(service.options.dispatch_delay)
            connection.cursor = entry.s
            entry.copy.sent += 1
            connection.log.replayed += connection.resumed_at >= 0
            body = service.files.signed(entry.event.body, service.options)
            frame = {
                "op": DISPATCH,
                "s": entry.s,
                "t": entry.event.type,
                "id": entry.event.event_id,
                "d": body,
            }
            await self._send(connection, frame)

    def _has_work(self, connection: Connection) -> bool:
        session = connection.session
        if session is None or self._service.options.silent:
            return False
        return connection.resumed_at >= 0 or session.after(connection.cursor) is not None

    def _resumed(self, session: Session) -> dict[str, Any]:
        frame: dict[str, Any] = {"op": DISPATCH, "t": "RESUMED", "d": ""}
        return frame | ({"s": session.take_s()} if self._service.options.resumed_has_s else {})

    async def _watch(self, connection: Connection) -> None:
        """Close a connection that is too old or has no heartbeat."""
        service = self._service
        while True:
            await asyncio.sleep(_TICK)
            now, options = service.clock(), service.options
            patience = options.heartbeat_ms / 1000 * options.heartbeats_missed
            is_old = connection.session is not None and 0 < options.expire_every <= now - connection.since
            if is_old or 0 < connection.expires <= now:
                raise CloseConnection(EXPIRED, "connection expired")
            if patience and now - connection.beaten > patience:
                raise CloseConnection(EXPIRED, "no heartbeat")

    async def _send(self, connection: Connection, frame: dict[str, Any]) -> None:
        if connection.socket.closed:
            return
        self._note(connection, "out", frame)
        # A lone surrogate is no UTF-8, and leaves as the escape that JSON has for it.
        content = json.dumps(frame, ensure_ascii=False).encode("utf-8", "backslashreplace")
        with contextlib.suppress(ConnectionError):
            await connection.socket.send_str(content.decode())

    async def _end(self, connection: Connection, code: int, reason: str, how: str) -> None:
        if connection.log.closed:
            return
        connection.log.closed_by = "server"
        if code == EXPIRED:
            self._service.last_expiry = self._service.clock()
        self._detach(connection, ABNORMAL if how == "reset" else code)
        if how == "reset":
            if connection.transport is not None:
                connection.transport.abort()
            return
        with contextlib.suppress(ConnectionError, RuntimeError):
            await connection.socket.close(code=code, message=reason.encode())

    def _forget(self, connection: Connection) -> None:
        self.connections.remove(connection)
        self._detach(connection, connection.socket.close_code or ABNORMAL)
        self._service.record.changed.beat()

    def _detach(self, connection: Connection, code: int) -> None:
        if connection.log.closed:
            return
        connection.log.closed, connection.log.code = self._service.clock(), code
        connection.log.closed_by = connection.log.closed_by or "client"
        if connection.session is not None:
            connection.session.detached = self._service.clock()
            connection.session = None

    def _note(self, connection: Connection, direction: str, frame: dict[str, Any]) -> None:
        record = self._service.record
        entry = Frame(
            record.number("frames"),
            self._service.clock(),
            connection.log.n,
            direction,
            frame["op"],
            frame.get("s"),
            frame.get("t", ""),
            # The body of an event stands in the list of events.
            None if "id" in frame else frame,
        )
        record.add(record.frames, entry)
