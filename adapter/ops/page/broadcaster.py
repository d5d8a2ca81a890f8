"""The hub: one message for all open pages. A page that is slow is passed over and starts afresh later."""

from typing import Final

import anyio
import anyio.lowlevel

from adapter.aio import AutoResetEvent
from adapter.ops.page.transport import Line, frame

MAX_PAGES: Final = 200
# Pages written to in one go, some 10 µs each: an answer to a poll that comes meanwhile waits no longer.
SLICE: Final = 4


class Subscriber:
    """One open page. `stale`: it needs the whole picture before any news."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.stale = True
        self.bell = AutoResetEvent()

    def refresh(self) -> None:
        """It needs the whole picture."""
        self.stale = True
        self.bell.set()


class Broadcaster:
    """All open pages."""

    def __init__(self) -> None:
        self._seats: set[Subscriber] = set()
        self._occupied = anyio.Event()
        self.closed = False

    def __len__(self) -> int:
        return len(self._seats)

    def join(self, line: Line) -> Subscriber | None:
        """A page was opened; None where there are too many already."""
        if len(self._seats) >= MAX_PAGES or self.closed:
            return None
        seat = Subscriber(line)
        self._seats.add(seat)
        self._occupied.set()
        return seat

    def leave(self, seat: Subscriber) -> None:
        """A page was closed."""
        self._seats.discard(seat)
        if not self._seats:
            self._occupied = anyio.Event()

    async def publish(self, message: bytes) -> None:
        """Give a message to all pages that can take it, and way to everything else between them."""
        seats, framed = list(self._seats), frame(message)
        for start in range(0, len(seats), SLICE):
            for seat in seats[start : start + SLICE]:
                if seat.stale:
                    continue
                if seat.line.behind():
                    seat.refresh()
                else:
                    seat.line.write(framed if seat.line.chunked else message)
            await anyio.lowlevel.checkpoint()

    def refresh(self) -> None:
        """All pages need the whole picture."""
        for seat in self._seats:
            seat.refresh()

    async def occupied(self) -> None:
        """Wait until there is a page."""
        await self._occupied.wait()

    def close(self) -> None:
        """Let all pages go."""
        self.closed = True
        for seat in self._seats:
            seat.bell.set()
