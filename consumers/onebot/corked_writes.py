"""Write the frames of a batch with one system call.

aiohttp writes each frame at once: a system call, a segment and a wake-up of the bot for each event.

Invariants:
- Bytes leave in the order in which they were written, and all of them when the body of `corked` ends.
- What is collected has at most MAX_BYTES and one write: what blocks still blocks after that.

What breaks them: a writer that does not look at `corked`. All frames of a socket pass through its one writer.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import aiohttp
from aiohttp import WSMsgType, web

# Bytes of a frame that is written without waiting: a whole window of them stays small. At most 65,535.
MAX_DIRECT: Final = 16 * 1024
# RFC 6455: a final frame of text, its size in the second byte if that is under 126, else in two more.
_TEXT: Final = 0x81
_SHORT: Final = 126
_MEDIUM_TEXT: Final = bytes((_TEXT, 126))
# Bytes that are collected: the mark at which aiohttp looks whether the peer reads.
MAX_BYTES: Final = 64 * 1024


class CorkedWrites:
    """Stands between the frame writer of a socket and its transport."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse | web.WebSocketResponse) -> None:
        writer = socket._writer  # noqa: SLF001 – aiohttp has no public name for it, and no batches
        if writer is None:
            raise ConnectionResetError("the socket is closed")
        self._socket = socket
        # A client masks what it sends, which is left to aiohttp.
        self._is_masked: bool = writer.use_mask
        self._transport: asyncio.WriteTransport = writer.transport
        self._is_corked = False
        self._parts: list[bytes] = []
        self._size = 0
        writer.transport = self  # type: ignore[assignment]

    async def send(self, frames: Iterable[bytes]) -> None:
        """Write frames of text; waits for the peer where one is large. Raises ConnectionError."""
        for frame in frames:
            size = len(frame)
            if self._is_masked or not self._is_corked or size > MAX_DIRECT:
                await self._socket.send_frame(frame, WSMsgType.TEXT)
            elif size < _SHORT:
                self._collect(bytes((_TEXT, size)) + frame)
            else:
                self._collect(_MEDIUM_TEXT + size.to_bytes(2, "big") + frame)

    @contextmanager
    def corked(self) -> Iterator[None]:
        """Collect what is written in the body; it leaves at the end."""
        self._is_corked = True
        try:
            yield
        finally:
            self._is_corked = False
            self._flush()

    def is_closing(self) -> bool:
        """Return whether the transport takes nothing more."""
        return self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Write, or collect."""
        if self._is_corked:
            self._collect(data)
        else:
            self._transport.write(data)

    def _collect(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size >= MAX_BYTES:
            self._flush()

    def _flush(self) -> None:
        parts, self._parts, self._size = self._parts, [], 0
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))
