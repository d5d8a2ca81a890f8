"""Answers of actions, and what each return code says about what was sent.

The codes are no standard: the table names the implementation of each meaning. S: the text of OneBot 11,
N: NapCat, L: LLBot, W: SnowLuma, G: go-cqhttp, O: onebots.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from adapter.events import Outcome, Status
from adapter.networks.onebot.protocol.values import (
    Object,
    mapping,
    parse_int,
    parse_message_id,
    parse_text,
)

# Characters of the network's words in a result.
_MAX_WORDS: Final = 200


class Verdict(Enum):
    """What an answer says: done, refused, not known to the implementation, or the token is wrong."""

    DONE = "done"
    DENIED = "upstream.denied"
    UNSUPPORTED = "content.unsupported"
    UNAUTHORIZED = "session.rejected"


_VERDICTS: Final[Mapping[int, Verdict]] = {
    0: Verdict.DONE,  # S
    1: Verdict.DONE,  # S: taken, and carried out later (`async`)
    100: Verdict.DENIED,  # G, W: refused or failed; G also for wrong parameters
    400: Verdict.DENIED,  # N over HTTP: wrong parameters
    1200: Verdict.DENIED,  # N, L, some of W: refused or failed
    1400: Verdict.DENIED,  # S, N, L, W: wrong parameters
    404: Verdict.UNSUPPORTED,  # G: unknown action
    1404: Verdict.UNSUPPORTED,  # S, N, L, W: unknown action
    401: Verdict.UNAUTHORIZED,  # S: no token
    403: Verdict.UNAUTHORIZED,  # S: wrong token
    1401: Verdict.UNAUTHORIZED,  # W over HTTP
    1403: Verdict.UNAUTHORIZED,  # N, L: wrong token, in a frame after the handshake; O
}
# Codes that mean an unknown action only with these words: N over HTTP 200, O -1.
_UNSUPPORTED_WORDS: Final[Mapping[int, str]] = {200: "不支持", -1: "Unknown action"}
# Codes of an action that was refused before anything was sent, whatever its words.
_UNSENT: Final = frozenset({400, 1400})
# N answers 1200, W 100 when QQ did not confirm in time: users saw such messages arrive minutes later.
_TIMEOUT: Final = re.compile(r"time[d\- ]*out|超时", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an action. `words` are the network's own, cut to what fits a result."""

    verdict: Verdict
    code: int | None
    words: str
    data: object

    @property
    def is_timeout(self) -> bool:
        """Whether the implementation gave up waiting for QQ: what was asked may have happened."""
        is_denied = self.verdict is Verdict.DENIED and self.code not in _UNSENT
        return is_denied and _TIMEOUT.search(self.words) is not None


def decode_answer(frame: Object) -> Answer:
    """Return the answer in a frame. An unknown code is a refusal, unless the status says otherwise."""
    code, status = parse_int(frame.get("retcode")), frame.get("status")
    words = _words(frame)
    verdict = _VERDICTS.get(code) if code is not None else None
    if verdict is None and code is not None and _UNSUPPORTED_WORDS.get(code, "\0") in words:
        verdict = Verdict.UNSUPPORTED
    if verdict is None:
        verdict = Verdict.DONE if status in ("ok", "async") else Verdict.DENIED
    return Answer(verdict, code, words, frame.get("data"))


def _words(frame: Object) -> str:
    for name in ("wording", "message", "msg"):
        if words := parse_text(frame.get(name)).strip():
            return " ".join(words.split())[:_MAX_WORDS]
    return ""


def outcome_of(answer: Answer) -> Outcome:
    """Return what became of a message or an operation."""
    detail = f"{'' if answer.code is None else answer.code} {answer.words}".strip()
    if answer.verdict is Verdict.DONE:
        message_id = parse_message_id(mapping(answer.data).get("message_id"))
        return Outcome(Status.SENT, "ok", detail if answer.words else "", message_id)
    if answer.is_timeout:
        return Outcome(Status.UNKNOWN, "upstream.maybe", detail)
    return Outcome(Status.FAILED, answer.verdict.value, detail)
