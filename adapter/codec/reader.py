"""Decode entries of `qq:inbound` and `qq:results` for workers. Pure.

Unknown fields, types and map keys are ignored. An entry that cannot be decoded is a SchemaError.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, Final

import msgpack

from adapter.codec.segments import read_segment
from adapter.content import Font, Segment
from adapter.errors import SchemaError
from adapter.events import CONTRACT_VERSION

_VERSION: Final = CONTRACT_VERSION.encode()

Fields = Mapping[bytes, bytes]


@dataclass(frozen=True)
class Received:
    """One entry of `qq:inbound`; of this class itself if its type is unknown.

    `entry` is the id in the stream, `time` in seconds since 1970, `chat` the address to answer or empty.
    `own`: the account itself sent it. `raw_body` is the packed `body`.
    """

    entry: str
    id: str
    type: str
    time: float
    account: str
    epoch: int
    seq: int
    chat: str
    sender: str
    own: bool
    text: str
    raw_body: bytes = field(repr=False)

    @cached_property
    def body(self) -> Mapping[str, Any]:
        """The unpacked map. Raises SchemaError, but never on a value of `read_event`."""
        return read_map(self.raw_body)

    @property
    def chat_name(self) -> str:
        """The name of the chat, empty if unknown."""
        return _text_at(self.body, "chat", "name")

    @property
    def sender_name(self) -> str:
        """The name to show for the sender: the card in this group, else the name."""
        return _text_at(self.body, "sender", "card") or _text_at(self.body, "sender", "name")

    @property
    def sender_qq(self) -> str:
        """The QQ number of the sender, empty if unknown."""
        return _text_at(self.body, "sender", "qq")

    @property
    def message_id(self) -> str:
        """The id that the network gave the message."""
        return _text(self.body.get("message_id"))


@dataclass(frozen=True)
class ReceivedMessage(Received):
    """A message: `message.*`."""

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments of the content; one that cannot be decoded is an Unknown."""
        items = self.body.get("segments")
        return tuple(read_segment(item) for item in items) if isinstance(items, list) else ()

    @property
    def request_entry(self) -> str:
        """The entry in `qq:outbound` of the request that sent it, empty if none did."""
        return _text(self.body.get("entry")) if self.own else ""

    @property
    def font(self) -> Font | None:
        """The font in which the sender's client showed the message."""
        match self.body.get("font"):
            case {
                "name": str(name),
                "size": int(size),
                "style": [int(b), int(i), int(u)],
                "color": str(color),
            }:
                return Font(name, size, (b, i, u), color)
            case _:
                return None


@dataclass(frozen=True)
class ReceivedNotice(Received):
    """A notice, such as a recall or a new member, or a request: `notice.*` and `request.*`."""

    @property
    def data(self) -> Mapping[str, Any]:
        """The notice's own content."""
        return _map(self.body.get("data"))


@dataclass(frozen=True)
class ReceivedSession(Received):
    """A change of the session, or a gap in the messages: `session.*`."""

    @property
    def reason(self) -> str:
        """The reason, a code or a few words."""
        return _text(self.body.get("reason"))


@dataclass(frozen=True, slots=True)
class Result:
    """One entry of `qq:results`. `status` is a value of Status, or one of a newer adapter.

    `data` is the answer to a call, as JSON.
    """

    id: str
    entry: str
    time: float
    account: str
    epoch: int
    to: str
    status: str
    code: str
    detail: str
    attempts: int
    sent: int
    total: int
    message_id: str
    replayed: bool
    data: str = ""


_FAMILIES: Final[Mapping[str, type[Received]]] = {
    "message": ReceivedMessage,
    "notice": ReceivedNotice,
    "request": ReceivedNotice,
    "session": ReceivedSession,
}


def read_event(entry: str, fields: Fields) -> Received:
    """Decode an entry of `qq:inbound`. Raises SchemaError."""
    event = read_event_header(entry, fields)
    # What `cached_property` would do, without its lock.
    event.__dict__["body"] = read_map(event.raw_body)
    return event


def read_event_header(entry: str, fields: Fields) -> Received:
    """Decode an entry of `qq:inbound` except its body. Raises SchemaError, as `body` may later.

    Unpacking the body is more than half of the cost, and many readers do without it.
    """
    try:
        if fields[b"v"] != _VERSION:
            raise SchemaError(f"v is not {CONTRACT_VERSION}: this reader is older than the adapter")
        kind = fields[b"type"].decode()
        event = object.__new__(_FAMILIES.get(kind.partition(".")[0], Received))
        # What the frozen class would do with a call for each field, in a quarter of the time.
        event.__dict__.update(
            entry=entry,
            id=_required(fields[b"id"], "id"),
            type=kind,
            time=read_time(fields[b"time"]),
            account=fields[b"account"].decode(),
            epoch=int(fields[b"epoch"] or 0),
            seq=int(fields[b"seq"] or 0),
            chat=fields[b"chat"].decode(),
            sender=fields[b"sender"].decode(),
            own=fields[b"self"] == b"1",
            text=fields[b"text"].decode(),
            raw_body=fields[b"body"],
        )
    except KeyError as exc:
        raise SchemaError(f"the field {_field_name(exc)} is missing") from exc
    except ValueError as exc:
        raise SchemaError(f"a field cannot be read: {exc}") from exc
    return event


def read_result(fields: Fields) -> Result:
    """Decode an entry of `qq:results`. Raises SchemaError."""
    try:
        sent, _, total = fields[b"parts"].partition(b"/")
        return Result(
            id=_required(fields[b"id"], "id"),
            entry=fields[b"entry"].decode(),
            time=read_time(fields[b"time"]),
            account=fields[b"account"].decode(),
            epoch=int(fields[b"epoch"] or 0),
            to=fields[b"to"].decode(),
            status=_required(fields[b"status"], "status"),
            code=fields[b"code"].decode(),
            detail=fields[b"detail"].decode(),
            attempts=int(fields[b"attempts"] or 0),
            sent=int(sent or 0),
            total=int(total or 0),
            message_id=fields[b"message_id"].decode(),
            replayed=fields[b"replayed"] == b"1",
            data=fields.get(b"data", b"").decode(),
        )
    except KeyError as exc:
        raise SchemaError(f"the field {_field_name(exc)} is missing") from exc
    except ValueError as exc:
        raise SchemaError(f"a field cannot be read: {exc}") from exc


def read_map(packed: bytes) -> dict[str, Any]:
    """Unpack a field that holds a msgpack map; an empty field is an empty map. Raises SchemaError."""
    if not packed:
        return {}
    try:
        value = msgpack.unpackb(packed, strict_map_key=False)
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as exc:
        raise SchemaError("the map cannot be unpacked") from exc
    if not isinstance(value, dict):
        raise SchemaError("the value is not a map")
    return value


@lru_cache(maxsize=256)
def read_time(text: bytes) -> float:
    """Return a time of RFC 3339 in seconds since 1970. Raises ValueError."""
    time = datetime.fromisoformat(text.decode())
    if time.tzinfo is None:
        raise ValueError("time has no zone")
    return time.timestamp()


def _required(value: bytes, name: str) -> str:
    if not value:
        raise ValueError(f"{name} is empty")
    return value.decode()


def _field_name(exc: KeyError) -> str:
    name = exc.args[0]
    return name.decode() if isinstance(name, bytes) else str(name)


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _text_at(body: Mapping[str, Any], part: str, name: str) -> str:
    return _text(_map(body.get(part)).get(name))
