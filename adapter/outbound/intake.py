"""Intake: read `qq:outbound`, know all that waits, hold little of it.

Mechanism. The reader takes everything that is unread, however much it is: `high` overtakes the whole backlog,
and applications share it, only if all of it is known. A `Head` in the backlog is what scheduling needs. The
requests themselves are held up to MAX_HELD_BYTES; the others are read again when it is their turn. An entry
that is no request waits as an id and a reason until it is rejected, at a pace.

Invariants: `_entries` holds each entry from its reading to its settlement, so a recovery queues none twice.
The memory has a bound in bytes whatever is written: a large entry is read only if a request may be as large.

What breaks them. Entries may be pending for the group that this process never read: a former lease holder
read them before it lost the lease. The reader therefore compares the pending count every RECHECK_SECONDS.
"""

import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

import anyio

from adapter.aio import AutoResetEvent
from adapter.bus.bus import Bus
from adapter.bus.connection import is_group_missing
from adapter.bus.group_reader import Row
from adapter.bus.lease import Lease
from adapter.bus.removed_requests import RemovedRequests
from adapter.bus.retry import until_served
from adapter.codec.dead_letters import MAX_DETAIL
from adapter.codec.outbound import decode_request
from adapter.errors import BusError, BusUnavailable, SchemaError
from adapter.events import SendRequest
from adapter.failpoints import Failpoint, hit
from adapter.networks.upstream import SupportsOperations, Upstream
from adapter.outbound.backlog import Backlog, Head
from adapter.outbound.call_guard import CallGuard
from adapter.outbound.schedule import Schedule
from adapter.outbound.settlement import Settlement, conflict_error

STREAM: Final = "outbound"
# Entries of one read.
READ_COUNT: Final = 200
# Entries known and not settled: up to two kilobytes each, if each is of another chat. What is beyond waits in
# Redis, unknown: more than a day of constant sending comes first.
MAX_KNOWN: Final = 40_000
# Bytes of requests that are held; the others are read again when it is their turn. A decoded request takes
# twice the bytes of its entry, and two kilobytes for its objects.
MAX_HELD_BYTES: Final = 32 * 1024 * 1024
_HELD_TIMES, _HELD_BESIDE = 2, 2_048
# Bytes of an entry beside its body: text and short fields.
MAX_BESIDE_BODY: Final = 256 * 1024
# Rejections a second: a flood of them leaves time for the others.
MAX_REJECTED: Final = 500
# Seconds between two comparisons of the pending count with what this process has read.
RECHECK_SECONDS: Final = 5.0
# Seconds that the reader waits for room.
TICK_SECONDS: Final = 0.5
# Ids of one look at the pending list.
_PENDING_IDS: Final = 1_000


class _Refused(NamedTuple):
    """An entry that is no request."""

    entry: str
    error: SchemaError


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
        self._refused: deque[_Refused] = deque()
        self._has_refused = AutoResetEvent()
        self._has_room = AutoResetEvent()

    async def run(self, stop: anyio.Event) -> None:
        """Read and reject until stopped. Raises Fenced."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._reject_loop, stop)
            await self._read_loop(stop)

    def wake(self) -> None:
        """Let the loops notice a stop."""
        self._has_room.set()
        self._has_refused.set()

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
            await self._settlement.reject(head.entry, fields or known, exc)
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
        # Entries that a former holder reads stay unsent until its successor finds them.
        await self._lease.verify()
        if is_recovered and self._clock() - self._checked >= RECHECK_SECONDS:
            self._checked = self._clock()
            await self._removed.look()
            is_recovered = await self._bus.pending_count(STREAM) <= len(self._entries)
        if not is_recovered:
            await self._recover_pending(stop)
        elif len(self._entries) >= MAX_KNOWN:
            await self._has_room.wait(TICK_SECONDS)
        else:
            for row in await self._read_new():
                await self._enqueue(row)
        self._is_recovered = True

    async def _read_new(self) -> list[Row]:
        try:
            return await self._reader.read_new(READ_COUNT)
        except BusError as exc:
            if exc.__cause__ is None or not is_group_missing(exc.__cause__):
                raise
            await self._bus.ensure_group(STREAM)
            return []

    async def _recover_pending(self, stop: anyio.Event) -> None:
        """Queue what was read before, by any process, and not settled; look at each entry before it comes."""
        await self._bus.ensure_group(STREAM)
        await self._removed.look()
        after = "0-0"
        while not stop.is_set() and (ids := await self._reader.pending_ids(after, _PENDING_IDS)):
            unknown = [entry for entry in ids if entry not in self._entries]
            while unknown and not stop.is_set():
                rows = await self._reader.read(unknown[:READ_COUNT])
                for row in rows:
                    await self._enqueue(row)
                unknown = unknown[len(rows) :]
            after = ids[-1]
            self._reader.skip_to(after)

    async def _enqueue(self, row: Row) -> None:
        # An id beyond the limit is replaced within seconds: its entry comes again.
        if row.entry in self._entries or self._bus.id_limit.is_beyond(row.entry, self._wall()):
            return
        fields: dict[bytes, bytes] | None = row.fields
        try:
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
                return
        except SchemaError as exc:
            self._entries.add(row.entry)
            # Without its traceback, whose frames hold the fields.
            error = SchemaError(str(exc)[:MAX_DETAIL], exc.code)
            self._refused.append(_Refused(row.entry, error))
            self._has_refused.set()
            return
        hit(Failpoint.READ)
        self._entries.add(row.entry)
        self._first.setdefault(request.id, (request.entry, request.digest))
        if self._held_bytes + _held_cost(row.size) <= MAX_HELD_BYTES:
            self._held[row.entry] = request
            self._held_bytes += _held_cost(row.size)
        self.backlog.add(Head.of(request, row.size, is_paced=self._is_paced(request)))
        self._wake_sender()

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

    # --- rejecting ---------------------------------------------------------------------------------

    async def _reject_loop(self, stop: anyio.Event) -> None:
        second, count = -math.inf, 0
        while not stop.is_set():
            if not self._refused:
                await self._has_refused.wait(TICK_SECONDS)
                continue
            if self._clock() - second >= 1.0:
                second, count = self._clock(), 0
            elif count >= MAX_REJECTED:
                await anyio.sleep(max(0.0, second + 1.0 - self._clock()))
                continue
            count += 1
            with suppress(BusUnavailable):  # stopped while Redis is away: the next process rejects it
                await self._reject(self._refused[0])
                self._refused.popleft()

    async def _reject(self, refused: _Refused) -> None:
        with anyio.CancelScope(shield=True):
            fields, cuts = await self._settlement.fetch_clipped(refused.entry)
            await self._settlement.reject(refused.entry, fields, refused.error, cuts)
            self._entries.discard(refused.entry)
        self._has_room.set()


def _held_cost(size: int) -> int:
    """Return the bytes of memory that a decoded request takes, by those of its entry."""
    return _HELD_TIMES * size + _HELD_BESIDE
