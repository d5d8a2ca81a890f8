"""Server-sent events: one page's end of the hub, as an ASGI application.

The news are written by the hub. What is done here is what waits: the picture for a page that was opened
or was too slow, a word now and then, the end.
"""

import time
from typing import Final

import anyio
from starlette.types import Receive, Scope, Send

from adapter.ops.page.broadcaster import Broadcaster, Subscriber
from adapter.ops.page.state import PageState, message

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
    """Sends the whole picture, lets the hub send the news, until the page or the adapter goes."""

    def __init__(self, hub: Broadcaster, seat: Subscriber, board: PageState) -> None:
        self._hub = hub
        self._seat = seat
        self._board = board

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 – ASGI
        """Answer one request."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
                await send({"type": "http.response.start", "status": 200, "headers": _START})
                self._seat.line.widen()
                await self._speak(send)
                tasks.cancel_scope.cancel()
        finally:
            self._hub.leave(self._seat)

    async def _speak(self, send: Send) -> None:
        seat = self._seat
        while not self._hub.closed:
            # The head goes out with the first body; later this only waits until the page has caught up.
            with anyio.move_on_after(STUCK) as limit:
                await send({"type": "http.response.body", "body": b"", "more_body": True})
            if limit.cancelled_caught:
                return
            if seat.stale and self._board.ready:
                # No wait between picture and mark: what is new from here on is told by the hub.
                seat.line.tell(self._board.snapshot() + message("clock", time.time()))
                seat.stale = False
            if not await seat.bell.wait(SILENCE):
                seat.line.tell(b": still here\n\n")
        with anyio.move_on_after(1.0):
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
