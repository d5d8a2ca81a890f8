"""Hold entries until the application says that they are done: for clients that confirm in batches.

A handler acknowledges one event of a chat before it gets the next. A gateway sends many events of a chat and
hears later up to where they arrived. It registers an EntrySink instead of handlers.

Invariants:
- An entry is acknowledged only by `HeldEntries.acknowledge`. Until then it is pending under this consumer.
- What is held stays young, so that no peer claims it. What was forgotten is not touched: a peer may claim it.
- After a lost connection or `reload`, pending entries come before new ones, oldest first.

What breaks them: a consumer name that two processes share at a time. Each would load what the other holds.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from adapter import Received, SchemaError, read_event
from consumers.runtime.client import BusClient
from consumers.runtime.connection import BLOCK_MS
from consumers.runtime.consumer_group import READ_COUNT, ConsumerGroup, Pending
from consumers.runtime.dispatcher import WorkItem
from consumers.runtime.replies import mapping_of
from consumers.runtime.tasks import let_others_go_first

T = TypeVar("T")
# Looks at the peers within `claim_after`: one may fail, and the own entries still stay young enough.
_CHECKS: Final = 3
# Seconds until a full sink is asked again whether it takes entries of peers.
_FULL_SECONDS: Final = 1.0
# Entries that were read and never passed on; beyond it the oldest count as passed on.
_MAX_UNTOUCHED: Final = 10_000


class HeldEvent(NamedTuple, Generic[T]):
    """An event that the sink holds, as the sink decoded it.

    `is_redelivered`: it may have been passed on before.
    """

    entry: str
    content: T
    is_redelivered: bool


class EntrySink(Protocol[T]):
    """Where held entries go."""

    def decode(self, entry: str, fields: list[bytes]) -> T:
        """Return what the sink needs of an entry. Raises SchemaError for one that cannot be read."""

    def room(self) -> int:
        """Return how many entries it takes now; 0 while it takes none."""

    async def wait_for_room(self, seconds: float) -> None:
        """Return when there is room, or after `seconds`."""

    def take(self, events: Sequence[HeldEvent[T]]) -> None:
        """Take these, oldest first; each ends in `acknowledge` or `forget`."""


def decode_received(entry: str, fields: list[bytes]) -> Received:
    """Return an entry as workers get it. Raises SchemaError."""
    return read_event(entry, mapping_of(fields))


class HeldEntries:
    """The entries in flight, in the place of a dispatcher."""

    slots = 1

    def __init__(self, client: BusClient) -> None:
        self._client = client
        self.in_flight: dict[str, WorkItem] = {}
        self.start_slot: Callable[[], object] = lambda: None
        self.reload_due = False
        self._untouched: dict[str, None] = {}
        self._closed = False
        self._done = asyncio.Event()

    def acknowledge(self, entries: Iterable[str]) -> None:
        """Acknowledge entries; again is harmless."""
        for entry in entries:
            if self.in_flight.pop(entry, None) is not None:
                self._client.writer.ack(entry)
        self._check_done()

    def forget(self, entries: Iterable[str], *, untouched: Iterable[str] = ()) -> None:
        """Hold these no longer: they stay pending and come again at `reload`, or to a peer.

        `untouched`: those among them that were never passed on.
        """
        for entry in entries:
            self.in_flight.pop(entry, None)
        self._check_done()
        self._untouched.update(dict.fromkeys(untouched))
        while len(self._untouched) > _MAX_UNTOUCHED:
            del self._untouched[next(iter(self._untouched))]

    def reload(self) -> None:
        """Load what is pending here before anything new."""
        self.reload_due = True

    def needs_reload(self) -> bool:
        """Return whether the sink gave entries back since the last load."""
        return self.reload_due

    def was_passed_on(self, entry: str) -> bool:
        """Return whether a pending entry may have been passed on before."""
        if entry not in self._untouched:
            return True
        del self._untouched[entry]
        return False

    def is_known(self, entry: str) -> bool:
        """Return whether the entry is held, or its XACK is on its way."""
        return entry in self.in_flight or self._client.writer.ack_pending(entry)

    def is_owned(self, item: WorkItem) -> bool:  # noqa: ARG002 – a plain group has no leases
        """Return True: nothing is taken away from a living consumer."""
        return True

    def park(self, entry: str) -> bool:  # noqa: ARG002 – no handler waits in a slot
        """Return False."""
        return False

    def close(self) -> None:
        """Take nothing more."""
        self._closed = True
        self._check_done()

    def unfinished(self) -> list[Pending]:
        """Return what is held, with the attempts to record."""
        return [Pending(item.entry, max(item.attempts, 1)) for item in self.in_flight.values()]

    async def run_slot(self) -> None:
        """Return when it was closed and everything is acknowledged."""
        await self._done.wait()

    async def wait_done(self, seconds: float) -> None:
        """Wait for the same, for `seconds` at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._done.wait()

    def _check_done(self) -> None:
        if self._closed and not self.in_flight:
            self._done.set()


class HoldingSource:
    """Feeds a sink from a plain consumer group. `bury` takes an entry that cannot be read, and why."""

    def __init__(
        self,
        client: BusClient,
        group: ConsumerGroup,
        held: HeldEntries,
        sink: EntrySink[Any],
        bury: Callable[[WorkItem, SchemaError], Awaitable[object]],
        claim_after: float,
    ) -> None:
        self._client = client
        self._group = group
        self._held = held
        self._sink = sink
        self._bury = bury
        self._claim_after = claim_after
        self._next_check = 0.0
        self._has_read_all = False
        self._block_ms = min(BLOCK_MS, int(claim_after * 1000 / _CHECKS))
        self.claimed = 0

    async def recover(self) -> None:
        """Make the group; what is pending here is loaded when there is room."""
        await self._group.ensure()
        self._next_check = 0.0
        self._held.reload_due = True

    async def poll(self) -> None:
        """Read once; takes as long as a blocking read at most."""
        await self._check_peers()
        room = min(self._sink.room(), READ_COUNT)
        if room <= 0:
            await self._sink.wait_for_room(self._block_ms / 1000)
            return
        if self._held.reload_due:
            self._held.reload_due = False
            await self._load_pending()
            return
        if self._has_read_all:
            self._has_read_all = False
            # The sink may have no room any more when the wait is over.
            await self._group.wait_new(self._block_ms)
            return
        entries = await self._group.read_now(room)
        if self._held.needs_reload():
            # What the sink gave back since then is older than these: all come again, in order.
            self._held.forget((), untouched=[entry for entry, _ in entries])
            return
        self._has_read_all = len(entries) < room
        if entries:
            await self._submit([WorkItem(*entry) for entry in entries])
            await let_others_go_first()

    async def heartbeat(self) -> None:
        """Keep peers from claiming what is held."""
        await self._group.touch(self._held.in_flight)

    async def leave(self, unfinished: Sequence[Pending]) -> None:
        """Release what is held to the peers; delete this consumer if it has nothing."""
        await self._group.release(unfinished, self._client.writer.unacknowledged)
        await self._group.delete_consumer()

    async def _check_peers(self) -> None:
        now = time.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + self._claim_after / _CHECKS
        if self._held.in_flight:
            await self._group.touch(self._held.in_flight)
        if self._sink.room() <= 0:
            self._next_check = min(self._next_check, now + _FULL_SECONDS)
        elif await self._group.autoclaim(int(self._claim_after * 1000)):
            await self._load_pending()
            self._next_check = now  # there may be more
        else:
            await self._group.delete_idle_consumers()

    async def _load_pending(self) -> None:
        loaded = await self._group.load_pending(self._held.is_known)
        if self._held.needs_reload():
            return
        self.claimed += len(loaded)
        await self._submit([WorkItem(row.entry, fields, row.attempts) for row, fields in loaded])

    async def _submit(self, items: Sequence[WorkItem]) -> None:
        events = []
        for item in items:
            try:
                content = self._sink.decode(item.entry, item.fields)
            except SchemaError as exc:
                await self._bury(item, exc)
                continue
            self._held.in_flight[item.entry] = item
            again = item.attempts > 0 and self._held.was_passed_on(item.entry)
            events.append(HeldEvent(item.entry, content, again))
            # The content is in the event; the fields would double it.
            item.fields = []
        if events:
            self._sink.take(events)
