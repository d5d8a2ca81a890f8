"""One WebSocket between the gateway and a bot: events out, confirmations and actions in.

Invariants:
- The ping of a batch is written behind its frames. Its pong confirms all of them, and all before.
- The clock of a frame starts when it is taken from the log: a ping behind a blocked write never leaves.
- One batch at a time is written, so that the socket's buffer holds one batch or one frame beyond its mark.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

import aiohttp
from aiohttp import WSMsgType, web

from consumers.onebot.account import AccountWatcher
from consumers.onebot.chat_order import ChatOrder
from consumers.onebot.corked_writes import CorkedWrites
from consumers.onebot.events import heartbeat, lifecycle
from consumers.onebot.hub import HEARTBEAT_SECONDS, Hub, encode_frame

log = logging.getLogger("qqbus.gateway")

# Events before a ping: the bot has the next ones at hand while its pong is on the way.
_BATCH: Final = 50
# Seconds between two looks at that clock.
_CHECK_SECONDS: Final = 0.5
# Bytes of one frame from a bot: a picture in base64.
MAX_FRAME: Final = 16 * 1024 * 1024
# Seconds for the closing handshake: the bot may be gone.
CLOSE_SECONDS: Final = 1.0


class Role(Enum):
    """What a connection is for: `/` hears events and acts, the others do one of both."""

    UNIVERSAL = "/"
    EVENT = "/event"
    API = "/api"


Socket = aiohttp.ClientWebSocketResponse | web.WebSocketResponse
Act = Callable[["BotConnection", object], Awaitable[None]]


@dataclass(slots=True)
class _Ping:
    """A ping that was not answered: what it confirms, and when its oldest frame was taken."""

    number: int
    position: int
    since: float


class BotConnection:
    """Serves one socket until it closes. `abort` cuts its transport."""

    def __init__(
        self,
        socket: Socket,
        abort: Callable[[], None],
        *,
        role: Role,
        name: str,
        hub: Hub,
        account: AccountWatcher,
        act: Act,
        confirm_seconds: float,
    ) -> None:
        self._socket = socket
        self._writes = CorkedWrites(socket)
        self._abort = abort
        self.role = role
        self.name = name
        self._hub = hub
        self._account = account
        self._act = act
        # After which the oldest unconfirmed frame ends the connection.
        self._confirm_seconds = confirm_seconds
        self._writing = asyncio.Lock()
        self._wakeup = asyncio.Event()
        self._pings: deque[_Ping] = deque()
        self._ping_number = 0
        self._urgent: deque[bytes] = deque()
        self.is_proved = False
        self.order = ChatOrder()
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the socket closes, the bot hangs, or this is cancelled."""
        loops = [self._read()]
        if self.role is not Role.API:
            loops.append(self._write())
        running = {asyncio.ensure_future(loop) for loop in loops}
        try:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*running, *self.tasks):
                task.cancel()
            await asyncio.gather(*running, *self.tasks, return_exceptions=True)
            await self._close()

    async def _close(self) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError, RuntimeError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close(code=1001)
        self._abort()

    def send_heartbeat(self) -> None:
        """Send a heartbeat soon, with the present state."""
        current = self._account.current
        beat = heartbeat(
            current.number,
            time.time(),
            is_online=current.is_online,
            interval_ms=int(HEARTBEAT_SECONDS * 1000),
        )
        # One that still waits says what is no longer true.
        self._urgent.clear()
        self._urgent.append(encode_frame(beat))
        self._wakeup.set()

    def cut(self) -> None:
        """End the connection at once."""
        self._abort()

    # --- out -----------------------------------------------------------------------------------

    async def send(self, frame: bytes) -> None:
        """Write a frame of text; waits while the bot does not read. Raises ConnectionError."""
        async with self._writing:
            await self._socket.send_frame(frame, WSMsgType.TEXT)

    async def _write(self) -> None:
        window = None
        watch = asyncio.ensure_future(self._watch())
        try:
            await self.send(encode_frame(lifecycle(self._account.current.number, time.time())))
            self.send_heartbeat()
            window = self._window = self._hub.join(self._wakeup.set)
            while not watch.done():
                await self._write_once()
        except (ConnectionError, RuntimeError, aiohttp.ClientError) as exc:
            log.debug("%s: %s", self.name, exc)
        finally:
            watch.cancel()
            if window is not None:
                self._hub.leave(window)

    async def _write_once(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._wakeup.wait()
        if not self._wakeup.is_set():
            self.send_heartbeat()
        self._wakeup.clear()
        now = time.monotonic()
        events = self._hub.log.take(self._window, now, _BATCH)
        if not events and not self._urgent:
            return
        if len(events) == _BATCH:
            self._wakeup.set()
        # Before the first write: it may block.
        self._ping_number += 1
        ping = _Ping(self._ping_number, self._window.sent, now)
        self._pings.append(ping)
        async with self._writing:
            with self._writes.corked():
                while self._urgent:
                    await self._writes.send((self._urgent.popleft(),))
                await self._writes.send(frame for event in events for frame in event.take_frames())
                await self._socket.ping(str(ping.number).encode())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            if self._pings and time.monotonic() - self._pings[0].since > self._confirm_seconds:
                log.warning("%s has confirmed nothing for %g s: closing", self.name, self._confirm_seconds)
                self.cut()
                return

    # --- in ------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    await self._act(self, _parse(message.data))
                case WSMsgType.PING:
                    async with self._writing:
                        await self._socket.pong(message.data)
                case WSMsgType.PONG:
                    self._confirm(message.data)
                case _:
                    return

    def _confirm(self, payload: bytes) -> None:
        text = bytes(payload)
        if not (self._pings and text.isdigit() and self._pings[0].number <= int(text) <= self._ping_number):
            return
        # A pong answers the newest ping that was read, and every one before it.
        position = 0
        while self._pings and self._pings[0].number <= int(text):
            position = self._pings.popleft().position
        self.is_proved = True
        self._hub.confirm(self._window, position)
        if self._hub.log.has_more(self._window):
            self._wakeup.set()


def _parse(data: str | bytes) -> object:
    """Return the JSON value of a frame; a ValueError for one that holds none."""
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError) as exc:
        return ValueError(str(exc))
    return value
