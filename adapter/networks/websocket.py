"""The WebSocket: opening it, frames in and out, and why it ended. The only module that knows `websockets`."""

import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.protocol import State

from adapter.errors import TransportError

# The library would log the Authorization header at DEBUG.
_LIBRARY_LOG: Final = logging.getLogger(f"{__name__}.library")
_LIBRARY_LOG.setLevel(logging.WARNING)

# Frames that the library holds before it stops reading the socket: the inbox bounds the bytes.
_QUEUED_FRAMES: Final = (8, 2)
# Of a close reason; the protocol allows 123 bytes.
_MAX_REASON: Final = 200

POLICY_VIOLATION: Final = 1008
ABNORMAL: Final = 1006
_TOO_BIG: Final = 1009


class HandshakeError(TransportError):
    """The WebSocket could not be opened. `status`: the HTTP status that refused it, None if none did."""

    def __init__(self, detail: str, status: int | None = None) -> None:
        super().__init__(detail, may_have_sent=False)
        self.status = status


class SocketClosedError(TransportError):
    """The connection has ended. `code`: of the close frame, 1006 where none came."""

    def __init__(self, code: int, detail: str, *, sent: bool = False) -> None:
        super().__init__(detail, may_have_sent=sent)
        self.code = code


class Socket:
    """One open WebSocket. All errors are SocketClosedError."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @property
    def is_open(self) -> bool:
        """Whether a frame may still be written."""
        return self._connection.state is State.OPEN

    async def receive(self) -> bytes:
        """Return the next frame."""
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed as exc:
            raise _closed(exc, sent=False) from exc

    async def send(self, text: str) -> None:
        """Write a frame; returns when the operating system has taken it.

        The error's `may_have_sent` is False only if nothing of the frame was written.
        """
        was_open = self.is_open
        try:
            await self._connection.send(text)
        except ConnectionClosed as exc:
            raise _closed(exc, sent=was_open) from exc

    def abort(self) -> None:
        """End the connection at once, without the closing handshake: the other side is not answering."""
        self._connection.transport.abort()


@asynccontextmanager
async def open_socket(
    url: str,
    headers: Mapping[str, str],
    *,
    connect_seconds: float,
    close_seconds: float,
    frame_bytes: int,
    ping_seconds: float | None = None,
) -> AsyncIterator[Socket]:
    """Open a WebSocket and close it at the end. Raises HandshakeError.

    `ping_seconds`: between two WebSocket pings, None for a server that has heartbeats of its own.
    """
    try:
        connection = await connect(
            url,
            additional_headers=headers,
            compression=None,  # no implementation of OneBot offers it, nor does Tencent's gateway
            proxy=None,
            open_timeout=connect_seconds,
            ping_interval=ping_seconds,
            ping_timeout=ping_seconds,
            close_timeout=close_seconds,
            max_size=frame_bytes,
            max_queue=_QUEUED_FRAMES,
            logger=_LIBRARY_LOG,
        )
    except (OSError, TimeoutError, WebSocketException, ValueError) as exc:
        # ValueError: a redirection to an address that makes no sense.
        raise _failed(exc) from exc
    try:
        yield Socket(connection)
    finally:
        # Cancelled, it would leave the connection open. It ends by itself within `close_seconds`.
        with anyio.CancelScope(shield=True):
            await connection.close()


def _failed(error: Exception) -> HandshakeError:
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        return HandshakeError(f"the handshake was answered {status}", status)
    if isinstance(error, ssl.SSLError):
        return HandshakeError(f"TLS: {error.reason}")
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return HandshakeError(error.strerror or type(error).__name__)
    words = next((words for kind, words in _WORDS if isinstance(error, kind)), type(error).__name__)
    return HandshakeError(words)


_WORDS: Final = (
    (TimeoutError, "no answer to the handshake"),
    (InvalidURI, "the address is not that of a WebSocket"),
    (InvalidHandshake, "what listens there does not speak WebSocket"),
)


def _closed(error: ConnectionClosed, *, sent: bool) -> SocketClosedError:
    if error.rcvd is not None and (error.rcvd_then_sent or error.sent is None):
        words = f"closed by the other side: {error.rcvd.code} {error.rcvd.reason}".strip()
        return SocketClosedError(error.rcvd.code, words[:_MAX_REASON], sent=sent)
    if error.sent is not None and error.sent.code == _TOO_BIG:
        return SocketClosedError(_TOO_BIG, "a frame was larger than the limit", sent=sent)
    if error.sent is not None:
        words = f"closed: {error.sent.code} {error.sent.reason}".strip()
        return SocketClosedError(error.sent.code, words[:_MAX_REASON], sent=sent)
    return SocketClosedError(ABNORMAL, "the connection was lost", sent=sent)
