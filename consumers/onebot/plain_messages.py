"""Turn the usual message of the bus into its frame in one step. Pure.

Usual: what a person said in a group or to the account, without a quotation. A gateway that catches up spends
most of its time on these. Content that no bot gets is not unpacked, and no value is made twice.

Invariant: the frame is byte for byte what `events.to_message` and `frames.encode_frame` make of the entry.
What breaks it: a change of those without one here. A test compares both for whatever an entry may hold.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from adapter import SchemaError, parse_address, read_time
from consumers.onebot.cq import encode_cq, escape_text
from consumers.onebot.message_index import Known
from consumers.onebot.numbers import entry_number
from consumers.onebot.segments import to_onebot

# The contract's order of fields. An entry in another one takes the longer way.
_NAMES: Final = [
    *(b"v", b"id", b"type", b"time", b"account", b"epoch", b"seq"),
    *(b"chat", b"sender", b"self", b"text", b"body"),
]
# Chats whose address is kept parsed: those of a busy account.
_MAX_CHATS: Final = 4_096
# Numbers are exact and have no sign; longer text is no id.
_MAX_DIGITS: Final = 20
Fields = list[bytes]


class PlainMessage(NamedTuple):
    """A message that is ready for bots, and what the gateway remembers of it."""

    frame: bytes
    known: Known


class _Segment(msgspec.Struct):
    type: str
    data: dict[str, Any]


class _Chat(msgspec.Struct):
    name: str = ""


class _Body(msgspec.Struct):
    """What bots get of a body; all else is skipped."""

    segments: list[_Segment]
    chat: _Chat
    sender: dict[str, Any]
    message_id: str


class _Sender(msgspec.Struct):
    user_id: int
    nickname: str
    card: str
    role: str
    sex: str = "unknown"
    age: int = 0


class _Private(msgspec.Struct):
    time: int
    self_id: int
    post_type: str
    message_type: str
    sub_type: str
    message_id: int
    user_id: int
    message: Any
    message_format: str
    raw_message: str
    font: int
    sender: _Sender


class _Group(_Private):
    group_id: int
    group_name: str
    anonymous: None = None


class _Place(NamedTuple):
    """A chat that is parsed; `number` is that of the group or of the friend."""

    address: str
    is_group: bool
    number: int


_decoder: Final = msgspec.msgpack.Decoder(_Body)
_encoder: Final = msgspec.json.Encoder()


def read_plain(entry: str, fields: Fields, *, as_text: bool = False) -> PlainMessage | None:
    """Return a usual message; None for an entry that is anything else, or cannot be read."""
    if fields[::2] != _NAMES:
        return None
    version, ident, kind, time, account, epoch, seq, chat, sender, own, text, packed = fields[1::2]
    if not (kind.startswith(b"message.") and version == b"1" and own == b"0" and ident):
        return None
    if not (epoch.isdigit() and seq.isdigit() and account.isdigit() and sender.isdigit()):
        return None
    try:
        place = _place(chat)
        body = _decoder.decode(packed)
        ident.decode()
        text.decode()
        kind.decode()
        seconds = int(read_time(time))
        if place is None or len(sender) > _MAX_DIGITS or len(account) > _MAX_DIGITS:
            return None
        return _message(entry, place, body, seconds, account, sender, as_text=as_text)
    except (ValueError, TypeError, OverflowError, msgspec.MsgspecError):
        return None


@lru_cache(_MAX_CHATS)
def _place(chat: bytes) -> _Place | None:
    """Return the chat of a usual message; None for one of another kind. Raises ValueError."""
    text = chat.decode()
    try:
        address = parse_address(text)
    except SchemaError:
        return None
    if address.kind not in {"friend", "group", "discuss"}:
        return None
    return _Place(text, address.kind != "friend", int(address.id))


def _message(
    entry: str, place: _Place, body: _Body, seconds: int, account: bytes, sender: bytes, *, as_text: bool
) -> PlainMessage | None:
    written = _write(body.segments)
    if written is None:
        return None
    segments, raw = written
    number, profile, user = entry_number(entry), body.sender, int(sender) or place.number
    row = _Sender(user, _text(profile, "name"), _text(profile, "card"), _text(profile, "role") or "member")
    common = (
        *(seconds, int(account), "message"),
        *(("group", "normal") if place.is_group else ("private", "friend")),
        *(number, user, raw if as_text else segments, "string" if as_text else "array", raw, 0, row),
    )
    event = _Group(*common, place.number, body.chat.name) if place.is_group else _Private(*common)
    frame = _encoder.encode(event)
    return PlainMessage(frame, Known(place.address, sender.decode(), body.message_id, number, profile))


def _write(items: list[_Segment]) -> tuple[list[Any], str] | None:
    """Return segments as OneBot names them, and the CQ string; None if one quotes a message."""
    segments: list[Any] = []
    raw: list[str] = []
    for item in items:
        if item.type == "text":
            text = item.data["text"] if len(item.data) == 1 and "text" in item.data else None
            if isinstance(text, str):
                segments.append(item)
                raw.append(escape_text(text))
                continue
        elif item.type == "face" and isinstance(item.data.get("id"), int):
            number = str(item.data["id"])
            segments.append({"type": "face", "data": {"id": number}})
            raw.append(f"[CQ:face,id={number}]")
            continue
        elif item.type == "reply":
            return None
        found = to_onebot([{"type": item.type, "data": item.data}], str)
        segments += found
        raw.append(encode_cq(found))
    return segments, "".join(raw)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""
