"""What concerns a message on its way out: its number and what upstream's reply makes of it (4). Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from adapter.errors import ProtocolError, TransportError
from adapter.events import Outcome, Status
from adapter.networks.smartqq.protocol.parsing import OK, Answer, TransportTimeoutError, code_of, load, said

_RESULTS: Final = {
    OK: (Status.SENT, "ok"),
    100100: (Status.SENT, "ok"),  # accepted
    1202: (Status.UNKNOWN, "upstream.maybe"),  # often delivered: sending again doubles it
    108: (Status.FAILED, "rate.limited"),
}
SESSION: Final = frozenset({100, 103, 120, 121, 122, 100000, 100001, 100002, 100012, 100101})
"""The session or its cookies are doubted; nothing was sent."""

_LAP: Final = 10000


@dataclass(frozen=True, slots=True)
class Doubt:
    """A message has not left: the session or the network is doubted.

    `refusal` is what became of it where that cannot be mended; None: it is to be addressed again.
    """

    refusal: Outcome | None = None


def message_ids(now: float) -> Iterator[int]:
    """Message numbers by the official client's formula: from the second of the start, then counting (4.4).

    Where in that second is counted too: a program can be started again within it, a page was not, and
    a number that comes twice is accepted and not delivered.
    """
    number = int(now * _LAP) % (_LAP * _LAP)
    while True:
        number += 1
        yield number


def outcome(answer: Answer) -> Outcome | None:
    """What became of a message, or None if the session has to be mended first (4.6).

    `errCode` is looked at before `retcode`: each era has its own.
    """
    if answer.status == HTTPStatus.FORBIDDEN:
        return Outcome(Status.FAILED, "upstream.denied", "status 403")
    if answer.status != HTTPStatus.OK:
        return Outcome(Status.UNKNOWN, "upstream.lost", f"status {answer.status}")
    try:
        reply = load(answer)
    except ProtocolError as exc:
        return Outcome(Status.UNKNOWN, "upstream.lost", str(exc))
    code = code_of(reply, "errCode", "retcode")
    if code in SESSION:
        return None
    status, word = _RESULTS.get(code, (Status.FAILED, "upstream.denied"))
    return Outcome(status, word, f"{code} {said(reply)}".strip())


def rejected(why: str) -> Outcome:
    """What became of a message that the session did not allow."""
    return Outcome(Status.FAILED, "session.rejected", why.strip())


def broken(error: TransportError) -> Outcome:
    """What became of a message whose answer never came."""
    if not error.sent:
        return Outcome(Status.FAILED, "upstream.denied", str(error))
    late = isinstance(error, TransportTimeoutError)
    return Outcome(Status.UNKNOWN, "upstream.timeout" if late else "upstream.lost", str(error))
