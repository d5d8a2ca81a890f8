"""One started request: its parts, its progress, and what each outcome of a part leads to."""

from dataclasses import dataclass
from enum import Enum, auto

from adapter.bus.ledger import InDoubt, Started
from adapter.events import Delivery, Outcome, Part, SendRequest, SendResult, Status

# Ambiguous outcomes in a row that at-least-once may produce for one part.
MAX_ATTEMPTS = 3


class NextStep(Enum):
    """What follows while a request has parts to send."""

    CONTINUE = auto()  # a part is sent, the next one waits for its turn
    SUSPEND = auto()  # no part is in flight, this process or the next one goes on later


@dataclass(slots=True)
class SendJob:
    """A started request: its parts, how many are sent, and the attempts made.

    `network_id`: the id that the network gave the first part, empty where it gives none.
    `ambiguous_attempts`: attempts at the next part that may have arrived. `suspended`: no part is in
    flight; before its next byte the job is started in the ledger again.
    """

    request: SendRequest
    parts: tuple[Part, ...]
    sent: int
    attempts: int
    ambiguous_attempts: int = 0
    suspended: bool = False
    network_id: str = ""

    @property
    def may_have_sent(self) -> bool:
        """Whether a part of it may be sent already: then it does not expire any more."""
        return self.sent > 0 or self.attempts > 1

    @property
    def next_part(self) -> Part:
        """The part whose turn it is."""
        return self.parts[self.sent]

    def apply(self, outcome: Outcome | None) -> Outcome | NextStep:
        """Apply the outcome of the next part, None if no byte of it was sent.

        Returns the outcome of the whole request once it is known.
        """
        if outcome is None:
            return NextStep.SUSPEND
        if outcome.status is Status.SENT:
            self.network_id = self.network_id if self.sent else outcome.message_id
            self.sent += 1
            self.ambiguous_attempts = 0
            if self.sent < len(self.parts):
                return NextStep.CONTINUE
        elif self._may_repeat(outcome):
            self.attempts += 1
            self.ambiguous_attempts += 1
            return NextStep.SUSPEND
        return self._combine_outcomes(outcome)

    def _may_repeat(self, outcome: Outcome) -> bool:
        return (
            outcome.status is Status.UNKNOWN
            and self.request.delivery is Delivery.AT_LEAST_ONCE
            and self.ambiguous_attempts + 1 < MAX_ATTEMPTS
        )

    def _combine_outcomes(self, outcome: Outcome) -> Outcome:
        """Combine the last outcome of a part with its earlier attempts: `failed` needs certainty."""
        if outcome.status is not Status.FAILED or not self.ambiguous_attempts:
            return outcome
        detail = f"an earlier attempt may have arrived; the last: {outcome.code} {outcome.detail}"
        return Outcome(Status.UNKNOWN, "upstream.lost", detail.strip())


def resume_job(
    state: Started | InDoubt, request: SendRequest, parts: tuple[Part, ...], job: SendJob | None
) -> SendJob:
    """Make the job of a ledger state, or bring `job`, suspended by this process, up to it."""
    if job is not None:
        # Redis may have lost its last writes, but this process has not.
        job.sent, job.attempts = max(job.sent, state.sent), max(job.attempts, state.attempts)
        job.suspended = False
        return job
    if len(state.message_ids) == len(parts):
        # A retry keeps its message ids: QQ recognises a copy by them.
        parts = tuple(
            Part(part.content, message_id) for part, message_id in zip(parts, state.message_ids, strict=True)
        )
    return SendJob(
        *(request, parts, state.sent, state.attempts),
        ambiguous_attempts=int(state.attempts > 1),
        network_id=state.network_id,
    )


def build_result(request: SendRequest, outcome: Outcome, job: SendJob | None) -> SendResult:
    """Build the result of a request; without a job it has no attempts and no parts."""
    return SendResult(
        entry=request.scheduled or request.entry,
        id=request.id,
        to="" if request.to is None else str(request.to),
        status=outcome.status,
        code=outcome.code,
        detail=outcome.detail,
        attempts=job.attempts if job else 0,
        sent=job.sent if job else 0,
        total=len(job.parts) if job else 0,
        message_id=job.network_id or job.parts[0].message_id if job else "",
        traceparent=request.traceparent,
        data=outcome.data,
    )
