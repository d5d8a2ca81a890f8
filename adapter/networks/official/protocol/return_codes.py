"""Answers of the API, and what each code says about a message.

`code` and `err_code` of one answer may differ: both count. A refusal may come as HTTP 200. Codes of the same
meaning stand together in the tables; a code in none of them is a refusal.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from adapter.events import Outcome, Status
from adapter.networks.official.protocol.redaction import redact_text
from adapter.networks.official.protocol.values import NOTHING, Object, mapping, parse_int, parse_text

# Characters of the network's words in a result.
_MAX_WORDS: Final = 200
_OK, _CREATED, _ACCEPTED, _UNAUTHORIZED, _TOO_MANY, _SERVER = 200, 201, 202, 401, 429, 500
_MULTIPLE: Final = 300

# A part with this msg_seq was accepted before.
DUPLICATE: Final = 40054005
# The message cannot be answered any more, or not by this many messages.
_ANCHOR: Final = frozenset(
    {40034128, 40034005, 40034024, 40034025, 40034026, 40034027, 304103, 304026, 304027}
)
# The token is wrong or has expired: a new one may help.
_TOKEN: Final = frozenset({11241, 11242, 11243, 11244, 11251, 11261, 11275})
# Accepted, and shown only if it passes an audit; or the network does not know itself.
_MAYBE: Final = frozenset({304023, 304024, 50055001, 50055002, 50055006})
# Certainly not delivered, and worth one repeat after a pause.
_TRANSIENT: Final = frozenset(
    {
        *(40034100, 40034004, 40054006, 304007, 304008, 304009, 304010, 304017, 304021, 304029),
        *(11242, 11252, 11263, 11281),
    }
)
# The bot has no connection with the gateway, as the network sees it.
_NO_GATEWAY: Final = 304018
_BY_CODE: Final[Mapping[str, frozenset[int]]] = {
    "target.unknown": frozenset({40054003, 40034101, 40054004}),
    "rate.limited": frozenset({40034100, 22009, 1100100, 1100308}),
    "session.rejected": _TOKEN | {11298, 40023002, 11265, 40054016, _NO_GATEWAY},
    "content.unsupported": frozenset(
        {22006, 50055, 50056, 50057, 304036, 40034124, 40034127, 40054007, 40054018}
    ),
}
# Uploads that were refused: the format, the size, the source.
_MEDIA: Final = range(850000, 860000)
_MUTED: Final = 850018
_HINTS: Final[Mapping[int, str]] = {
    11298: "the address of this host is not on the IP white list of the bot: add it at q.qq.com",
    40023002: "the address of this host is not on the IP white list of the bot: add it at q.qq.com",
    11265: "the bot is banned: see q.qq.com",
}


@dataclass(frozen=True)
class Answer:
    """One answer of the API."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = ""

    @cached_property
    def object(self) -> Object:
        """The object of the answer, an empty one for anything else."""
        try:
            return mapping(json.loads(self.body)) if self.body else NOTHING
        except (ValueError, RecursionError):
            return NOTHING

    @cached_property
    def codes(self) -> frozenset[int]:
        """The error codes of the answer, without 0."""
        found = (parse_int(self.object.get(name)) for name in ("code", "err_code"))
        return frozenset(code for code in found if code)

    @property
    def is_done(self) -> bool:
        """Whether the call was carried out."""
        return not self.codes and _OK <= self.status < _MULTIPLE

    @property
    def is_token_refused(self) -> bool:
        """Whether a new token may help."""
        if self.codes & _TOKEN:
            return True
        return self.status == _UNAUTHORIZED and not self.codes

    @property
    def is_duplicate(self) -> bool:
        """Whether a message with this anchor and msg_seq was accepted before."""
        return DUPLICATE in self.codes

    @property
    def is_anchor_refused(self) -> bool:
        """Whether the message that is answered cannot be answered any more."""
        return bool(self.codes & _ANCHOR)

    @property
    def is_gateway_missing(self) -> bool:
        """Whether the network sees no connection of the bot with the gateway."""
        return _NO_GATEWAY in self.codes

    @property
    def is_transient(self) -> bool:
        """Whether the message was certainly not delivered, and a repeat may be."""
        return self.status == _TOO_MANY or bool(self.codes & _TRANSIENT) or self.is_gateway_missing

    @property
    def words(self) -> str:
        """What the network says, with its codes."""
        text = redact_text(parse_text(self.object.get("message"))).split()
        codes = "/".join(map(str, sorted(self.codes))) or f"status {self.status}"
        hint = next((_HINTS[code] for code in self.codes if code in _HINTS), "")
        return f"{codes} {hint or ' '.join(text)}".strip()[:_MAX_WORDS]


def outcome_of(answer: Answer) -> Outcome:
    """Return what became of a message, an upload or a recall."""
    if _is_uncertain(answer):
        return Outcome(Status.UNKNOWN, "upstream.maybe", _with_audit(answer))
    if answer.is_done:
        message_id = parse_text(answer.object.get("id"))
        return Outcome(Status.SENT, "ok", "", message_id)
    return Outcome(Status.FAILED, _failure(answer), answer.words)


def _is_uncertain(answer: Answer) -> bool:
    if answer.status in {_CREATED, _ACCEPTED} or answer.codes & _MAYBE:
        return True
    return answer.status >= _SERVER


def _failure(answer: Answer) -> str:
    for name, codes in _BY_CODE.items():
        if answer.codes & codes:
            return name
    if any(code in _MEDIA and code != _MUTED for code in answer.codes):
        return "content.unsupported"
    if answer.status == _TOO_MANY:
        return "rate.limited"
    return "session.rejected" if answer.status == _UNAUTHORIZED and not answer.codes else "upstream.denied"


def _with_audit(answer: Answer) -> str:
    audit = mapping(mapping(answer.object.get("data")).get("message_audit"))
    number = parse_text(audit.get("audit_id"))
    return f"{answer.words} audit_id={number}" if number else answer.words


def sent_without_id(outcome: Outcome) -> Outcome:
    """Return the outcome of a message whose answer names no id: it may have been delivered."""
    if outcome.status is not Status.SENT or outcome.message_id:
        return outcome
    return Outcome(Status.UNKNOWN, "upstream.maybe", "the answer names no message")
