"""Hand each message to all open pages, over one bounded queue a page.

A page that falls behind loses its queue and begins again with a snapshot. The messages are the same bytes for
all pages, so 16 full queues hold little more than one.
"""

import math
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

import anyio

from adapter.aio import AutoResetEvent
from adapter.ops.page.state import PageState, message

# Open pages: a team of operators with some tabs each. One more is refused.
MAX_PAGES: Final = 16
# Messages that a page may be behind: eight seconds of the follower, which sends four a second.
MAX_QUEUED: Final = 32
# The same in bytes: a few snapshots. Beyond it a snapshot is the shorter way.
MAX_QUEUED_BYTES: Final = 256 * 1024


class Subscriber:
    """The queue of one open page. It begins with a snapshot as soon as there is one."""

    def __init__(self, state: PageState) -> None:
        self._state = state
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._needs_snapshot = True
        self._is_closed = False
        self._wakeup = AutoResetEvent()

    def push(self, data: bytes) -> None:
        """Queue a message; a page that has not begun or is too far behind gets a snapshot instead."""
        if self._needs_snapshot:
            return
        if len(self._queue) >= MAX_QUEUED or self._queued_bytes + len(data) > MAX_QUEUED_BYTES:
            self.resync()
            return
        self._queue.append(data)
        self._queued_bytes += len(data)
        self._wakeup.set()

    def resync(self) -> None:
        """Drop the queue and begin again with a snapshot."""
        self._queue.clear()
        self._queued_bytes = 0
        self._needs_snapshot = True
        self._wakeup.set()

    def close(self) -> None:
        """End `messages`."""
        self._is_closed = True
        self._wakeup.set()

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield what this page is to get, until closed."""
        while not self._is_closed:
            if self._needs_snapshot and self._state.ready:
                # No wait between snapshot and mark: what changes from here on is queued.
                self._needs_snapshot = False
                yield self._state.snapshot() + message("clock", time.time())
            elif self._queue:
                data = self._queue.popleft()
                self._queued_bytes -= len(data)
                yield data
            else:
                await self._wakeup.wait(math.inf)


class Broadcaster:
    """All open pages."""

    def __init__(self, state: PageState) -> None:
        self._state = state
        self._subscribers: set[Subscriber] = set()
        self._occupied = anyio.Event()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._subscribers)

    def join(self) -> Subscriber | None:
        """Add a page; None if there are too many already."""
        if len(self._subscribers) >= MAX_PAGES or self._is_closed:
            return None
        subscriber = Subscriber(self._state)
        self._subscribers.add(subscriber)
        self._occupied.set()
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Remove a page."""
        self._subscribers.discard(subscriber)
        if not self._subscribers:
            self._occupied = anyio.Event()

    def publish(self, data: bytes) -> None:
        """Queue a message for all pages."""
        for subscriber in self._subscribers:
            subscriber.push(data)

    def resync(self) -> None:
        """Begin all pages again with a snapshot."""
        for subscriber in self._subscribers:
            subscriber.resync()

    async def wait_occupied(self) -> None:
        """Wait until a page is open."""
        await self._occupied.wait()

    def close(self) -> None:
        """End all pages."""
        self._is_closed = True
        for subscriber in self._subscribers:
            subscriber.close()
