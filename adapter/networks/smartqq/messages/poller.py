"""Poll for messages, decide what the answer means, and detect gaps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anyio

from adapter.errors import TransportError
from adapter.events import Batch, Gap
from adapter.networks.smartqq.client import endpoints
from adapter.networks.smartqq.client.transport import HttpTransport
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.messages.poll_policy import Action, PollDecision, PollHistory, evaluate
from adapter.networks.smartqq.protocol.http import Response
from adapter.networks.smartqq.session.credentials import Credentials
from adapter.networks.smartqq.session.store import SessionStore

# Seconds between two writes of the last answer's time: it only bounds the gap after a restart.
SAVE_INTERVAL: Final = 60.0


@dataclass(frozen=True, slots=True)
class PollResult:
    """The decision about a poll, and the gaps that it revealed."""

    decision: PollDecision
    gaps: Batch


class Poller:
    """Run one poll at a time and keep the time of the last answer.

    A gap is reported when no poll was open for longer than the server buffers messages, and when an answer
    was lost on its way.
    """

    def __init__(
        self,
        transport: HttpTransport,
        credentials: Credentials,
        store: SessionStore,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        # Number of the open poll, 0 while there is none.
        self.in_flight = 0
        self._transport = transport
        self._credentials = credentials
        self._store = store
        self._limits = limits
        self._clock = clock
        self._history = PollHistory()
        self._count = 0
        self._answered_at: float | None = None
        self._saved_at = 0.0

    async def poll(self) -> PollResult | None:
        """Poll once. Returns None if `abort` ended the poll before an answer."""
        started, moment = self._clock(), anyio.current_time()
        self.in_flight = self._count = self._count + 1
        answer: Response | TransportError | None
        try:
            answer = await self._transport.long_poll(endpoints.poll(self._credentials))
        except TransportError as exc:
            answer = exc
        finally:
            self.in_flight = 0
        if answer is None:
            return None
        gaps = self._find_silence(started) if isinstance(answer, Response) else ()
        decision = evaluate(answer, anyio.current_time() - moment, self._history, self._limits)
        self._apply(decision)
        if decision.is_answer_lost:
            gaps = (*gaps, Gap(started, self._clock(), "poll"))
        return PollResult(decision, gaps)

    def abort(self) -> bool:
        """End the open poll, if there is one; an answer on its way is still delivered."""
        return self._transport.abort_poll()

    def resume(self, reason: str, *, is_lossy: bool) -> Batch:
        """Start after a login or an outage. Returns the gap since the last answer.

        There is none if nothing can be lost: not `is_lossy`, and the server still buffers.
        """
        since, now = self._credentials.last_poll, self._clock()
        self._answered_at = self._credentials.last_poll = now
        self._store.save(self._credentials)
        if since is None or not (is_lossy or now - since > self._limits.server_buffer):
            return ()
        return (Gap(since, now, reason),)

    def record_activity(self) -> None:
        """Note that the server has answered."""
        now = self._credentials.last_poll = self._clock()
        if now - self._saved_at > SAVE_INTERVAL:
            self._saved_at = now
            self._store.save(self._credentials)

    def _apply(self, decision: PollDecision) -> None:
        match decision.action:
            case Action.DELIVER:
                # Saved with the next empty answer: a write for each message would slow the delivery.
                self._credentials.last_poll = self._clock()
            case Action.REPOLL:
                self.record_activity()
            case Action.RENEW:
                self._credentials.renew(decision.ptwebqq, self._clock())
                self._store.save(self._credentials)

    def _find_silence(self, started: float) -> Batch:
        before, self._answered_at = self._answered_at, self._clock()
        if before is None or started - before <= self._limits.server_buffer:
            return ()
        return (Gap(before, started, "silence"),)
