"""Fields of every stream and hash: order, form and meaning. The rest of the package is made from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from adapter.codec.inbound import PUBLISHED_STATES
from adapter.codec.request_body import OPERATIONS
from adapter.events import CONTRACT_VERSION, ChatKind, Delivery, Priority, SessionState, Status

Schema = dict[str, Any]

NOTICES: Final = (
    *("typing", "shake", "presence", "file", "group", "friend", "contacts"),
    *("recall", "member", "mute", "admin", "card", "essence", "reaction", "poke", "other"),
)
REQUESTS: Final = ("friend", "group")
MESSAGES: Final = tuple(kind.value for kind in ChatKind)
SESSIONS: Final = (*(state.value for state in SessionState if state in PUBLISHED_STATES), "gap")
TYPES: Final = (
    *(f"message.{kind}" for kind in MESSAGES),
    *(f"notice.{kind}" for kind in NOTICES),
    *(f"request.{kind}" for kind in REQUESTS),
    *(f"session.{kind}" for kind in SESSIONS),
)
CODES: Final[Mapping[Status, tuple[str, ...]]] = {
    Status.SENT: ("ok",),
    Status.UNKNOWN: ("upstream.maybe", "upstream.timeout", "upstream.lost", "crash"),
    Status.FAILED: (
        "upstream.denied",
        "target.unknown",
        "content.unsupported",
        "session.rejected",
        "rate.limited",
    ),
    Status.REJECTED: ("schema.invalid", "content.empty", "content.toolong", "id.conflict"),
    Status.EXPIRED: ("expired",),
}
COMMANDS: Final = (
    *("login", "logout", "refresh", "pause", "resume"),
    *("captcha", "lapse", "restore", "presence", "image"),
)

PRESENCES: Final = ("online", "away", "busy", "hidden", "callme", "silent")
NONCE: Final = "[0-9a-f]{32}"

_NUMBER = r"(0|[1-9][0-9]{0,19})"
ADDRESS: Final = (
    rf"((friend|group|discuss):{_NUMBER}|temp:{_NUMBER}@(group|discuss):{_NUMBER})"  # as address.py reads it
)
TIME: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
ENTRY: Final = r"[0-9]+-[0-9]+"


@dataclass(frozen=True, slots=True)
class Field:
    """A field: text of the form `schema`.

    A `binary` one is described by the schema of its decoded body.
    """

    name: str
    meaning: str
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    required: bool = True
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A stream or a hash.

    `ordered`: each entry has all required fields, in this order.
    """

    name: str
    kind: str
    what: str
    fields: Sequence[Field]
    ordered: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all fields."""
        return tuple(one.name for one in self.fields)

    @property
    def required_names(self) -> tuple[str, ...]:
        """Return the names of the fields that every entry has."""
        return tuple(one.name for one in self.fields if one.required)


def _form(pattern: str, *, empty: bool = False) -> Schema:
    return {"type": "string", "pattern": f"^({pattern})?$" if empty else f"^{pattern}$"}


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _open(known: Sequence[str], pattern: str) -> Schema:
    """Return a schema of known values and of those of later versions."""
    return {"type": "string", "anyOf": [{"enum": list(known)}, {"pattern": f"^{pattern}$"}]}


_V = Field("v", "contract version", {"type": "string", "const": CONTRACT_VERSION})
_TIME = Field("time", "RFC 3339, UTC, milliseconds", _form(TIME))
_ACCOUNT = Field("account", "own QQ number; empty before the first login", _form("[0-9]+", empty=True))
_EPOCH = Field("epoch", "generation of login and lease; rises by one", _form("[0-9]+"))
_FLAG = _one_of("0", "1")

INBOUND: Final = Table(
    "inbound",
    "stream",
    "Events, one an entry: messages, notices, changes of the session. One consumer group an application.",
    (
        _V,
        Field("id", "stable name of the upstream event: the same if it is published again", _form(r"\S+")),
        Field("type", "what happened", _open(TYPES, r"[a-z]+\.[a-z_]+")),
        Field("time", "upstream's time; the adapter's where upstream gives none", _form(TIME)),
        _ACCOUNT,
        _EPOCH,
        Field("seq", "contiguous for the account: a hole means trimmed or lost", _form("[1-9][0-9]*")),
        Field("chat", "address to answer, key for order; empty if none", _form(ADDRESS, empty=True)),
        Field("sender", "stable id of the speaker; empty if none", _form("[0-9]+", empty=True)),
        Field("self", "1: said by the own account, here or elsewhere; never answer it", _FLAG),
        Field("text", "plain rendering: faces as [名称], pictures as [图片], mentions as @name"),
        Field("body", "one msgpack map", binary=True),
    ),
    ordered=True,
)
OUTBOUND: Final = Table(
    "outbound",
    "stream",
    "Requests, one an entry. `to` and `text` are enough. A FastStream frame in `__data__` is read as well.",
    (
        Field(
            "to",
            "address, or reply:<event id>; only approve, deny and call may leave it out",
            _form(rf"({ADDRESS}|reply:\S+)"),
            required=False,
        ),
        Field("text", "plain text; [名称] of a known face becomes that face", required=False),
        Field(
            "body",
            "instead of text: segments and font; of call: action and params; msgpack or JSON",
            required=False,
            binary=True,
        ),
        Field(
            "op",
            "what to do, where the network can: send a message (default), recall one, approve or deny the "
            "request of an event, call an action of the network",
            _one_of(*OPERATIONS),
            required=False,
        ),
        Field("message_id", "of recall: the message_id of a result or of an event", required=False),
        Field("event", "of approve and deny: id of the request event; text is the remark", required=False),
        Field(
            "id",
            "idempotency key, advised <application>/<event id>; a repeat within 24 h is not sent again",
            _form(r"[A-Za-z0-9._:/@-]{1,128}"),
            required=False,
        ),
        Field(
            "expires",
            "RFC 3339, or seconds from the entry's time: not begun by then, not sent",
            required=False,
        ),
        Field(
            "at",
            "RFC 3339, or seconds from the entry's time, at most 30 days: not sent before; expires counts "
            "from there",
            required=False,
        ),
        Field("cause", "id of the event that led here", required=False),
        Field(
            "delivery",
            "what to do about an ambiguous attempt",
            _one_of(*(kind.value for kind in Delivery)),
            required=False,
        ),
        Field("priority", "who goes first", _one_of(*(kind.value for kind in Priority)), required=False),
        Field(
            "results",
            "own stream for the result: <prefix>:results:<name>",
            _form(r"\S+:results:[A-Za-z0-9._-]{1,64}"),
            required=False,
        ),
        Field("traceparent", "W3C trace context; comes back with the result", required=False),
        Field(
            "scheduled",
            "of the adapter: the entry that asked for this one with at",
            _form(ENTRY),
            required=False,
        ),
    ),
)
RESULTS: Final = Table(
    "results",
    "stream",
    "Exactly one result a request.",
    (
        _V,
        Field("id", "the request's id", _form(r"[A-Za-z0-9._:/@-]{1,128}")),
        Field("entry", "id of the entry of the outbound stream", _form(ENTRY)),
        _TIME,
        _ACCOUNT,
        _EPOCH,
        Field("to", "the address as far as it could be read"),
        Field("status", "how it ended", _one_of(*(status.value for status in Status))),
        Field(
            "code", "why", _open([code for codes in CODES.values() for code in codes], r"[a-z]+(\.[a-z]+)*")
        ),
        Field("detail", "upstream's code and words, or what to change"),
        Field("attempts", "how often it was tried", _form("[0-9]+")),
        Field("parts", "messages that were sent, of how many", _form("[0-9]+/[0-9]+")),
        Field("message_id", "upstream's number of the first message; empty if none"),
        Field("replayed", "1: the answer to an earlier request of this id", _FLAG),
        Field("traceparent", "the request's, where it has one", required=False),
        Field("data", "of call: the answer, as JSON; empty if it is too large", required=False),
    ),
    ordered=True,
)
DEAD: Final = Table(
    "dead",
    "stream",
    "Entries that could not be handled, with the reason and the original fields.",
    (
        _V,
        _TIME,
        Field("stream", "key of the stream it came from"),
        Field("entry", "its id there", _form(ENTRY)),
        Field("group", "the group that gave up"),
        Field("consumer", "its consumer"),
        Field("reason", "a code"),
        Field("detail", "in words"),
        Field("attempts", "how often it was tried", _form("[0-9]+")),
        Field("fields", "msgpack map of the original fields, bytes kept", binary=True),
        Field(
            "clipped",
            "where fields were too long to keep: JSON {fields: {name: {bytes, sha256}}, omitted}, with the "
            "length of each, the SHA-256 of the part left out, and the number of fields left out",
            required=False,
        ),
    ),
    ordered=True,
)
CONTROL: Final = Table(
    "control",
    "stream",
    "Commands of the operator.",
    (
        Field("cmd", "what to do", _one_of(*COMMANDS)),
        Field("by", "user and host that sent it, for the log", required=False),
        Field("text", "of captcha: what the picture shows", required=False),
        Field("group", "of lapse and restore: the consumer group", required=False),
        Field(
            "to",
            "of refresh: a group whose members are loaded, where the network does not load them by itself",
            required=False,
        ),
        Field("status", "of presence: how to be seen", _one_of(*PRESENCES), required=False),
        Field(
            "entry", "of image: the message's entry id on the inbound stream", _form(ENTRY), required=False
        ),
        Field("number", "of image: which of its pictures, from 1", _form("[1-9][0-9]*"), required=False),
        Field(
            "reply",
            "of presence and image: the answer is pushed to the list <prefix>:ids:reply:<this>",
            _form(NONCE),
            required=False,
        ),
    ),
)
SESSION: Final = Table(
    "session",
    "stream",
    "Changes of the session, with the QR code. A credential: only operators may read it.",
    (
        _V,
        _TIME,
        _ACCOUNT,
        _EPOCH,
        Field("state", "where the session stands", _one_of(*(state.value for state in SessionState))),
        Field("reason", "a code or a word"),
        Field("detail", "in words"),
        Field("png", "of qr and captcha: the picture", required=False, binary=True),
        Field("text", "of qr: what the code encodes; empty where it could not be read", required=False),
        Field("expires", "of qr and captcha: when it ends", _form(TIME), required=False),
    ),
)
STATUS: Final = Table(
    "status",
    "hash",
    "Where the session stands, without secrets.",
    (
        SESSION.fields[4],
        Field("reason", "a code or a word"),
        _ACCOUNT,
        Field("nick", "own name", required=False),
        Field("since", "when this state began", _form(TIME)),
        _EPOCH,
        Field("holder", "the adapter that holds the connection"),
        Field("inbound_seq", "number of the newest event", _form("[0-9]+")),
        Field(
            "outbound_pending",
            "requests that wait; empty if unknown",
            _form("[0-9]+", empty=True),
            required=False,
        ),
        Field(
            "outbound_oldest",
            "when the request was made that waits longest; empty if none waits",
            _form(TIME, empty=True),
            required=False,
        ),
        Field(
            "last_event",
            "when upstream last delivered a message or a notice; empty if never",
            _form(TIME, empty=True),
        ),
        Field("last_poll", "when upstream last answered; empty if never", _form(TIME, empty=True)),
        Field("paused", "1: sends are held", _FLAG),
        Field("version", "of the adapter"),
        Field("network", "smartqq, onebot or official", required=False),
        Field("disk", "why events cannot be put on disk; empty if they can", required=False),
        Field("failing", "background services that fail, and their errors; empty if none", required=False),
        Field(
            "clock_offset",
            "seconds by which the clock of Redis is ahead of the adapter's; empty up to 2",
            required=False,
        ),
    ),
)
TABLES: Final = {table.name: table for table in (INBOUND, OUTBOUND, RESULTS, DEAD, CONTROL, SESSION, STATUS)}
HASHES: Final = {
    "friends": "Friends: field = stable id, value = one msgpack map.",
    "groups": "Groups, likewise.",
    "discusses": "Discussions, likewise.",
    "members:{chat}": "Members of a group or discussion, likewise.",
}
