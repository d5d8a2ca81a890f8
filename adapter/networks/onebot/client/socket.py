"""The WebSocket of an implementation: its token, and what a refused handshake means."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Final

from adapter.networks.onebot.client.errors import ConnectionFailedError, Reason
from adapter.networks.onebot.limits import Limits
from adapter.networks.websocket import HandshakeError, Socket
from adapter.networks.websocket import open_socket as open_websocket

_REASONS: Final[Mapping[int | None, Reason]] = {
    HTTPStatus.UNAUTHORIZED: Reason.TOKEN,
    HTTPStatus.FORBIDDEN: Reason.TOKEN,
    HTTPStatus.NOT_FOUND: Reason.PATH,
}


@asynccontextmanager
async def open_socket(url: str, token: str, limits: Limits) -> AsyncIterator[Socket]:
    """Open a WebSocket and close it at the end. Raises ConnectionFailedError.

    The token travels in the Authorization header alone: addresses get logged.
    """
    async with AsyncExitStack() as stack:
        opening = open_websocket(
            url,
            {"Authorization": f"Bearer {token}"} if token else {},
            connect_seconds=limits.connect_seconds,
            close_seconds=limits.close_seconds,
            frame_bytes=limits.frame_bytes,
            ping_seconds=limits.ping_seconds,
        )
        try:
            socket = await stack.enter_async_context(opening)
        except HandshakeError as exc:
            raise ConnectionFailedError(_REASONS.get(exc.status, Reason.UNREACHABLE), str(exc)) from exc
        yield socket
