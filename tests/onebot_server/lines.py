"""The two sides of a WebSocket that carry frames: aiohttp's server and websockets' client."""

import asyncio
import struct

from aiohttp import WSMsgType, web
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

_TEXT = 0x81
_SHORT = 126
_LONG = 65_536
_NO_CODE = 1005


def server_frame(payload: bytes) -> bytes:
    """Return a whole text frame as a server sends it."""
    size = len(payload)
    if size < _SHORT:
        return bytes((_TEXT, size)) + payload
    if size < _LONG:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload


class ServerLine:
    """The server's side. Frames are written to the transport at once, a batch in one write."""

    def __init__(self, transport: asyncio.Transport, socket: web.WebSocketResponse) -> None:
        self.transport = transport
        self._socket = socket

    async def send(self, texts: list[str]) -> bool:
        """Write frames; return whether the socket was open."""
        if self.transport.is_closing():
            return False
        self.transport.write(b"".join(server_frame(encoded(text)) for text in texts))
        return True

    async def send_half(self, text: str) -> None:
        """Write the first half of a frame."""
        frame = server_frame(encoded(text))
        self.transport.write(frame[: len(frame) // 2])

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame and wait for the client's own."""
        if code == _NO_CODE:
            await self._socket.send_frame(b"", WSMsgType.CLOSE)
            self.transport.close()
        else:
            await self._socket.close(code=code, message=reason.encode())


class ClientLine:
    """The side of a reverse connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @property
    def transport(self) -> asyncio.Transport:
        """Return the socket's transport."""
        return self._connection.transport

    async def send(self, texts: list[str]) -> bool:
        """Write frames; return whether the connection was open."""
        try:
            for text in texts:
                await self._connection.send(text)
        except ConnectionClosed:
            return False
        return True

    async def send_half(self, text: str) -> None:
        """Write the beginning of a frame: its header announces more than follows."""
        self.transport.write(struct.pack("!BBH", _TEXT, 0x80 | 126, len(text) % _LONG) + b"\0\0\0\0{")

    async def close(self, code: int, reason: str) -> None:
        """Close in order."""
        await self._connection.close(1000 if code == _NO_CODE else code, reason)


def encoded(text: str) -> bytes:
    """Return the bytes of a frame; a lone surrogate becomes an escape that JSON knows."""
    return text.encode("utf-8", "backslashreplace")
