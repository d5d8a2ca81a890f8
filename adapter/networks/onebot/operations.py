"""Operations: recalls, answers to requests and calls on a proved connection."""

from collections.abc import Callable
from typing import Final

import anyio

from adapter.errors import SchemaError, TransportError
from adapter.events import AnswerRequest, CallAction, Operation, Outcome, Status
from adapter.networks.onebot.client.calls import dump
from adapter.networks.onebot.client.connection import Connection
from adapter.networks.onebot.limits import Limits
from adapter.networks.onebot.protocol.operations import encode_operation
from adapter.networks.onebot.protocol.return_codes import Answer, Verdict, outcome_of
from adapter.networks.onebot.sender import outcome_of_error

# Characters of an answer that a result carries; a member list of 9,000 has 4 million.
MAX_DATA: Final = 1024 * 1024


class Operations:
    """Carries operations out. Never raises for a refusal: a refusal is an Outcome."""

    def __init__(self, limits: Limits, wall: Callable[[], float]) -> None:
        self._limits = limits
        self._wall = wall

    async def perform(
        self, connection: Connection, operation: Operation, may_send: Callable[[], bool]
    ) -> Outcome | None:
        """Carry out one operation. None: nothing has left, because it may not or the connection is gone."""
        try:
            action = encode_operation(operation)
        except SchemaError as exc:
            return Outcome(Status.FAILED, "content.unsupported", str(exc))
        if isinstance(operation, AnswerRequest):
            await anyio.sleep(self._answer_delay(operation))
        try:
            answer = await connection.calls.call(
                action.name, action.params, seconds=self._limits.call_seconds, may_send=may_send
            )
        except TransportError as exc:
            return outcome_of_error(exc)
        if answer is None:
            return None
        return _with_data(answer) if isinstance(operation, CallAction) else outcome_of(answer)

    def _answer_delay(self, operation: AnswerRequest) -> float:
        """Return the seconds until a request may be answered; its time is known in whole seconds."""
        limit = self._limits.answer_request_seconds
        return min(max(0.0, operation.request.time + 1.0 + limit - self._wall()), 1.0 + limit)


def _with_data(answer: Answer) -> Outcome:
    outcome = outcome_of(answer)
    if answer.verdict is not Verdict.DONE:
        return outcome
    data = dump(answer.data)
    if len(data) > MAX_DATA:
        detail = f"the answer of {len(data)} characters is over the limit of {MAX_DATA}"
        return Outcome(outcome.status, outcome.code, detail, outcome.message_id)
    return Outcome(outcome.status, outcome.code, outcome.detail, outcome.message_id, data)
