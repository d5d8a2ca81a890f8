"""One connection with the gateway: Hello, Identify or Resume, heartbeats, and the frames that come.

Heartbeats run beside the reading: they go on while the reader waits for room, as when Redis and the disk are
away. A connection from which nothing comes for two intervals is dead, unless the reader itself waits.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

import anyio

from adapter.errors import ProtocolError
from adapter.networks.official.limits import Limits
from adapter.networks.official.protocol.frames import (
    Frame,
    Op,
    encode_heartbeat,
    heartbeat_seconds,
    parse_frame,
)
from adapter.networks.websocket import ABNORMAL, Socket, SocketClosedError

log = logging.getLogger(__name__)

# Seconds: less than any interval of heartbeats, and room for an answer that is on its way.
_LEAST_WAIT: Final = 0.05
_READY: Final = "READY"
_RESUMED: Final = "RESUMED"


class FrameHandler(Protocol):
    """What receives the frames of a connection."""

    async def on_dispatch(self, content: bytes, frame: Frame) -> None:
        """Take an event. May wait while too many are held: reading stops until it returns."""
        ...

    async def on_unreadable(self, content: bytes, reason: str) -> None:
        """Take a frame that is none."""
        ...

    def on_open(self, frame: Frame, *, is_resumed: bool) -> None:
        """Take READY or RESUMED."""
        ...

    def on_alive(self) -> None:
        """Take the answer to a heartbeat."""
        ...

    def stored_seq(self) -> int | None:
        """Return the s of the last event that is stored, None before the first one."""
        ...


@dataclass(frozen=True, slots=True)
class End:
    """Why a connection has ended. `op` is RECONNECT or INVALID_SESSION where the gateway asked for it."""

    code: int
    detail: str
    op: Op | None = None
    is_resumable: bool = True


class GatewayConnection:
    """One open socket. `greeting`: the frame that answers Hello. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        socket: Socket,
        handler: FrameHandler,
        greeting: str,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._socket = socket
        self._handler = handler
        self._greeting = greeting
        self._limits = limits
        self._clock = clock
        self._interval: float | None = None
        self._last_frame = clock()
        # The handler waits for room: nothing is read, and silence means nothing.
        self._is_blocked = False
        self._is_open = False
        self._is_silent = False
        self._end: End | None = None

    async def run(self) -> End:
        """Serve the connection to its end."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            try:
                await self._read()
            except SocketClosedError as exc:
                detail = "the gateway was silent" if self._is_silent else str(exc)
                self._end = self._end or End(exc.code, detail)
            tasks.cancel_scope.cancel()
        return self._end or End(ABNORMAL, "the connection was lost")

    async def _read(self) -> None:
        while self._end is None:
            content = await self._socket.receive()
            self._last_frame = self._clock()
            try:
                frame = parse_frame(content)
            except ProtocolError as exc:
                await self._wait_for(self._handler.on_unreadable(content, str(exc)))
            else:
                await self._take(content, frame)

    async def _take(self, content: bytes, frame: Frame) -> None:
        match frame.op:
            case Op.DISPATCH if frame.event in {_READY, _RESUMED}:
                self._is_open = True
                self._handler.on_open(frame, is_resumed=frame.event == _RESUMED)
            case Op.DISPATCH:
                await self._wait_for(self._handler.on_dispatch(content, frame))
            case Op.HELLO:
                first = self._interval is None
                self._interval = heartbeat_seconds(frame)
                if first:
                    await self._socket.send(self._greeting)
            case Op.HEARTBEAT:
                await self._beat()
            case Op.ACK:
                self._handler.on_alive()
            case Op.RECONNECT:
                self._end = End(ABNORMAL, "the gateway asks to connect again", Op.RECONNECT)
            case Op.INVALID_SESSION:
                self._end = End(
                    ABNORMAL,
                    "the gateway says that the session is invalid",
                    Op.INVALID_SESSION,
                    is_resumable=frame.data is True,
                )
            case op:
                log.debug("a frame of an unknown op %d", op)

    async def _wait_for(self, taking: Awaitable[None]) -> None:
        self._is_blocked = True
        await taking
        self._is_blocked = False
        self._last_frame = self._clock()

    async def _beat(self) -> None:
        with suppress(SocketClosedError):  # the reader sees it, too
            await self._socket.send(encode_heartbeat(self._handler.stored_seq()))

    async def _watch(self) -> None:
        """Send heartbeats, and abort a connection from which nothing comes."""
        beaten = self._clock()
        while True:
            now = self._clock()
            idle = 0.0 if self._is_blocked else now - self._last_frame
            if idle >= self._patience():
                self._is_silent = True
                self._socket.abort()
                return
            if self._interval is not None and now - beaten >= self._interval:
                beaten = now
                await self._beat()
            due = self._patience() - idle
            if self._interval is not None:
                due = min(due, beaten + self._interval - now)
            await anyio.sleep(max(due, _LEAST_WAIT))

    def _patience(self) -> float:
        """Return the seconds of silence after which the connection counts as dead."""
        if self._interval is None:
            return self._limits.hello_seconds
        if not self._is_open:
            return self._limits.ready_seconds
        return self._limits.silent_heartbeats * self._interval + _LEAST_WAIT
