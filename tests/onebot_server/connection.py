"""One WebSocket with a client: an ordered queue of frames, and the faults of the socket itself."""

import asyncio
import socket
import struct
from collections import deque
from dataclasses import dataclass
from typing import Literal, Protocol

from .record import Emission

Role = Literal["universal", "api", "event", "dead"]

# Bytes that wait for a client that does not read; beyond it the connection is reset.
MAX_BACKLOG = 128 * 1024 * 1024
# Bytes in one write, and in the socket's own buffer before the writer waits.
MAX_WRITE = 256 * 1024
# Seconds after which a full socket is looked at again.
_DRAIN_SECONDS = 0.002
# SO_LINGER of 0 s: closing sends a reset.
_LINGER_NONE = struct.pack("ii", 1, 0)


class Line(Protocol):
    """What carries the frames: a server's or a client's side of a WebSocket."""

    @property
    def transport(self) -> asyncio.Transport: ...
    async def send(self, texts: list[str]) -> bool: ...
    async def send_half(self, text: str) -> None: ...
    async def close(self, code: int, reason: str) -> None: ...


@dataclass(frozen=True)
class Frame:
    """One text frame; `emission` is the event in it."""

    text: str
    size: int
    emission: Emission | None = None


class Connection:
    """Sends frames in order, each when the socket takes it."""

    def __init__(self, number: int, line: Line, role: Role, path: str, *, is_reverse: bool = False) -> None:
        self.number = number
        self.role = role
        self.path = path
        self.is_reverse = is_reverse
        self.cause = ""  # of the end, if the server made it
        self.is_silent = False  # events are withheld from this client alone
        self.is_dropping = False  # its backlog is too large for events (SnowLuma)
        self.backlog = 0
        self._line = line
        self._queue: deque[Frame] = deque()
        self._wake = asyncio.Event()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._is_ended = False

    @property
    def takes_events(self) -> bool:
        """Whether events go to this connection."""
        return self.role in {"universal", "event"} and not self._is_ended

    @property
    def takes_actions(self) -> bool:
        """Whether actions are answered here."""
        return self.role in {"universal", "api"}

    @property
    def is_frozen(self) -> bool:
        """Whether nothing is read or written at present."""
        return not self._thawed.is_set()

    @property
    def unsent(self) -> int:
        """Bytes that wait, in the queue and in the socket's buffer."""
        return self.backlog + self._line.transport.get_write_buffer_size()

    def put(self, frame: Frame) -> None:
        """Queue a frame; a backlog past the bound resets the connection."""
        if self._is_ended:
            return
        self._queue.append(frame)
        self.backlog += frame.size
        if self.backlog > MAX_BACKLOG:
            self.reset("backlog")
        self._wake.set()

    async def write(self) -> None:
        """Write what is queued until the connection ends."""
        while not self._is_ended:
            await self._wake.wait()
            await self._thawed.wait()
            batch = self._next_batch()
            if not batch:
                self._wake.clear()
                continue
            is_sent = await self._line.send([frame.text for frame in batch])
            for frame in batch:
                if frame.emission is not None and is_sent:
                    frame.emission.written.append(self.number)
            while self._line.transport.get_write_buffer_size() > MAX_WRITE:  # noqa: ASYNC110 – a transport has no public event for it
                await asyncio.sleep(_DRAIN_SECONDS)

    def _next_batch(self) -> list[Frame]:
        batch: list[Frame] = []
        size = 0
        while self._queue and size < MAX_WRITE and not self._is_ended:
            frame = self._queue.popleft()
            self.backlog -= frame.size
            size += frame.size
            batch.append(frame)
        return batch

    # Faults

    def freeze(self) -> None:
        """Keep the socket open and neither read nor write: half-open."""
        self._thawed.clear()
        self._line.transport.pause_reading()

    def thaw(self) -> None:
        """Read and write again."""
        if self.is_frozen:
            self._thawed.set()
            if not self._is_ended:
                self._line.transport.resume_reading()

    def reset(self, cause: str = "reset") -> None:
        """End the TCP connection with a reset."""
        self.cause = self.cause or cause
        raw = self._line.transport.get_extra_info("socket")
        if raw is not None and raw.fileno() >= 0:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._line.transport.abort()
        self.end()

    async def close(self, code: int, reason: str = "", cause: str = "closed") -> None:
        """Close in order; code 1005 sends a close frame without a code."""
        self.cause = self.cause or cause
        self.end()
        await self._line.close(code, reason)

    async def cut(self, text: str) -> None:
        """Send half of a frame, then end the TCP connection."""
        self.cause = self.cause or "cut"
        await self._line.send_half(text)
        self._line.transport.close()
        self.end()

    def end(self) -> None:
        """Stop writing."""
        self._is_ended = True
        self._queue.clear()
        self.backlog = 0
        self._wake.set()
        self._thawed.set()
