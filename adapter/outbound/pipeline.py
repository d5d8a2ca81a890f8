"""Outbound pipeline: read `qq:outbound`, schedule, send, settle.

Mechanism. The intake fills a backlog with the heads of all requests that wait (see intake.py). The dispatch
loop selects one whenever session, lease and pacing allow a send, and starts a task for it. The task sends one
part and decides what follows. A request moves through these states:

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

What breaks them. A job that is started stays in memory until its request is settled: MAX_JOB_BYTES bounds
the jobs, so that a thousand chats with long messages take turns.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace

import anyio
from anyio.abc import TaskGroup

from adapter.aio import AutoResetEvent
from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.content import render
from adapter.errors import BusError, SchemaError
from adapter.events import Address, Operation, Outcome, Part, Recall, SendRequest, Status
from adapter.failpoints import Failpoint, hit
from adapter.networks.upstream import SupportsOperations, SupportsPacing, Upstream, unsupported
from adapter.outbound.backlog import Head
from adapter.outbound.call_guard import CallGuard
from adapter.outbound.intake import TICK_SECONDS, Intake
from adapter.outbound.pacing import Pacer
from adapter.outbound.schedule import Schedule
from adapter.outbound.send_job import NextStep, SendJob
from adapter.outbound.settlement import Settlement
from adapter.permanent_directory import AnyDirectory

log = logging.getLogger(__name__)

# Requests in flight, each of another chat: a chat that hangs holds back itself alone.
MAX_IN_FLIGHT = 4
# Bytes of the entries of started requests: beyond it only started ones go on.
MAX_JOB_BYTES = 16 * 1024 * 1024
# Overdue requests that are settled before the next send: a tenth of a second, however many there are.
MAX_EXPIRED = 20
# Seconds that a stop waits for the answer to a part: systemd and compose give thirty in all.
STOP_SECONDS = 20.0
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
        self._lease = lease
        self._upstream = upstream
        self._directory = directory
        self._settlement = settlement
        self.pacer = pacer
        self._wall = wall
        self._clock = clock
        self._wakeup = AutoResetEvent()
        self.schedule = Schedule(bus, lease, wall)
        self._call_guard = CallGuard(bus)
        self._intake = Intake(
            *(bus, lease, upstream, settlement, self.schedule, self._call_guard),
            wall=wall,
            clock=clock,
            wake_sender=self._wakeup.set,
        )
        self._backlog = self._intake.backlog
        # Started requests that are not settled, and requests in flight or settling, by request id.
        self._jobs: dict[str, SendJob] = {}
        self._job_bytes = 0
        self._in_flight: set[str] = set()
        # Parts that wait for the answer of the network.
        self._unanswered: set[anyio.CancelScope] = set()
        # Settlements that run while their chat is free again, by chat.
        self._settling: dict[str, _PendingSettlement] = {}
        self.paused = False

    async def run(self, stop: anyio.Event) -> None:
        """Read and send until stopped; returns when no request is in flight."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._intake.run, stop)
            tasks.start_soon(self.schedule.run, stop)
            await self._dispatch_loop(stop, tasks)
            for scope in self._unanswered:
                scope.deadline = anyio.current_time() + STOP_SECONDS
        # Between two parts nothing is in doubt: the next process goes on from here.
        for job in self._jobs.values():
            if not job.suspended:
                await self._settlement.save_progress(job, suspend=True)

    def wake(self) -> None:
        """Let the loops notice a stop, a resume or a new session."""
        self._wakeup.set()
        self._intake.wake()
        self.schedule.wake()

    # --- queued -> settled, unsent ------------------------------------------------------------------

    async def _expire_overdue(self) -> bool:
        """Settle queued requests whose time is over, unless a part may be sent already.

        Returns whether there may be more.
        """
        overdue = self._backlog.expired(self._wall(), MAX_EXPIRED, is_held=self._is_duplicate)
        for head in overdue:
            request = await self._intake.load(head)
            expired = Outcome(Status.EXPIRED, "expired")
            if request is None or await self._settlement.settle_unstarted(request, expired):
                self._backlog.remove(head)
                self._release(head)
            else:
                self._backlog.mark_started(head)
        return len(overdue) == MAX_EXPIRED

    # --- queued -> in flight -----------------------------------------------------------------------

    async def _dispatch_loop(self, stop: anyio.Event, tasks: TaskGroup) -> None:
        checked, has_overdue = -math.inf, False
        while not stop.is_set():
            if has_overdue or self._clock() - checked >= TICK_SECONDS:
                checked = self._clock()
                has_overdue = await self._expire_overdue()
            pause = await self._dispatch(tasks)
            if pause and not has_overdue:
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
        head = self._select(now, delay)
        if head is None:
            return min(delay or TICK_SECONDS, TICK_SECONDS)
        if head.is_paced:
            self.pacer.record_send(head.chat, now)
        self._in_flight.add(head.id)
        tasks.start_soon(self._process, head)
        return 0.0

    def _in_flight_count(self) -> int:
        return len(self._in_flight) - len(self._settling)

    async def _wait_session(self) -> bool:
        """Wait for the session for TICK_SECONDS; returns whether there is one."""
        with anyio.move_on_after(TICK_SECONDS):
            await self._upstream.connected()
            return True
        return False

    def _select(self, now: float, delay: float) -> Head | None:
        """Take the next request that is due and no duplicate; its chat is busy from here on."""
        wall = self._wall()

        def is_due(head: Head) -> bool:
            if self._backlog.is_overdue(head, wall):
                return False  # it is settled in its turn, and takes none of the pace
            if self._job_bytes >= MAX_JOB_BYTES and head.id not in self._jobs:
                return False
            is_free = not delay and self.pacer.chat_delay(head.chat, now) == 0
            return (is_free and self._is_allowed(head)) or not head.is_paced

        duplicates: list[Head] = []
        while (head := self._backlog.pop(is_due)) is not None:
            if not self._is_duplicate(head):
                break
            duplicates.append(head)
        for duplicate in duplicates:
            self._backlog.requeue(duplicate)
        return head

    def _is_allowed(self, head: Head) -> bool:
        """Whether the network takes a message to this chat now."""
        upstream, to = self._upstream, head.to
        if not isinstance(upstream, SupportsPacing) or to is None:
            return True
        target = self._directory.resolve(to)
        return target is None or upstream.is_due(target, head.answers)

    def _is_duplicate(self, head: Head) -> bool:
        """Whether its id is being sent for another entry: that result will answer this one, too."""
        job = self._jobs.get(head.id)
        return head.id in self._in_flight or (job is not None and job.request.entry != head.entry)

    # --- in flight -> queued or settled ------------------------------------------------------------

    async def _process(self, head: Head) -> None:
        """Send one part of a request, then requeue the request or settle it."""
        chat = head.chat
        with anyio.CancelScope(shield=True):
            try:
                job = await self._start(head)
                if job is None:
                    self._backlog.release_chat(chat)
                    self._release(head)
                elif (outcome := await self._send_next_part(job)) is None:
                    self._backlog.requeue(head, started=job.may_have_sent)
                else:
                    self._backlog.release_chat(chat)
                    self._wakeup.set()
                    await self._settle_last(chat, job, outcome)
                    await self._call_guard.forget(job.request)
                    self._release(head)
            finally:
                self._in_flight.discard(head.id)
                # The chat is free, or a duplicate of this id may go on.
                self._wakeup.set()

    async def _start(self, head: Head) -> SendJob | None:
        """Start a request in the ledger, unless its job is running; None if it is settled now."""
        job = self._jobs.get(head.id)
        if job is not None and not job.suspended:
            return job
        request = await self._intake.load(head) if job is None else job.request
        if request is None:
            return None
        try:
            parts = job.parts if job else self._split(request)
        except SchemaError as exc:
            await self._wait_previous(request)
            await self._settlement.settle_refused(request, exc)
            return None
        job = await self._settlement.start(request, parts, job, lambda: self._wait_previous(request))
        if job is not None:
            self._job_bytes += head.size if head.id not in self._jobs else 0
            self._jobs[head.id] = job
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
            return await self._await_answer(self._perform(request.operation, request.to))
        target = None if request.to is None else self._directory.resolve(request.to)
        if target is None:
            return Outcome(Status.FAILED, TARGET_UNKNOWN, f"{request.to} cannot be reached in this session")
        own_sends, chat = self._settlement.own_sends, str(request.to)
        with own_sends.sending(chat):
            outcome = await self._await_answer(
                self._upstream.send(target, part, answers=request.answers, may_send=self._lease.valid)
            )
            own_sends.add(chat, outcome, render(request.segments), self._wall())
        return outcome

    async def _await_answer(self, sending: Awaitable[Outcome | None]) -> Outcome | None:
        """Return the outcome; `unknown` if the network does not answer while the adapter stops."""
        with anyio.CancelScope() as scope:
            self._unanswered.add(scope)
            try:
                return await sending
            finally:
                self._unanswered.discard(scope)
        return Outcome(Status.UNKNOWN, "upstream.timeout", "no answer came before the adapter was stopped")

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

    def _release(self, head: Head) -> None:
        """Forget a settled request."""
        job = self._jobs.get(head.id)
        if job is not None and job.request.entry == head.entry:
            del self._jobs[head.id]
            self._job_bytes -= head.size
        self._intake.release(head)
