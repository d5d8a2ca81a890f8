"""The WebSocket: opening it, frames in and out, and why it ended. The only module that knows `websockets`."""

import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.protocol import State

from adapter.networks.onebot.client.errors import ConnectionFailedError, Reason, SocketClosedError
from adapter.networks.onebot.limits import Limits

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
async def open_socket(url: str, token: str, limits: Limits) -> AsyncIterator[Socket]:
    """Open a WebSocket and close it at the end. Raises ConnectionFailedError.

    The token travels in the Authorization header alone: addresses get logged.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection = await connect(
            url,
            additional_headers=headers,
            compression=None,  # implementations are near by; NapCat does not offer it either
            proxy=None,
            open_timeout=limits.connect_seconds,
            ping_interval=limits.ping_seconds,
            ping_timeout=limits.ping_seconds,
            close_timeout=limits.close_seconds,
            max_size=limits.frame_bytes,
            max_queue=_QUEUED_FRAMES,
            logger=_LIBRARY_LOG,
        )
    except (OSError, TimeoutError, WebSocketException, ValueError) as exc:
        # ValueError: a redirection to an address that makes no sense.
        raise _failed(exc) from exc
    try:
        yield Socket(connection)
    finally:
        await connection.close()


def _failed(error: Exception) -> ConnectionFailedError:
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        reason = _REASONS.get(status, Reason.UNREACHABLE)
        return ConnectionFailedError(reason, f"the handshake was answered {status}")
    if isinstance(error, ssl.SSLError):
        return ConnectionFailedError(Reason.UNREACHABLE, f"TLS: {error.reason}")
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return ConnectionFailedError(Reason.UNREACHABLE, error.strerror or type(error).__name__)
    words = next((words for kind, words in _WORDS if isinstance(error, kind)), type(error).__name__)
    return ConnectionFailedError(Reason.UNREACHABLE, words)


_REASONS: Final[Mapping[int, Reason]] = {
    HTTPStatus.UNAUTHORIZED: Reason.TOKEN,
    HTTPStatus.FORBIDDEN: Reason.TOKEN,
    HTTPStatus.NOT_FOUND: Reason.PATH,
}
_WORDS: Final = (
    (TimeoutError, "no answer to the handshake"),
    (InvalidURI, "the address is not that of a WebSocket"),
    (InvalidHandshake, "what listens there does not speak WebSocket"),
)


def _closed(error: ConnectionClosed, *, sent: bool) -> SocketClosedError:
    if error.rcvd is not None and (error.rcvd_then_sent or error.sent is None):
        words = f"closed by the implementation: {error.rcvd.code} {error.rcvd.reason}".strip()
        return SocketClosedError(error.rcvd.code, words[:_MAX_REASON], sent=sent)
    if error.sent is not None and error.sent.code == _TOO_BIG:
        return SocketClosedError(_TOO_BIG, "a frame was larger than the limit", sent=sent)
    if error.sent is not None:
        words = f"closed: {error.sent.code} {error.sent.reason}".strip()
        return SocketClosedError(error.sent.code, words[:_MAX_REASON], sent=sent)
    return SocketClosedError(ABNORMAL, "the connection was lost", sent=sent)
