"""Server-sent events: one page's end of the hub, as an ASGI application."""

import time
from typing import Final

import anyio
from starlette.types import Receive, Scope, Send

from adapter.ops.page.board import Board, message
from adapter.ops.page.hub import Hub, Seat

# Proxies and browsers drop a line that says nothing for long.
SILENCE: Final = 15.0
# A page that takes nothing for so long is gone, or might as well be.
STUCK: Final = 30.0

_START: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class EventStream:
    """Sends the whole picture, then the news, until the page or the adapter goes."""

    def __init__(self, hub: Hub, seat: Seat, board: Board) -> None:
        self._hub = hub
        self._seat = seat
        self._board = board

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 – ASGI
        """Answer one request."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
                await send({"type": "http.response.start", "status": 200, "headers": _START})
                await self._speak(send)
                tasks.cancel_scope.cancel()
        finally:
            self._hub.leave(self._seat)

    async def _speak(self, send: Send) -> None:
        while not self._hub.closed:
            chunk = self._next()
            if not chunk and not await self._seat.bell.wait(SILENCE):
                chunk = b": still here\n\n"
            if chunk:
                with anyio.move_on_after(STUCK) as limit:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if limit.cancelled_caught:
                    return
        with anyio.move_on_after(1.0):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _next(self) -> bytes:
        seat = self._seat
        if not seat.stale:
            chunk = b"".join(seat.queue)
            seat.queue.clear()
            return chunk
        if not self._board.ready:
            return b""
        seat.queue.clear()
        seat.stale = False
        return self._board.picture() + message("clock", time.time())


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
