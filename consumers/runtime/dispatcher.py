"""Per-chat queues: events of one chat one after the other, of several chats at the same time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from consumers.runtime.consumer_group import Pending
from consumers.runtime.replies import entry_key

# Entries read ahead while handlers are quick. Slow ones get fewer, so that peers get work too.
MAX_PREFETCH: Final = 1_000
# Handlers that wait for a message without a slot, with what they keep in memory; further ones keep theirs.
MAX_PARKED: Final = 10_000


@dataclass(slots=True)
class WorkItem:
    """An entry in flight.

    `attempts`: how often it was started; one that was not started here was not finished elsewhere.
    `revoked`: the lease ended while its handler ran, and another member owns it now.
    """

    entry: str
    # Decoded when their turn comes, which keeps a long queue small.
    fields: list[bytes]
    attempts: int = 0
    revoked: bool = False


def chat_of(fields: Sequence[bytes]) -> bytes:
    """Return the chat of an entry, the key of its order."""
    # The contract's order puts `chat` eighth; an adapter that adds fields may not.
    if len(fields) > 15 and fields[14] == b"chat":  # noqa: PLR2004
        return fields[15]
    names = fields[::2]
    return fields[names.index(b"chat") * 2 + 1] if b"chat" in names else b""


@dataclass(slots=True, eq=False)
class ChatQueue:
    """The items of one chat, oldest first. While `busy`, a handler has the first."""

    chat: bytes
    items: deque[WorkItem]
    busy: bool = False


Handle = Callable[[WorkItem], Awaitable[float | None]]


class Dispatcher(Protocol):
    """What has the entries between their reading and their XACK.

    The runtime starts `slots` of `run_slot`, and one more at each call of `start_slot`.
    """

    slots: int
    in_flight: dict[str, WorkItem]
    start_slot: Callable[[], object]

    def is_owned(self, item: WorkItem) -> bool:
        """Return whether a handler may still start this item here."""

    def park(self, entry: str) -> bool:
        """Let a handler wait outside of its slot; False if none has this entry."""

    def close(self) -> None:
        """Start nothing more."""

    def unfinished(self) -> list[Pending]:
        """Return what is left when no slot runs any more, with the attempts to record."""

    async def run_slot(self) -> None:
        """Work until closed."""


class KeyedDispatcher:
    """Calls `handle` for items, `slots` at a time, in order for each chat.

    `handle` returns None when the item is done, or the seconds until its next attempt. A chat that waits
    for the next attempt takes no slot. Nothing starts while `lease_valid` returns False; the owner of the
    lease then calls `revoke`.
    """

    def __init__(self, handle: Handle, slots: int) -> None:
        self._handle = handle
        self.lease_valid: Callable[[], bool] = lambda: True
        self.slots = slots
        self.in_flight: dict[str, WorkItem] = {}
        self._queues: dict[bytes, ChatQueue] = {}
        self._ready: deque[ChatQueue] = deque()
        # Items whose handlers wait for a message: they hold neither their chat nor a slot.
        self._parked: set[str] = set()
        self.start_slot: Callable[[], object] = lambda: None
        self._idle_slots: deque[asyncio.Future[None]] = deque()
        self._drained = asyncio.Event()
        self._low_water = 0
        self._closed = False

    def submit(self, items: Iterable[WorkItem]) -> None:
        """Queue items behind what their chats already wait for."""
        for item in items:
            if item.entry in self.in_flight:
                # Its handler ran while the lease ended, and this process was assigned it again.
                self.in_flight[item.entry].revoked = False
                continue
            self.in_flight[item.entry] = item
            chat = chat_of(item.fields)
            queue = self._queues.get(chat)
            if queue is None:
                queue = self._queues[chat] = ChatQueue(chat, deque((item,)))
                self._offer(queue)
            elif item.attempts:
                _insert_in_order(queue, item)
            else:
                queue.items.append(item)

    def is_owned(self, item: WorkItem) -> bool:
        """Return whether a handler may still start this item here."""
        return not item.revoked and self.lease_valid()

    @property
    def active(self) -> int:
        """Return how many items wait for a slot or have one."""
        return len(self.in_flight) - len(self._parked)

    def park(self, entry: str) -> bool:
        """Free the chat and the slot of a handler that waits; False if it holds none.

        Its slot ends with it, and another one is started in its place.
        """
        item = self.in_flight.get(entry)
        queue = None if item is None else self._queues.get(chat_of(item.fields))
        if queue is None or not queue.busy or queue.items[0] is not item or len(self._parked) >= MAX_PARKED:
            return False
        self._parked.add(entry)
        queue.busy = False
        self._shift(queue)
        self.start_slot()
        self._note_drained()
        return True

    def revoke(self) -> None:
        """Drop all that no handler has; what a handler has is finished and not tried again."""
        for entry in self._parked:
            self.in_flight[entry].revoked = True
        for queue in list(self._queues.values()):
            for item in list(queue.items)[1 if queue.busy else 0 :]:
                del self.in_flight[item.entry]
            if queue.busy:
                queue.items[0].revoked = True
                queue.items = deque((queue.items[0],))
            else:
                queue.items.clear()
                del self._queues[queue.chat]
        self._ready.clear()

    def close(self) -> None:
        """Start nothing more."""
        self._closed = True
        while self._idle_slots:
            self._wake_slot()

    def unfinished(self) -> list[Pending]:
        """Return what is left when no slot runs any more, with the attempts to record.

        An attempt that a stop ended does not count towards the dead letters. An item that was started
        at all keeps one: a handler that must not act twice has to know.
        """
        running = [self.in_flight[entry] for entry in self._parked]
        running += [queue.items[0] for queue in self._queues.values() if queue.busy]
        waiting = [
            item
            for queue in self._queues.values()
            for item in list(queue.items)[1 if queue.busy else 0 :]
            if not item.revoked
        ]
        return [
            Pending(item.entry, max(min(item.attempts, 1), item.attempts - 1))
            for item in running
            if not item.revoked
        ] + [Pending(item.entry, item.attempts) for item in waiting]

    async def wait_below(self, number: int, seconds: float) -> bool:
        """Wait until at most `number` items are in flight; False if `seconds` pass before."""
        self._low_water = number
        if self.active <= number:
            return True
        self._drained.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._drained.wait()
        except TimeoutError:
            return False
        return True

    async def run_slot(self) -> None:
        """Handle items one at a time until closed."""
        loop = asyncio.get_running_loop()
        while not self._closed:
            if not self._ready:
                idle: asyncio.Future[None] = loop.create_future()
                self._idle_slots.append(idle)
                await idle
                continue
            queue = self._ready.popleft()
            # A queue that was revoked while it waited for its next attempt is empty.
            if not queue.items or not self.lease_valid():
                continue
            item = queue.items[0]
            queue.busy = True
            delay = await self._handle(item)
            if item.entry in self._parked:
                self._unpark(item, delay)
                return
            queue.busy = False
            if delay is None or item.revoked:
                self._remove_first(queue)
            elif not self._closed:
                loop.call_later(delay, self._offer, queue)

    def _remove_first(self, queue: ChatQueue) -> None:
        del self.in_flight[queue.items[0].entry]
        self._shift(queue)
        self._note_drained()

    def _shift(self, queue: ChatQueue) -> None:
        queue.items.popleft()
        if queue.items:
            self._ready.append(queue)
        else:
            del self._queues[queue.chat]

    def _unpark(self, item: WorkItem, delay: float | None) -> None:
        """Forget a parked item, or queue it again for its next attempt."""
        if delay is not None and self._closed:
            return  # `unfinished` names it
        self._parked.discard(item.entry)
        del self.in_flight[item.entry]
        self._note_drained()
        if delay is not None and not item.revoked:
            asyncio.get_running_loop().call_later(delay, self.submit, (item,))

    def _note_drained(self) -> None:
        if self.active <= self._low_water:
            self._drained.set()

    def _offer(self, queue: ChatQueue) -> None:
        self._ready.append(queue)
        self._wake_slot()

    def _wake_slot(self) -> None:
        if self._idle_slots:
            idle = self._idle_slots.popleft()
            if not idle.done():
                idle.set_result(None)


def _insert_in_order(queue: ChatQueue, item: WorkItem) -> None:
    """Insert behind everything older: what a dead peer left may be older than what waits."""
    first = 1 if queue.busy else 0
    index = len(queue.items)
    while index > first and entry_key(queue.items[index - 1].entry) > entry_key(item.entry):
        index -= 1
    queue.items.insert(index, item)


class Prefetch:
    """How many entries to have in flight: more while handlers are quick, fewer while they are slow."""

    def __init__(self, slots: int) -> None:
        self._min = slots
        self.limit = min(2 * slots, MAX_PREFETCH)

    def available(self, in_flight: int) -> int:
        """Return how many entries to read."""
        return self.limit - in_flight

    def grow(self, received: int, asked: int, in_flight: int) -> None:
        """Double the limit if a read was full and the slots had run dry before it."""
        if received == asked and in_flight < self._min:
            self.limit = min(self.limit * 2, MAX_PREFETCH)

    def shrink(self) -> None:
        """Halve the limit: handlers are slow, and a peer could have had some of the entries."""
        self.limit = max(self.limit // 2, self._min)
