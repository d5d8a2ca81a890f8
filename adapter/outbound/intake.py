"""Intake: read `qq:outbound`, know all that waits, hold little of it.

Mechanism. The reader takes everything that is unread, however much it is: `high` overtakes the whole backlog,
and applications share it, only if all of it is known. A `Head` in the backlog is what scheduling needs. The
requests themselves are held up to MAX_HELD_BYTES; the others are read again when it is their turn. Entries
that are no requests wait apart, in the rejector: they take no room of requests. What has no room is left in
the pending list, and the reader goes on: see overflow.py.

Invariants: `_entries` holds each known entry from its reading to its settlement, so a recovery queues none
twice. The memory has a bound in bytes whatever is written: a large entry is read only if a request may be as
large.

What breaks them. Entries may be pending for the group that this process never read: a program with the rights
of the adapter read them. The reader therefore compares the pending count every RECHECK_SECONDS. A former
lease holder cannot: Redis refuses its reads from the step in which its successor acquires the lease.
"""

import math
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final

import anyio
import anyio.lowlevel

from adapter.aio import AutoResetEvent
from adapter.bus.bus import Bus
from adapter.bus.connection import is_group_missing
from adapter.bus.group_reader import Row
from adapter.bus.lease import Lease
from adapter.bus.removed_requests import RemovedRequests
from adapter.bus.retry import until_served
from adapter.codec.outbound import decode_request
from adapter.errors import BusError, BusUnavailable, SchemaError
from adapter.events import Priority, SendRequest
from adapter.failpoints import Failpoint, hit
from adapter.networks.upstream import SupportsOperations, Upstream
from adapter.outbound.backlog import Backlog, Head
from adapter.outbound.call_guard import CallGuard
from adapter.outbound.overflow import Overflow
from adapter.outbound.rejector import MAX_REFUSED, Rejector
from adapter.outbound.schedule import Schedule
from adapter.outbound.settlement import Refused, Settlement, conflict_error

STREAM: Final = "outbound"
# Entries of one read.
READ_COUNT: Final = 200
# Requests known and not settled: up to two kilobytes each, if each is of another chat. What is beyond waits
# in Redis, unknown: more than a day of constant sending comes first. Of `high` as many more are known.
MAX_KNOWN: Final = 40_000
MAX_HIGH: Final = 5_000
# Share of the room that is free again before what was left is read.
ROOM_SHARE: Final = 0.25
# Bytes of requests that are held; the others are read again when it is their turn. A decoded request takes
# twice the bytes of its entry, and two kilobytes for its objects.
MAX_HELD_BYTES: Final = 32 * 1024 * 1024
_HELD_TIMES, _HELD_BESIDE = 2, 2_048
# Bytes of an entry beside its body: text and short fields.
MAX_BESIDE_BODY: Final = 256 * 1024
# Seconds between two comparisons of the pending count with what this process has read.
RECHECK_SECONDS: Final = 5.0
# Seconds that the reader waits for room.
TICK_SECONDS: Final = 0.5
# Ids of one look at the pending list.
_PENDING_IDS: Final = 1_000


class Intake:
    """Fills the backlog. `wake_sender` is called when it has something new."""

    def __init__(
        self,
        bus: Bus,
        lease: Lease,
        upstream: Upstream,
        settlement: Settlement,
        schedule: Schedule,
        call_guard: CallGuard,
        *,
        wall: Callable[[], float],
        clock: Callable[[], float],
        wake_sender: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._reader = bus.group_reader(STREAM)
        self._lease = lease
        self._upstream = upstream
        self._settlement = settlement
        self._schedule = schedule
        self._call_guard = call_guard
        self._wall = wall
        self._clock = clock
        self._removed = RemovedRequests(bus, lease, settlement.metrics)
        self._wake_sender = wake_sender
        self.backlog = Backlog()
        # Whether the pending list was read since Redis served last, and when it was counted, by `clock`.
        self._is_recovered, self._checked = False, -math.inf
        self._entries: set[str] = set()
        # By request id the first entry that waits, and its digest: the ledger knows it when it is sent.
        self._first: dict[str, tuple[str, str]] = {}
        self._held: dict[str, SendRequest] = {}
        self._held_bytes = 0
        self._overflow = Overflow()
        self._has_room = AutoResetEvent()
        self._rejector = Rejector(settlement, self._forget)

    async def run(self, stop: anyio.Event) -> None:
        """Read and reject until stopped. Raises Fenced."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._rejector.run, stop)
            await self._read_loop(stop)

    def wake(self) -> None:
        """Let the loops notice a stop."""
        self._has_room.set()
        self._rejector.wake()

    def release(self, head: Head) -> None:
        """Forget a settled request: its entry may be read again, and there is room for another."""
        self._entries.discard(head.entry)
        if self._first.get(head.id, ("", ""))[0] == head.entry:
            del self._first[head.id]
        if self._held.pop(head.entry, None) is not None:
            self._held_bytes -= _held_cost(head.size)
        self._has_room.set()

    async def load(self, head: Head) -> SendRequest | None:
        """Return the request of a head; None if it is rejected now, because its entry is gone."""
        held = self._held.get(head.entry)
        if held is not None:
            return held
        fields = await self._settlement.fetch(head.entry)
        try:
            return self._decode(head.entry, fields)
        except SchemaError as exc:
            known = {b"id": head.id.encode(), b"to": head.chat.encode()}
            await self._settlement.reject([Refused(head.entry, exc, known)])
            return None

    # --- reading -----------------------------------------------------------------------------------

    async def _read_loop(self, stop: anyio.Event) -> None:
        async def step() -> None:
            await self._read(stop)

        while not stop.is_set():
            with suppress(BusUnavailable):  # stopped while Redis is away
                await until_served(step, give_up=stop.is_set, sleep=self._has_room.wait)

    async def _read(self, stop: anyio.Event) -> None:
        # If this raises, its reply may be lost: the entries are in the pending list.
        is_recovered, self._is_recovered = self._is_recovered, False
        if is_recovered and self._clock() - self._checked >= RECHECK_SECONDS:
            self._checked = self._clock()
            await self._removed.look()
            known = len(self._entries) + self._overflow.count
            is_recovered = await self._bus.pending_count(STREAM) <= known
        if not is_recovered:
            await self._recover_pending(stop)
        elif self._overflow.is_open and self._has_much_room():
            await self._read_overflow()
        elif self._overflow.is_full:
            await self._has_room.wait(TICK_SECONDS)
        else:
            for row in await self._read_new():
                await self._enqueue_or_leave(row)
            # The sender is woken, starts a request, and writes it into the ledger: before the next read.
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
        self._is_recovered = True

    async def _read_new(self) -> list[Row]:
        try:
            return await self._reader.read_new(READ_COUNT, self._lease.fence)
        except BusError as exc:
            if exc.__cause__ is None or not is_group_missing(exc.__cause__):
                raise
            await self._bus.ensure_group(STREAM)
            return []

    async def _recover_pending(self, stop: anyio.Event) -> None:
        """Queue what was read before, by any process, and not settled; look at each entry before it comes."""
        await self._bus.ensure_group(STREAM)
        await self._removed.look()
        self._overflow.clear()
        after = "0-0"
        while not stop.is_set() and (ids := await self._reader.pending_ids(after, _PENDING_IDS)):
            unknown = [entry for entry in ids if entry not in self._entries]
            while unknown and not stop.is_set():
                rows = await self._reader.read(unknown[:READ_COUNT])
                for row in rows:
                    await self._enqueue_or_leave(row)
                unknown = unknown[len(rows) :]
            after = ids[-1]

    # --- room --------------------------------------------------------------------------------------

    @property
    def _requests(self) -> int:
        return len(self._entries) - len(self._rejector)

    def _has_room_for(self, request: SendRequest) -> bool:
        most = MAX_KNOWN + MAX_HIGH if request.priority is Priority.HIGH else MAX_KNOWN
        return self._requests < most

    def _has_much_room(self) -> bool:
        share = 1 - ROOM_SHARE
        return len(self._rejector) <= share * MAX_REFUSED and self._requests <= share * MAX_KNOWN

    async def _read_overflow(self) -> None:
        """Queue some of what was left, in its order, as far as there is room."""
        ids = await self._reader.pending_ids(self._overflow.after, _PENDING_IDS)
        if not ids:
            self._overflow.clear()
            return
        unknown = [entry for entry in ids if entry not in self._entries]
        for row in await self._reader.read(unknown[:READ_COUNT]):
            if await self._enqueue(row) is not None:
                return
            self._overflow.take(row.entry)
        if not unknown:
            self._overflow.after = ids[-1]

    async def _enqueue_or_leave(self, row: Row) -> None:
        chat = await self._enqueue(row, left=self._overflow.chats)
        if chat is not None:
            self._overflow.leave(chat)

    async def _enqueue(self, row: Row, left: Collection[str] = ()) -> str | None:
        """Queue an entry; returns its chat, or "" for no request, if there is no room.

        `left`: the chats of which a request is left.
        """
        # An id beyond the limit is replaced within seconds: its entry comes again.
        if row.entry in self._entries or self._bus.id_limit.is_beyond(row.entry, self._wall()):
            return None
        try:
            request = await self._examine(row)
        except SchemaError as exc:
            if self._rejector.is_full:
                return ""
            self._entries.add(row.entry)
            self._rejector.add(row.entry, exc)
            return None
        if request is None:
            return None
        if request.chat in left or not self._has_room_for(request):
            return request.chat
        hit(Failpoint.READ)
        self._entries.add(row.entry)
        self._first.setdefault(request.id, (request.entry, request.digest))
        if self._held_bytes + _held_cost(row.size) <= MAX_HELD_BYTES:
            self._held[row.entry] = request
            self._held_bytes += _held_cost(row.size)
        self.backlog.add(Head.of(request, row.size, is_paced=self._is_paced(request)))
        self._wake_sender()
        return None

    async def _examine(self, row: Row) -> SendRequest | None:
        """Return the request in an entry; None if it waits for its time now. Raises SchemaError."""
        fields: dict[bytes, bytes] | None = row.fields
        if not row.is_whole:
            self._check_size(row.size)
            fields = await self._bus.get_entry(STREAM, row.entry)
        request = self._decode(row.entry, fields)
        await self._call_guard.check(request, fields or {})
        first = self._first.get(request.id, ("", request.digest))
        if first[1] != request.digest and not await self._settlement.is_known(request):
            raise conflict_error(request.id)
        if self._schedule.is_early(request):
            await self._schedule.keep(request, fields or {})
            return None
        return request

    def _check_size(self, size: int) -> None:
        limits = self._upstream.traits.request_limits
        limit = limits.body_bytes + MAX_BESIDE_BODY
        if size > limit:
            detail = f"the entry of {size} bytes is over the limit of {limit}"
            if limits.advice:
                detail += f": {limits.advice}"
            raise SchemaError(detail, "content.toolong")

    def _decode(self, entry: str, fields: dict[bytes, bytes] | None) -> SendRequest:
        limits = self._upstream.traits.request_limits
        return decode_request(entry, fields or {}, self._bus.keys.prefix, limits, self._wall())

    def _is_paced(self, request: SendRequest) -> bool:
        """Whether a request counts as a message: what only looks or takes back does not."""
        upstream, operation = self._upstream, request.operation
        if operation is None:
            return True
        return isinstance(upstream, SupportsOperations) and upstream.is_paced(operation)

    def _forget(self, entries: Sequence[str]) -> None:
        """Forget rejected entries."""
        self._entries.difference_update(entries)
        self._has_room.set()


def _held_cost(size: int) -> int:
    """Return the bytes of memory that a decoded request takes, by those of its entry."""
    return _HELD_TIMES * size + _HELD_BESIDE
