"""Two-phase settlement of requests: start in the ledger, send, then settle with exactly one result.

Mechanism. Phase one, `start`: the ledger entry of the request id is written before the first byte is
sent. Between parts `save_progress` records how many are sent. Phase two, `settle`: one script writes the
ledger entry, the result and the XACK together. QQ knows no transactions, so a crash between the phases
leaves the part in flight in doubt. The next process finds that out by the token, which stays in the ledger
entry while a part is in flight. It settles an in-doubt request as `unknown`, code `crash`, or starts it
again if the request asks for at-least-once.

Invariants:
- No byte is sent for an id without a ledger entry that names this process.
- An id that is settled is never sent again. Its repeat gets the stored result.
- Each entry of `qq:outbound` gets one result. Its XACK is in the same step, so a retry adds no second one.
- A repeat of an id is answered on the stream of the first asker. A request for something else under that
  id is rejected, code `id.conflict`: it never gets the result of another.
- Within a chat, results and sends keep the order of the requests: `start` waits for the settlement before.

What breaks them. Redis may lose its last writes in a restart or a failover. This process remembers its
latest results and writes them again; it repeats `start` if Redis was away since. Results older than
RECENT_RESULTS, or of an earlier process, are lost with Redis' tail. RESULT_TTL after its result an id is
free again.
"""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import NamedTuple, TypeVar

from adapter.bus.bus import Bus, Fence
from adapter.bus.group_reader import Clipped
from adapter.bus.keys import CONSUMER, GROUP
from adapter.bus.lease import Lease
from adapter.bus.ledger import (
    RESULT_TTL,
    Asked,
    Completed,
    Conflict,
    InDoubt,
    Ledger,
    Rejection,
    Started,
    State,
)
from adapter.bus.retry import until_served
from adapter.bus.stream_ids import FOREIGN
from adapter.codec.dead_letters import DeadLetter, encode_dead_letter
from adapter.codec.inbound import RecordContext, timestamp
from adapter.codec.outbound import encode_result, request_id, result_stream, scheduled_entry, unwrapped
from adapter.codec.sent_message import encode_sent_message
from adapter.errors import BusUnavailable, SchemaError, WrongKeyType
from adapter.events import Delivery, Outcome, Part, SendRequest, SendResult, Status
from adapter.failpoints import Failpoint, hit
from adapter.ops.metrics import Metrics
from adapter.ops.status_reporter import StatusReporter
from adapter.outbound.own_sends import OwnSends
from adapter.outbound.send_job import SendJob, build_result, resume_job

log = logging.getLogger(__name__)

T = TypeVar("T")
# The code of content that another network may take.
UNSUPPORTED = "content.unsupported"
# Characters of an unreadable request's `to` that its result repeats.
MAX_SHOWN_TO = 128
# Results remembered against a Redis that loses its tail: eight hours of constant sending.
RECENT_RESULTS = 10_000
# Characters of an answer to a call that a repeat of its id gets again; a day of larger ones fills Redis.
MAX_KEPT_ANSWER = 4_096
# A request that is started as often and never settled may be what ends the process each time.
MAX_STARTS = 10


# Seconds for which a key of another type is shown after a step met it: steps are tried every two seconds.
FOREIGN_SECONDS = 10.0


class _Recent(NamedTuple):
    """A result of this process: seconds since 1970, its fields, and the request that it answers."""

    published: float
    fields: list[str]
    asked: Asked


class Refused(NamedTuple):
    """An entry that is no request, and why. `known`: of its fields, if it may be gone."""

    entry: str
    error: SchemaError
    known: Mapping[bytes, bytes] | None = None


class Settlement:
    """The owner of the ledger.

    `shutting_down`: a write is tried once more and no longer.
    """

    def __init__(
        self,
        bus: Bus,
        lease: Lease,
        status_reporter: StatusReporter,
        metrics: Metrics,
        wall: Callable[[], float],
        own_sends: OwnSends | None = None,
        network: str = "",
    ) -> None:
        self._bus = bus
        self._lease = lease
        self._ledger = Ledger(bus)
        self._status_reporter = status_reporter
        self.metrics = metrics
        self._wall = wall
        self.own_sends = own_sends or OwnSends()
        self._network = network
        # Results of this process by request id.
        self._recent: OrderedDict[str, _Recent] = OrderedDict()
        self._attempt_seq = count(1)
        self._redis_failures = 0
        self.shutting_down = False

    # --- phase one ---------------------------------------------------------------------------------

    async def start(
        self,
        request: SendRequest,
        parts: tuple[Part, ...],
        job: SendJob | None,
        wait_previous: Callable[[], Awaitable[None]],
    ) -> SendJob | None:
        """Start a request, or go on with its suspended `job`; None if the request is settled now.

        `wait_previous` waits for the settlement of the request before it in its chat. Raises Fenced.
        """
        state = await self._start(request, parts, wait_previous)
        if await self._answer_repeat(request, state) or not isinstance(state, Started | InDoubt):
            return None  # a completed or conflicting request is always answered
        request = replace(request, results=state.results or request.results)
        started = resume_job(state, request, parts, job)
        match state:
            case InDoubt():
                await self._settle_crash(started, "an earlier process ended while it was being sent")
            case Started(attempts) if attempts > MAX_STARTS:
                started.attempts = attempts - 1
                detail = f"started {attempts - 1} times, and each time the process ended"
                await self._settle_crash(started, detail)
            case Started(1, 0) if job is None and self._is_overdue(request):
                await self.settle(request, Outcome(Status.EXPIRED, "expired"))
            case _:
                return started
        return None

    async def _start(
        self, request: SendRequest, parts: tuple[Part, ...], wait_previous: Callable[[], Awaitable[None]]
    ) -> State:
        token = f"{self._lease.fence.holder}/{next(self._attempt_seq)}"
        take_over = request.delivery is Delivery.AT_LEAST_ONCE
        ids = [part.message_id for part in parts]
        while True:
            failures = self._redis_failures
            state = await self._retry(
                lambda fence: self._ledger.start(
                    fence, _asked(request), request.entry, token, ids, take_over=take_over
                )
            )
            await wait_previous()
            # A Redis that was away may have come back without this ledger entry.
            if failures == self._redis_failures:
                return state

    async def save_progress(self, job: SendJob, *, suspend: bool) -> None:
        """Record how far a job is. `suspend`: no part of it is in flight. Raises Fenced."""
        await self._retry(
            lambda fence: self._ledger.record_progress(
                fence, job.request.id, job.sent, job.attempts, suspend=suspend, network_id=job.network_id
            )
        )
        job.suspended = suspend

    # --- phase two ---------------------------------------------------------------------------------

    async def settle(self, request: SendRequest, outcome: Outcome, job: SendJob | None = None) -> None:
        """Publish the result of a request and acknowledge its entry. Raises Fenced."""
        result = build_result(request, outcome, job)
        now = self._wall()
        fields = self._encode(result, now)
        self._recent.pop(request.id, None)
        remembered = _without_large_answer(fields, result.data)
        self._recent[request.id] = _Recent(now, remembered, _asked(request))
        if len(self._recent) > RECENT_RESULTS:
            self._recent.popitem(last=False)
        size = 0 if remembered is fields else len(result.data.encode("utf-8", "replace"))
        sent = self._sent_event(result, request, now)
        await self._publish(
            request, fields, remember=True, remembered=remembered, answer_bytes=size, sent=sent
        )
        log.debug(
            "request %s: %s %s",
            result.id,
            result.status.value,
            result.code,
            extra={"request": result.id, "entry": result.entry},
        )
        self.metrics.observe_result(result)
        hit(Failpoint.SETTLED)

    async def settle_unstarted(self, request: SendRequest, outcome: Outcome) -> bool:
        """Settle a request without a job; False if a part of it may be sent already. Raises Fenced."""
        state = await self._retry(lambda _: self._ledger.get(_asked(request)))
        if not await self._answer_repeat(request, state):
            match state:
                case InDoubt():
                    return False
                case Started(attempts, sent) if sent or attempts > 1:
                    return False
                case Started(results=results) if results:
                    request = replace(request, results=results)
            await self.settle(request, outcome)
        return True

    async def settle_refused(self, request: SendRequest, error: SchemaError) -> None:
        """Settle a request whose content the network cannot take. Raises Fenced.

        What makes no sense on any network is rejected, as a request that cannot be read.
        """
        if error.code == UNSUPPORTED:
            await self.settle_unstarted(request, Outcome(Status.FAILED, UNSUPPORTED, str(error)))
        elif not await self._answer_repeat(
            request, await self._retry(lambda _: self._ledger.get(_asked(request)))
        ):
            await self._reject_request(request, error)

    async def fetch(self, entry: str) -> dict[bytes, bytes] | None:
        """Return the fields of an entry of `qq:outbound`; None if it is gone."""
        return await self._retry(lambda _: self._bus.get_entry("outbound", entry))

    async def reject(self, refused: Sequence[Refused]) -> int:
        """Answer entries that are no requests, and keep them in `qq:dead`. Raises Fenced.

        Returns how many are done, from the first: fewer than all if they are large.
        """
        reader = self._bus.group_reader("outbound")
        rows = await self._retry(lambda _: reader.read_clipped([one.entry for one in refused]))
        now = self._wall()
        results, rejections = [], []
        for one, row in zip(refused, rows, strict=False):
            result, rejection = self._rejection(one, row, now)
            results.append(result)
            rejections.append(rejection)
        await self._retry(lambda fence: self._ledger.reject(fence, rejections))
        for result in results:
            self.metrics.observe_result(result)
        return len(rows)

    def _rejection(self, refused: Refused, row: Clipped, now: float) -> tuple[SendResult, Rejection]:
        entry, error = refused.entry, refused.error
        fields, detail = row.fields or refused.known or {}, str(error)
        to = unwrapped(fields).get(b"to", b"").decode("utf-8", "replace")[:MAX_SHOWN_TO]
        asked_by = scheduled_entry(fields) or entry
        result = SendResult(asked_by, request_id(entry, fields), to, Status.REJECTED, error.code, detail)
        stream = self._bus.keys("outbound")
        letter = DeadLetter(stream, entry, fields, GROUP, CONSUMER, error.code, detail, cut=row.cuts)
        results = result_stream(fields, self._bus.keys.prefix)
        return result, Rejection(entry, results, self._encode(result, now), encode_dead_letter(letter, now))

    async def _settle_crash(self, job: SendJob, detail: str) -> None:
        await self.settle(job.request, Outcome(Status.UNKNOWN, "crash", detail), job)

    # --- repeated ids ------------------------------------------------------------------------------

    async def _answer_repeat(self, request: SendRequest, state: State | None) -> bool:
        """Publish the result that this id has already; False if it has none."""
        recent = self._recent_of(request.id)
        match state:
            case Conflict():
                await self._reject_conflict(request)
            case Completed(result, results):
                request = replace(request, results=results or request.results)
                await self._publish_again(request, result, remember=False)
            case _ if recent and recent.asked.digest != request.digest:
                await self._reject_conflict(request)
            case _ if recent:
                # Redis has lost this result; this process writes it into the ledger again.
                request = replace(request, results=recent.asked.results)
                await self._publish_again(request, recent.fields, remember=True)
            case _:
                return False
        return True

    async def is_known(self, request: SendRequest) -> bool:
        """Return whether the ledger has this id for this very request."""
        state = await self._retry(lambda _: self._ledger.get(_asked(request)))
        return state is not None and not isinstance(state, Conflict)

    async def _reject_conflict(self, request: SendRequest) -> None:
        await self._reject_request(request, conflict_error(request.id))

    async def _reject_request(self, request: SendRequest, error: SchemaError) -> None:
        # The entry may be gone: its id and where its result goes are known.
        known = {b"id": request.id.encode(), b"results": request.results.encode()}
        await self.reject([Refused(request.entry, error, known)])

    def recent_result(self, request: str) -> list[str] | None:
        """Return the fields of the result that this process published, for RESULT_TTL."""
        recent = self._recent_of(request)
        return recent and recent.fields

    def _recent_of(self, request: str) -> _Recent | None:
        recent = self._recent.get(request)
        return recent if recent and self._wall() - recent.published < RESULT_TTL else None

    async def _publish_again(self, request: SendRequest, result: Sequence[str], *, remember: bool) -> None:
        values = dict(zip(result[::2], result[1::2], strict=True))
        entry = request.scheduled or request.entry
        values["replayed"] = "0" if values["entry"] == entry else "1"
        values |= {"entry": entry, "time": timestamp(self._wall())}
        fields = [item for pair in values.items() for item in pair]
        await self._publish(request, fields, remember=remember)

    # --- writing -----------------------------------------------------------------------------------

    def _sent_event(self, result: SendResult, request: SendRequest, now: float) -> tuple[str | bytes, ...]:
        """Return the account and the event of what was sent; empty if nothing was, or none is wanted."""
        account = self._status_reporter.account
        if not (self.own_sends.is_enabled and result.sent and account and request.to) or request.operation:
            return ()
        context = RecordContext(account, self._lease.fence.epoch, now)
        nick = self._status_reporter.nick
        record = encode_sent_message(
            request, request.to, result.message_id, context, nick=nick, network=self._network
        )
        return (account, *record)

    async def _publish(
        self,
        request: SendRequest,
        fields: Sequence[str],
        *,
        remember: bool,
        remembered: Sequence[str] | None = None,
        answer_bytes: int = 0,
        sent: Sequence[str | bytes] = (),
    ) -> None:
        await self._retry(
            lambda fence: self._ledger.settle(
                *(fence, _asked(request), request.entry, fields),
                remember=remember,
                remembered=remembered,
                answer_bytes=answer_bytes,
                sent=sent,
            )
        )

    async def _retry(self, step: Callable[[Fence], Awaitable[T]]) -> T:
        """Repeat an idempotent step until Redis serves; while shutting down try once."""

        async def attempt() -> T:
            try:
                return await step(self._lease.fence)
            except BusUnavailable as exc:
                self._redis_failures += 1
                if isinstance(exc, WrongKeyType):  # it does not pass by itself
                    self.metrics.set_bus_fault(FOREIGN, str(exc), FOREIGN_SECONDS)
                raise

        return await until_served(attempt, give_up=lambda: self.shutting_down)

    def _encode(self, result: SendResult, now: float) -> list[str]:
        return encode_result(result, self._status_reporter.account, self._lease.fence.epoch, now)

    def _is_overdue(self, request: SendRequest) -> bool:
        return request.expires is not None and request.expires <= self._wall()


def conflict_error(request: str) -> SchemaError:
    """Return the error of an id that stands for another request."""
    detail = f"the id {request} belongs to a request that asks for something else: give another id"
    return SchemaError(detail, "id.conflict")


def _asked(request: SendRequest) -> Asked:
    return Asked(request.id, request.digest, request.results)


def _without_large_answer(fields: list[str], answer: str) -> list[str]:
    """Return the fields of a result that are remembered: a large answer is given once."""
    if len(answer) <= MAX_KEPT_ANSWER:
        return fields
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    del values["data"]
    values["detail"] = "the answer was given with the first result: ask again under another id"
    return [item for pair in values.items() for item in pair]
