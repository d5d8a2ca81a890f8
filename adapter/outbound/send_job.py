"""A request that has been begun: how far it is, and what is told of it in the end."""

from dataclasses import dataclass

from adapter.bus.ledger import Started
from adapter.events import Outcome, Part, SendRequest, Status


@dataclass(slots=True)
class SendJob:
    """A request that has been begun: its parts, how many have left, and how often it was tried.

    `suspended`: nothing is under way, and the ledger is asked before the next byte, as it would be by
    another process. `doubts`: so many attempts at the next part may have arrived. `outcome`: what became
    of all of it, once that is known.
    """

    request: SendRequest
    parts: tuple[Part, ...]
    sent: int
    attempts: int
    ambiguous_attempts: int = 0
    suspended: bool = False
    outcome: Outcome | None = None

    @property
    def may_have_sent(self) -> bool:
        """Whether something of it can have left: then it does not expire any more."""
        return self.sent > 0 or self.attempts > 1


def resume_job(begun: Started, request: SendRequest, parts: tuple[Part, ...], job: SendJob | None) -> SendJob:
    """The job that the ledger lets begin or go on."""
    if job is not None:
        # Redis may have come back without its tail; this process has forgotten nothing.
        job.sent, job.attempts = max(job.sent, begun.sent), max(job.attempts, begun.attempts)
        job.suspended = False
        return job
    if len(begun.messages) == len(parts):
        # A retry keeps the message ids it had: upstream knows a copy by them.
        parts = tuple(Part(part.content, ident) for part, ident in zip(parts, begun.messages, strict=True))
    return SendJob(request, parts, begun.sent, begun.attempts, ambiguous_attempts=int(begun.attempts > 1))


def combine_outcomes(job: SendJob, outcome: Outcome) -> Outcome:
    """What became of a part in all its attempts: `failed` would be too much said if one was ambiguous."""
    if outcome.status is not Status.FAILED or not job.ambiguous_attempts:
        return outcome
    detail = f"an earlier attempt may have arrived; the last: {outcome.code} {outcome.detail}"
    return Outcome(Status.UNKNOWN, "upstream.lost", detail.strip())
