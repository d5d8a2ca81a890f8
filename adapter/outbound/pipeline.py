"""Corridor 2: `qq:outbound` -> decode -> wait for the session and a turn -> ledger -> send -> settle.

A request is in one of three places: unread in Redis, in the backlog, or in hand. What is in hand is
shielded: a stop waits for it, and its result is written.
"""

import logging
import math
import random
from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

from adapter.aio import AutoResetEvent, backoff
from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.bus.ledger import Completed, InDoubt, Ledger, Started
from adapter.codec.outbound import decode_request
from adapter.directory import Directory
from adapter.errors import BusError, BusUnavailable, SchemaError
from adapter.events import Address, Delivery, Outcome, Part, SendRequest, SendResult, Status
from adapter.failpoints import Failpoint, hit
from adapter.networks.upstream import Upstream
from adapter.outbound.backlog import Backlog
from adapter.outbound.pacing import Pacer
from adapter.outbound.send_job import SendJob, combine_outcomes, resume_job
from adapter.outbound.settlement import Settlement

log = logging.getLogger(__name__)

STREAM = "outbound"
READ_COUNT = 100
# Read ahead no further than this: what waits in Redis can be inspected, and costs nothing here.
MAX_BACKLOG = 1_000
# Chats that may be spoken to at the same time: one that hangs holds only itself.
MAX_IN_FLIGHT = 4
# How often it is looked whether Redis holds something for us that we do not know of: a former holder that
# had not heard of its end may have read it.
RECHECK = 5.0
# How often waiting requests are looked through for those whose time has run out.
TICK_SECONDS = 0.5
# Ambiguous answers in a row, each to the same part.
MAX_ATTEMPTS = 3
# A request in at-least-once that is begun so often and never ends may be what ends this process.
MAX_STARTS = 10
TARGET_UNKNOWN = "target.unknown"


class _Conclusion:
    """The last request of a chat on its way to its result."""

    def __init__(self) -> None:
        self.over = anyio.Event()
        self.failure: BusError | None = None


class OutboundPipeline:
    """Sends what is asked for. `paused` holds everything that has not begun."""

    def __init__(
        self,
        bus: Bus,
        lease: Lease,
        upstream: Upstream,
        directory: Directory,
        settling: Settlement,
        pacer: Pacer,
        *,
        wall: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._bus = bus
        self._lease = lease
        self._ledger = Ledger(bus)
        self._upstream = upstream
        self._directory = directory
        self._settling = settling
        self.pacer = pacer
        self._wall = wall
        self._clock = clock
        self._backlog = Backlog()
        self._known: set[str] = set()
        self._jobs: dict[str, SendJob] = {}
        self._in_hand: set[str] = set()
        # Chats whose last request is being settled.
        self._concluding: dict[str, _Conclusion] = {}
        self._wakeup = AutoResetEvent()
        self._room = AutoResetEvent()
        self._turn = 0
        # Passed over when there was a choice last: the end of what they wait for frees no chat.
        self._twins: list[SendRequest] = []
        self.paused = False

    async def run(self, stop: anyio.Event) -> None:
        """Read and send until stopped; returns when nothing is in hand any more."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read, stop)
            await self._serve(stop, tasks)
        # Between two parts nothing is ambiguous: the next process goes on where this one stops.
        for job in self._jobs.values():
            if not job.suspended:
                await self._step(job, suspend=True)

    def wake(self) -> None:
        """Look again: stopped, resumed or reconnected."""
        self._wakeup.set()
        self._room.set()

    # --- reading -------------------------------------------------------------------------------

    async def _read(self, stop: anyio.Event) -> None:
        delays = backoff(random.random, first=0.05, most=2.0)
        recovered, looked = False, -math.inf
        while not stop.is_set():
            try:
                await self._lease.verify()  # what another one reads now it would not send
                if recovered and self._clock() - looked >= RECHECK:
                    looked = self._clock()
                    recovered = await self._bus.pending_count(STREAM) <= len(self._known)
                if not recovered:
                    await self._recover(stop)
                    recovered = True
                elif len(self._known) >= MAX_BACKLOG:
                    await self._room.wait(TICK_SECONDS)
                else:
                    for entry, fields in await self._bus.read_new(STREAM, READ_COUNT):
                        await self._take(entry, fields)
                delays = backoff(random.random, first=0.05, most=2.0)
            except BusUnavailable as exc:
                # An answer may have been lost on the way: what it held is in the own pending list.
                recovered = False
                log.debug("outbound: %s", exc)
                await self._room.wait(next(delays))

    async def _recover(self, stop: anyio.Event) -> None:
        """Read again what was read before and never settled, by this process or one before it."""
        await self._bus.ensure_group(STREAM)
        after = "0"
        while not stop.is_set():
            entries = await self._bus.read_pending(STREAM, after, READ_COUNT)
            if not entries:
                return
            for entry, fields in entries:
                if entry not in self._known:
                    await self._take(entry, fields)
            after = entries[-1][0]

    async def _take(self, entry: str, fields: dict[bytes, bytes]) -> None:
        try:
            request = decode_request(entry, fields, self._bus.keys.prefix)
        except SchemaError as exc:
            await self._settling.reject(entry, fields, exc)
            return
        hit(Failpoint.READ)
        self._known.add(entry)
        self._backlog.add(request)
        self._wakeup.set()

    # --- sending -------------------------------------------------------------------------------

    async def _serve(self, stop: anyio.Event, tasks: TaskGroup) -> None:
        swept = 0.0
        while not stop.is_set():
            if self._clock() - swept >= TICK_SECONDS:
                swept = self._clock()
                await self._sweep()
            pause = await self._next(tasks)
            if pause:
                await self._wakeup.wait(pause)

    async def _next(self, tasks: TaskGroup) -> float:
        """Start what may start; returns how long nothing more can."""
        if self.paused or not len(self._backlog) or self._talks() >= MAX_IN_FLIGHT:
            return TICK_SECONDS
        with anyio.move_on_after(TICK_SECONDS) as waited:
            await self._upstream.connected()
        if waited.cancelled_caught or self.paused or not self._lease.valid():
            return 0.0 if waited.cancelled_caught else TICK_SECONDS
        now = self._clock()
        if pause := self.pacer.delay(now):
            return min(pause, TICK_SECONDS)
        await self._sweep()
        request = self._choose(now)
        if request is None:
            return TICK_SECONDS
        self.pacer.record_send(str(request.to), now)
        self._in_hand.add(request.id)
        tasks.start_soon(self._handle, request)
        return 0.0

    def _talks(self) -> int:
        return len(self._in_hand) - len(self._concluding)

    def _choose(self, now: float) -> SendRequest | None:
        self._twins = twins = []
        while (request := self._backlog.pop(lambda chat: self.pacer.chat_delay(chat, now) == 0)) is not None:
            if not self._is_twin(request):
                break
            twins.append(request)
        for twin in twins:
            self._backlog.requeue(twin)
        return request

    def _is_twin(self, request: SendRequest) -> bool:
        """Whether the same id is being sent for another entry: its result will answer this one."""
        job = self._jobs.get(request.id)
        return request.id in self._in_hand or (job is not None and job.request.entry != request.entry)

    async def _sweep(self) -> None:
        """End what was not begun in time."""
        for request in self._backlog.expired(self._wall()):
            if self._is_twin(request):
                continue
            if await self._expire(request):
                self._backlog.remove(request)
            else:
                self._backlog.mark_started(request)

    async def _expire(self, request: SendRequest) -> bool:
        """End a request, unless something of it may have left: the ledger knows it of earlier processes."""
        match await self._settling.lookup(request.id):
            case Completed(result):
                await self._settling.replay(request, result)
            case _ if former := self._settling.recent_result(request.id):
                await self._settling.rewrite(request, former)
            case InDoubt():
                return False
            case Started(attempts, sent) if sent or attempts > 1:
                return False
            case _:
                await self._end(request, Outcome(Status.EXPIRED, "expired"))
        self._forget(request)
        return True

    async def _handle(self, request: SendRequest) -> None:
        with anyio.CancelScope(shield=True):
            chat = str(request.to)
            try:
                if await self._speak(request):
                    self._backlog.requeue(request, begun=self._jobs[request.id].may_have_sent)
                    self._wakeup.set()
                else:
                    # The next one of this chat may begin; not a byte of it leaves before this is settled.
                    self._backlog.release_chat(chat)
                    self._wakeup.set()
                    await self._conclude(chat, request)
            finally:
                self._in_hand.discard(request.id)
            if self._twins:
                self._wakeup.set()

    async def _conclude(self, chat: str, request: SendRequest) -> None:
        job = self._jobs.get(request.id)
        if job is None or job.outcome is None:
            self._forget(request)
            return
        self._concluding[chat] = conclusion = _Conclusion()
        try:
            unsaid = job.outcome.code == TARGET_UNKNOWN and not job.sent
            await self._end(request, job.outcome, None if unsaid else job)
        except BusError as exc:
            conclusion.failure = exc
            raise
        finally:
            del self._concluding[chat]
            conclusion.over.set()

    async def _former(self, request: SendRequest) -> None:
        """Wait until the request before it in its chat is settled; raises what it is not settled for."""
        if (conclusion := self._concluding.get(str(request.to))) is not None:
            await conclusion.over.wait()
            if conclusion.failure is not None:
                raise conclusion.failure

    async def _speak(self, request: SendRequest) -> bool:
        """Send the next part of a request; whether more of it is to be sent."""
        job = self._jobs.get(request.id)
        if job is None or job.suspended:
            job = await self._begin(request, job)
        if job is None:
            return False
        hit(Failpoint.BEGUN)
        outcome = await self._utter(request.to, job.parts[job.sent])
        hit(Failpoint.ANSWERED)
        if outcome is None:
            # Nothing has left: it waits for a session like all others, and whoever comes next may go on.
            await self._step(job, suspend=True)
            return True
        if outcome.status is Status.SENT:
            job.sent += 1
            job.ambiguous_attempts = 0
            if job.sent < len(job.parts):
                await self._step(job)
                hit(Failpoint.STEPPED)
                return True
        elif self._may_repeat(job, outcome):
            job.attempts += 1
            job.ambiguous_attempts += 1
            await self._step(job, suspend=True)
            return True
        job.outcome = combine_outcomes(job, outcome)
        return False

    def _is_late(self, request: SendRequest) -> bool:
        return request.expires is not None and request.expires <= self._wall()

    async def _step(self, job: SendJob, *, suspend: bool = False) -> None:
        await self._settling.save_progress(job.request.id, job.sent, job.attempts, suspend=suspend)
        job.suspended = suspend

    async def _utter(self, chat: Address, part: Part) -> Outcome | None:
        """Send a part to where this chat is now; None while there is no session.

        Momentary ids hold for one login: they are looked up for every part.
        """
        with anyio.move_on_after(TICK_SECONDS) as waited:
            await self._upstream.connected()
        if waited.cancelled_caught:
            return None
        to = self._directory.resolve(chat)
        if to is None:
            return Outcome(Status.FAILED, TARGET_UNKNOWN, f"{chat} cannot be reached in this session")
        return await self._upstream.send(to, part, self._lease.valid)

    def _may_repeat(self, job: SendJob, outcome: Outcome) -> bool:
        ambiguous = outcome.status is Status.UNKNOWN
        again = job.request.delivery is Delivery.AT_LEAST_ONCE
        return ambiguous and again and job.ambiguous_attempts + 1 < MAX_ATTEMPTS

    async def _begin(self, request: SendRequest, job: SendJob | None) -> SendJob | None:
        """Everything before the first byte, also of a `job` that was suspended; None where it ends here."""
        try:
            parts = job.parts if job else self._upstream.split(request.segments, request.font)
        except SchemaError as exc:
            await self._former(request)
            await self._end(request, Outcome(Status.FAILED, "content.unsupported", str(exc)))
            return None
        self._turn += 1
        token = f"{self._lease.fence.holder}/{self._turn}"
        again = request.delivery is Delivery.AT_LEAST_ONCE
        ids = [part.message_id for part in parts]
        before = -1
        while before != self._settling.redis_failures:  # else Redis may have come back without it
            before = self._settling.redis_failures
            state = await self._settling.retry(
                lambda fence: self._ledger.start(fence, request.id, request.entry, token, ids, again=again)
            )
            await self._former(request)
        match state:
            case Completed(result):
                await self._settling.replay(request, result)
            case _ if former := self._settling.recent_result(request.id):
                # Redis came back without its tail and has forgotten how it ended; this process has not.
                await self._settling.rewrite(request, former)
            case Started(1, 0) if job is None and self._is_late(request):
                await self._end(request, Outcome(Status.EXPIRED, "expired"))
            case Started(attempts, sent) if attempts > MAX_STARTS:
                detail = f"begun {attempts - 1} times, and each time the process ended"
                lost = SendJob(request, parts, sent, attempts - 1)
                await self._end(request, Outcome(Status.UNKNOWN, "crash", detail), lost)
            case Started():
                self._jobs[request.id] = job = resume_job(state, request, parts, job)
                return job
            case unfinished:
                detail = "an earlier process ended while it was being sent"
                lost = SendJob(request, parts, unfinished.sent, unfinished.attempts)
                await self._end(request, Outcome(Status.UNKNOWN, "crash", detail), lost)
        return None

    async def _end(self, request: SendRequest, outcome: Outcome, job: SendJob | None = None) -> None:
        result = SendResult(
            entry=request.entry,
            id=request.id,
            to=str(request.to),
            status=outcome.status,
            code=outcome.code,
            detail=outcome.detail,
            attempts=job.attempts if job else 0,
            sent=job.sent if job else 0,
            total=len(job.parts) if job else 0,
            message_id=job.parts[0].message_id if job else "",
            traceparent=request.traceparent,
        )
        await self._settling.settle(request, result)
        hit(Failpoint.SETTLED)
        self._forget(request)

    def _forget(self, request: SendRequest) -> None:
        self._jobs.pop(request.id, None)
        self._known.discard(request.entry)
        self._room.set()
