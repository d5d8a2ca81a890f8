"""The hub: one message for all open pages. A page that is slow is passed over and starts afresh later."""

from collections import deque
from typing import Final

import anyio

from adapter.wakeup import Wakeup

# At five messages a second a page may be held up for three seconds before it starts afresh.
QUEUE: Final = 16
MAX_PAGES: Final = 200


class Seat:
    """One open page. `stale`: it needs the whole picture before any news."""

    def __init__(self) -> None:
        self.queue: deque[bytes] = deque()
        self.stale = True
        self.bell = Wakeup()


class Hub:
    """All open pages."""

    def __init__(self) -> None:
        self._seats: set[Seat] = set()
        self._occupied = anyio.Event()
        self.closed = False

    def __len__(self) -> int:
        return len(self._seats)

    def join(self) -> Seat | None:
        """A page was opened; None where there are too many already."""
        if len(self._seats) >= MAX_PAGES or self.closed:
            return None
        seat = Seat()
        self._seats.add(seat)
        self._occupied.set()
        return seat

    def leave(self, seat: Seat) -> None:
        """A page was closed."""
        self._seats.discard(seat)
        if not self._seats:
            self._occupied = anyio.Event()

    def publish(self, message: bytes) -> None:
        """Give a message to all pages that can take it."""
        for seat in self._seats:
            if seat.stale:
                continue
            if len(seat.queue) >= QUEUE:
                seat.queue.clear()
                seat.stale = True
            else:
                seat.queue.append(message)
            seat.bell.ring()

    def refresh(self) -> None:
        """All pages need the whole picture."""
        for seat in self._seats:
            seat.queue.clear()
            seat.stale = True
            seat.bell.ring()

    async def occupied(self) -> None:
        """Wait until there is a page."""
        await self._occupied.wait()

    def close(self) -> None:
        """Let all pages go."""
        self.closed = True
        for seat in self._seats:
            seat.bell.ring()
