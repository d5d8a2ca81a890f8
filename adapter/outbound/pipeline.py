"""Outbound pipeline: read `qq:outbound`, schedule, send, settle.

Mechanism. Three loops share one backlog. The reader fills the backlog from the consumer group, first with
the entries that are pending from before. The dispatch loop selects a request whenever session, lease and
pacing allow a send, and starts a task for it. The task sends one part and decides what follows. A request
moves through these states:

    unread -> queued -> in flight -> settling -> settled
                ^            |
                +------------+  more parts, or a part to repeat

`queued` requests are in the backlog; `_expire_overdue` settles those whose time is over. `in flight`
requests have a task. The task is shielded: a stop waits until its outcome is recorded. A `settling`
request holds its chat no more: the next request of the chat may start, but `_wait_previous` keeps its first
byte back until the result is written.

Invariants:
- One request per chat is in flight, so a chat keeps the order of `qq:outbound`.
- Before each write to QQ the upstream asks the lease again. A part that was not sent is sent later.
- Ids of chats are resolved for each part: SmartQQ's ids hold for one login.
- Two entries with the same id are never in flight together: the second waits and gets the same result.
- The ledger is Settlement's (see settlement.py). This module decides when to send, never whether.

What breaks them. `_seen_entries` must hold each entry from its reading to its settlement: without it a
recovery reads the entry twice. Entries may be pending for the group that this process never read: a former
lease holder read them before it lost the lease. The reader therefore compares the pending count every
RECHECK_SECONDS.
"""

import logging
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import anyio
from anyio.abc import TaskGroup

from adapter.aio import AutoResetEvent
from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.bus.retry import until_served
from adapter.codec.outbound import decode_request
from adapter.content import render
from adapter.errors import BusError, BusUnavailable, SchemaError
from adapter.events import Address, Operation, Outcome, Part, Recall, SendRequest, Status
from adapter.failpoints import Failpoint, hit
from adapter.networks.upstream import SupportsOperations, SupportsPacing, Upstream, unsupported
from adapter.outbound.backlog import Backlog
from adapter.outbound.call_guard import CallGuard
from adapter.outbound.pacing import Pacer
from adapter.outbound.schedule import Schedule
from adapter.outbound.send_job import NextStep, SendJob
from adapter.outbound.settlement import Settlement
from adapter.permanent_directory import AnyDirectory

log = logging.getLogger(__name__)

STREAM = "outbound"
# Entries per XREADGROUP; fewer on a network whose requests may be large.
READ_COUNT = 100
# Entries read and not settled: an operator can inspect the others in Redis, where they cost no memory here.
MAX_BACKLOG = 1_000
# Bytes of these entries: there may be pictures in them.
MAX_BACKLOG_BYTES = 64 * 1024 * 1024
# Requests in flight, each of another chat: a chat that hangs holds back itself alone.
MAX_IN_FLIGHT = 4
# Seconds between two comparisons of the pending count with what this process has read.
RECHECK_SECONDS = 5.0
# Seconds between two looks for overdue requests, and the longest wait of the loops.
TICK_SECONDS = 0.5
TARGET_UNKNOWN = "target.unknown"
# An operation has one part: it is carried out at once.
_OPERATION = (Part("", ""),)


class _PendingSettlement:
    """The settlement of the last request of a chat."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.error: BusError | None = None


class OutboundPipeline:
    """The sender of requests. `paused` holds back every part that is not in flight."""

    def __init__(
        self,
        bus: Bus,
        lease: Lease,
        upstream: Upstream,
        directory: AnyDirectory,
        settlement: Settlement,
        pacer: Pacer,
        *,
        wall: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._bus = bus
        self._lease = lease
        self._upstream = upstream
        self._directory = directory
        self._settlement = settlement
        self.pacer = pacer
        self._wall = wall
        self._clock = clock
        self._backlog = Backlog()
        self._call_guard = CallGuard(bus)
        # Whether the pending list was read since Redis served last, and when it was counted, by `clock`.
        self._is_recovered, self._checked = False, -math.inf
        # Entries read and not settled, and the bytes of each.
        self._seen_entries: dict[str, int] = {}
        self._seen_bytes = 0
        large = upstream.traits.request_limits.body_bytes
        self._read_count = max(1, min(READ_COUNT, MAX_BACKLOG_BYTES // large))
        # Started requests that are not settled, and requests in flight or settling, by request id.
        self._jobs: dict[str, SendJob] = {}
        self._in_flight: set[str] = set()
        # Settlements that run while their chat is free again, by chat.
        self._settling: dict[str, _PendingSettlement] = {}
        self._wakeup = AutoResetEvent()
        self._capacity = AutoResetEvent()
        self.schedule = Schedule(bus, lease, wall)
        self.paused = False

    async def run(self, stop: anyio.Event) -> None:
        """Read and send until stopped; returns when no request is in flight."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read_loop, stop)
            tasks.start_soon(self.schedule.run, stop)
            await self._dispatch_loop(stop, tasks)
        # Between two parts nothing is in doubt: the next process goes on from here.
        for job in self._jobs.values():
            if not job.suspended:
                await self._settlement.save_progress(job, suspend=True)

    def wake(self) -> None:
        """Let the loops notice a stop, a resume or a new session."""
        self._wakeup.set()
        self._capacity.set()
        self.schedule.wake()

    # --- unread -> queued --------------------------------------------------------------------------

    async def _read_loop(self, stop: anyio.Event) -> None:
        async def step() -> None:
            await self._read(stop)

        while not stop.is_set():
            with suppress(BusUnavailable):  # stopped while Redis is away
                await until_served(step, give_up=stop.is_set, sleep=self._capacity.wait)

    async def _read(self, stop: anyio.Event) -> None:
        # If this raises, its reply may be lost: the entries are in the pending list.
        is_recovered, self._is_recovered = self._is_recovered, False
        # Entries that a former holder reads stay unsent until its successor finds them.
        await self._lease.verify()
        if is_recovered and self._clock() - self._checked >= RECHECK_SECONDS:
            self._checked = self._clock()
            is_recovered = await self._bus.pending_count(STREAM) <= len(self._seen_entries)
        if not is_recovered:
            await self._recover_pending(stop)
        elif len(self._seen_entries) >= MAX_BACKLOG or self._seen_bytes >= MAX_BACKLOG_BYTES:
            await self._capacity.wait(TICK_SECONDS)
        else:
            for entry, fields in await self._bus.read_new(STREAM, self._read_count):
                await self._enqueue(entry, fields)
        self._is_recovered = True

    async def _recover_pending(self, stop: anyio.Event) -> None:
        """Queue what was read before, by any process, and not settled."""
        await self._bus.ensure_group(STREAM)
        after = "0"
        while not stop.is_set():
            entries = await self._bus.read_pending(STREAM, after, self._read_count)
            if not entries:
                return
            for entry, fields in entries:
                if entry not in self._seen_entries:
                    await self._enqueue(entry, fields)
            after = entries[-1][0]

    async def _enqueue(self, entry: str, fields: dict[bytes, bytes]) -> None:
        try:
            limits = self._upstream.traits.request_limits
            request = decode_request(entry, fields, self._bus.keys.prefix, limits)
            await self._call_guard.check(request, fields)
        except SchemaError as exc:
            await self._settlement.reject(entry, fields, exc)
            return
        hit(Failpoint.READ)
        if self.schedule.is_early(request):
            try:
                await self.schedule.keep(request, fields)
            except SchemaError as exc:
                await self._settlement.reject(entry, fields, exc)
            return
        self._seen_entries[entry] = size = sum(map(len, fields.values()))
        self._seen_bytes += size
        self._backlog.add(request)
        self._wakeup.set()

    async def _expire_overdue(self) -> None:
        """Settle queued requests whose time is over, unless a part may be sent already."""
        for request in self._backlog.expired(self._wall()):
            if self._is_duplicate(request):
                continue
            if await self._settlement.settle_unstarted(request, Outcome(Status.EXPIRED, "expired")):
                self._backlog.remove(request)
                self._release(request)
            else:
                self._backlog.mark_started(request)

    # --- queued -> in flight -----------------------------------------------------------------------

    async def _dispatch_loop(self, stop: anyio.Event, tasks: TaskGroup) -> None:
        checked = -math.inf
        while not stop.is_set():
            if self._clock() - checked >= TICK_SECONDS:
                checked = self._clock()
                await self._expire_overdue()
            if pause := await self._dispatch(tasks):
                await self._wakeup.wait(pause)

    async def _dispatch(self, tasks: TaskGroup) -> float:
        """Start one request if one may start; returns the seconds to wait before the next call."""
        if self.paused or not len(self._backlog) or self._in_flight_count() >= MAX_IN_FLIGHT:
            return TICK_SECONDS
        if not await self._wait_session():
            return 0.0
        if self.paused or not self._lease.valid():
            return TICK_SECONDS
        now = self._clock()
        delay = self.pacer.delay(now)
        if not delay:
            await self._expire_overdue()
        request = self._select(now, delay)
        if request is None:
            return min(delay or TICK_SECONDS, TICK_SECONDS)
        if self._is_paced(request):
            self.pacer.record_send(request.chat, now)
        self._in_flight.add(request.id)
        tasks.start_soon(self._process, request)
        return 0.0

    def _in_flight_count(self) -> int:
        return len(self._in_flight) - len(self._settling)

    async def _wait_session(self) -> bool:
        """Wait for the session for TICK_SECONDS; returns whether there is one."""
        with anyio.move_on_after(TICK_SECONDS):
            await self._upstream.connected()
            return True
        return False

    def _select(self, now: float, delay: float) -> SendRequest | None:
        """Take the next request that is due and no duplicate; its chat is busy from here on."""

        def is_due(request: SendRequest) -> bool:
            is_free = not delay and self.pacer.chat_delay(request.chat, now) == 0
            return (is_free and self._is_allowed(request)) or not self._is_paced(request)

        duplicates: list[SendRequest] = []
        while (request := self._backlog.pop(is_due)) is not None:
            if not self._is_duplicate(request):
                break
            duplicates.append(request)
        for duplicate in duplicates:
            self._backlog.requeue(duplicate)
        return request

    def _is_paced(self, request: SendRequest) -> bool:
        """Whether a request counts as a message: what only looks or takes back does not."""
        upstream, operation = self._upstream, request.operation
        if operation is None:
            return True
        return isinstance(upstream, SupportsOperations) and upstream.is_paced(operation)

    def _is_allowed(self, request: SendRequest) -> bool:
        """Whether the network takes a message to this chat now."""
        upstream, to = self._upstream, request.to
        if not isinstance(upstream, SupportsPacing) or to is None:
            return True
        target = self._directory.resolve(to)
        return target is None or upstream.is_due(target, request.answers)

    def _is_duplicate(self, request: SendRequest) -> bool:
        """Whether its id is being sent for another entry: that result will answer this one, too."""
        job = self._jobs.get(request.id)
        return request.id in self._in_flight or (job is not None and job.request.entry != request.entry)

    # --- in flight -> queued or settled ------------------------------------------------------------

    async def _process(self, request: SendRequest) -> None:
        """Send one part of a request, then requeue the request or settle it."""
        chat = request.chat
        with anyio.CancelScope(shield=True):
            try:
                job = await self._start(request)
                if job is None:
                    self._backlog.release_chat(chat)
                    self._release(request)
                elif (outcome := await self._send_next_part(job)) is None:
                    self._backlog.requeue(request, started=job.may_have_sent)
                else:
                    self._backlog.release_chat(chat)
                    self._wakeup.set()
                    await self._settle_last(chat, job, outcome)
                    await self._call_guard.forget(request)
                    self._release(request)
            finally:
                self._in_flight.discard(request.id)
                # The chat is free, or a duplicate of this id may go on.
                self._wakeup.set()

    async def _start(self, request: SendRequest) -> SendJob | None:
        """Start a request in the ledger, unless its job is running; None if it is settled now."""
        job = self._jobs.get(request.id)
        if job is not None and not job.suspended:
            return job
        try:
            parts = job.parts if job else self._split(request)
        except SchemaError as exc:
            await self._wait_previous(request)
            outcome = Outcome(Status.FAILED, "content.unsupported", str(exc))
            await self._settlement.settle_unstarted(request, outcome)
            return None
        job = await self._settlement.start(request, parts, job, lambda: self._wait_previous(request))
        if job is not None:
            self._jobs[request.id] = job
        return job

    def _split(self, request: SendRequest) -> tuple[Part, ...]:
        if request.operation is not None:
            return _OPERATION
        return self._upstream.split(request.segments, request.font)

    async def _send_next_part(self, job: SendJob) -> Outcome | None:
        """Send the next part; returns the outcome of the request, None if more is to be sent."""
        hit(Failpoint.BEGUN)
        outcome = await self._send_part(job.request, job.next_part)
        hit(Failpoint.ANSWERED)
        step = job.apply(outcome)
        if isinstance(step, Outcome):
            return step
        await self._settlement.save_progress(job, suspend=step is NextStep.SUSPEND)
        hit(Failpoint.STEPPED)
        return None

    async def _send_part(self, request: SendRequest, part: Part) -> Outcome | None:
        """Send a part to the chat's present address; None if nothing was sent, as without a session."""
        if not await self._wait_session():
            return None
        if request.operation is not None:
            return await self._perform(request.operation, request.to)
        target = None if request.to is None else self._directory.resolve(request.to)
        if target is None:
            return Outcome(Status.FAILED, TARGET_UNKNOWN, f"{request.to} cannot be reached in this session")
        own_sends, chat = self._settlement.own_sends, str(request.to)
        with own_sends.sending(chat):
            outcome = await self._upstream.send(
                target, part, answers=request.answers, may_send=self._lease.valid
            )
            own_sends.add(chat, outcome, render(request.segments), self._wall())
        return outcome

    async def _perform(self, operation: Operation, to: Address | None) -> Outcome | None:
        upstream = self._upstream
        if isinstance(operation, Recall) and to is not None:
            operation = replace(operation, chat=self._directory.resolve(to))
        if not isinstance(upstream, SupportsOperations):
            return Outcome(Status.FAILED, "content.unsupported", unsupported(upstream, "op"))
        return await upstream.perform(operation, self._lease.valid)

    async def _settle_last(self, chat: str, job: SendJob, outcome: Outcome) -> None:
        """Settle the last request of a chat, while the next one may start already."""
        self._settling[chat] = pending = _PendingSettlement()
        is_unsent = outcome.code == TARGET_UNKNOWN and not job.sent
        try:
            await self._settlement.settle(job.request, outcome, None if is_unsent else job)
        except BusError as exc:
            pending.error = exc
            raise
        finally:
            del self._settling[chat]
            pending.done.set()

    async def _wait_previous(self, request: SendRequest) -> None:
        """Wait until the previous request of this chat is settled; re-raise its settlement error."""
        if (pending := self._settling.get(request.chat)) is not None:
            await pending.done.wait()
            if pending.error is not None:
                raise pending.error

    def _release(self, request: SendRequest) -> None:
        """Forget a settled request: its entry may be read again, and there is room for another."""
        self._jobs.pop(request.id, None)
        self._seen_bytes -= self._seen_entries.pop(request.entry, 0)
        self._capacity.set()
