"""The inbox: what has been received and is not on disk yet, bounded in bytes.

The socket is read without waiting for Redis, and for the disk only within this bound. Past it writers wait,
nothing is read any more, and the buffers of the other side fill.

Invariants:
- Items leave in the order in which they came, across connections.
- The bytes of a batch count until `release`, which says that the batch is on disk.
- An item is taken whatever its size when nothing else is held: a frame may be larger than the bound.
"""

from collections import deque
from typing import Final, Generic, TypeVar

import anyio

Item = TypeVar("Item")

# What an item costs beside its own bytes: the objects around it.
OVERHEAD: Final = 200


class Inbox(Generic[Item]):
    """A queue for one reader of batches and any number of writers."""

    def __init__(self, *, max_bytes: int, batch: int) -> None:
        self._max_bytes = max_bytes
        self._batch = batch
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._taken_bytes = 0
        self._room = anyio.Event()
        self._filled = anyio.Event()
        self._is_closed = False

    @property
    def is_idle(self) -> bool:
        """Whether all that came is on disk; False once closed: what comes then is ignored."""
        return not self._is_closed and not self._items and not self._taken_bytes

    @property
    def held_bytes(self) -> int:
        """The bytes of what is not on disk yet."""
        return self._bytes + self._taken_bytes

    @property
    def has_room(self) -> bool:
        """Whether fewer bytes are held than may be; a closed inbox takes nothing and holds no writer up."""
        return self._bytes + self._taken_bytes < self._max_bytes or self._is_closed

    async def wait_room(self) -> None:
        """Wait while too many bytes are held."""
        while not self.has_room:
            self._room = anyio.Event()
            await self._room.wait()

    async def put(self, item: Item, size: int) -> None:
        """Append an item; waits while too many bytes are held."""
        await self.wait_room()
        self.put_now(item, size)

    def put_now(self, item: Item, size: int = 0) -> None:
        """Append an item without waiting, for changes of the session. Ignored once closed."""
        if not self._is_closed:
            self._items.append((item, size + OVERHEAD))
            self._bytes += size + OVERHEAD
            if len(self._items) == 1:  # the reader waits for nothing while there are others
                self._filled.set()

    async def take(self, seconds: float) -> list[Item]:
        """Return all items that are there, up to a batch; [] after `seconds` without one, or once closed."""
        if not self._items and not self._is_closed:
            self._filled = anyio.Event()
            with anyio.move_on_after(seconds):
                await self._filled.wait()
        count = min(len(self._items), self._batch)
        held = [self._items.popleft() for _ in range(count)]
        size = sum(size for _, size in held)
        self._bytes -= size
        self._taken_bytes += size
        return [item for item, _ in held]

    def release(self) -> None:
        """Give back the room of the batches that were taken: they are on disk."""
        self._taken_bytes = 0
        self._room.set()

    def close(self) -> None:
        """Take no more items; those that are there can still be taken."""
        self._is_closed = True
        self._filled.set()
        self._room.set()

    @property
    def is_closed(self) -> bool:
        """Whether no more items come."""
        return self._is_closed
