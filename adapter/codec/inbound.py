"""The contract's `qq:inbound` side: events become entries. Pure; requests are in request.py."""

import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import msgpack

from adapter.codec.address import chat_token
from adapter.events import (
    ContactRef,
    Face,
    Font,
    Gap,
    Image,
    Markup,
    Message,
    Notice,
    Participants,
    Segment,
    SessionChange,
    SessionState,
    Text,
    Unknown,
    render,
)

# Deeper nesting than this in a raw value is cut: msgpack itself stops at 511.
MAX_DEPTH = 100
YEAR_9999 = 253_402_300_799.0
_SURROGATE = re.compile("[\ud800-\udfff]")
_INT64, _UINT64 = -(2**63), 2**64

# The states that every worker hears of; the others are the operator's (`qq:session`).
PUBLISHED_STATES = frozenset({SessionState.ONLINE, SessionState.OFFLINE, SessionState.KICKED})


class EventRecord(NamedTuple):
    """One entry of `qq:inbound` without what the append gives: `v`, `account`, `epoch`, `seq`."""

    id: str
    type: str
    time: str
    chat: str
    sender: str
    from_self: str
    text: str
    body: bytes


class RecordContext(NamedTuple):
    """What an event does not know about itself. `now` in seconds; `ordinal`: its place in the batch."""

    account: str
    epoch: int
    now: float
    ordinal: int = 0


def encode_message(message: Message, place: Participants, origin: RecordContext, *, raw: bool) -> EventRecord:
    """The entry of a message. Shapes: contract, "qq:inbound"."""
    common = _common(place)
    packed = pack([segment_to_dict(segment) for segment in message.segments])
    # Put together from packed pieces: what speakers and chats have in common is packed once.
    body = b"".join(
        (
            _RAW_HEAD if raw else _HEAD,
            packed,
            _packed_font(message.font),
            common.packed,
            pack(message.message_id),
            _UPSTREAM,
            pack(message.upstream),
            _RAW + pack(message.raw) if raw else b"",
        )
    )
    kind = "temp" if place.chat is None else place.chat.kind
    return EventRecord(
        _event_id(origin, common, message.message_id, str(int(message.time)), packed),
        f"message.{kind}",
        timestamp(message.time),
        common.chat,
        common.sender,
        "1" if message.from_self else "0",
        replace_surrogates(render(message.segments)),
        body,
    )


# The start of a body, a map of six or seven, and two of its keys in msgpack.
_HEAD, _RAW_HEAD = b"\x86\xa8segments", b"\x87\xa8segments"
_UPSTREAM, _RAW = b"\xa8upstream", b"\xa3raw"


@lru_cache(maxsize=1024)
def _packed_font(font: Font | None) -> bytes:
    return pack("font") + pack(font_to_dict(font))


class _Common(NamedTuple):
    """What all entries of one speaker in one chat have in common."""

    chat: str
    sender: str
    token: str
    packed: bytes


@lru_cache(maxsize=65_536)  # as many as the directory has at hand
def _common(place: Participants) -> _Common:
    named = b"".join(pack(name) + pack(value) for name, value in _participants_to_dict(place).items())
    chat, sender = place.chat, place.sender
    return _Common(
        "" if chat is None else str(chat),
        "" if sender is None else sender.id,
        f"{chat_token(chat)}.{'0' if sender is None else sender.id}",
        named + pack("message_id"),
    )


def encode_notice(notice: Notice, place: Participants, origin: RecordContext, *, raw: bool) -> EventRecord:
    """The entry of a notice. `body.data` is the notice's own content; unknown ones carry `raw`."""
    body: dict[str, object] = _participants_to_dict(place)
    body["message_id"] = notice.message_id
    body["data"] = notice.data
    body["upstream"] = notice.upstream
    packed = pack([notice.kind, notice.text, notice.data])
    if raw or notice.kind == "other":
        body["raw"] = notice.raw
    # Without a time of upstream's two equal notices are two events: the adapter's clock tells them apart.
    told = notice.time is not None
    time = notice.time if notice.time is not None else origin.now
    common = _common(place)
    stamp = str(int(time)) if told else f"{int(time * 1000)}-{origin.ordinal}"
    return EventRecord(
        _event_id(origin, common, notice.message_id or "0", stamp, packed),
        f"notice.{notice.kind}",
        timestamp(time),
        common.chat,
        common.sender,
        "1" if notice.from_self else "0",
        replace_surrogates(notice.text),
        pack(body),
    )


def encode_session_event(event: SessionChange | Gap, origin: RecordContext) -> EventRecord:
    """The entry of a session event that concerns every worker."""
    match event:
        case Gap(since, until, reason):
            kind, text = (
                "gap",
                f"messages between {timestamp(since)} and {timestamp(until)} may be lost: {reason}",
            )
            body: dict[str, object] = {"since": timestamp(since), "until": timestamp(until), "reason": reason}
        case SessionChange(state, reason, detail, nick=nick):
            kind, text = state.value, " – ".join(filter(None, (f"session {state.value}", reason)))
            body = {"reason": reason, "detail": detail, "nick": nick}
    ident = f"{origin.account}.-.{kind}.{origin.epoch}.{int(origin.now * 1000)}-{origin.ordinal}"
    return EventRecord(
        ident, f"session.{kind}", timestamp(origin.now), "", "", "0", replace_surrogates(text), pack(body)
    )


def segment_to_dict(segment: Segment) -> dict[str, object]:
    """A segment under its OneBot name. Absent values are left out."""
    match segment:
        case Text(text) | Markup(text):
            return {"type": "text", "data": {"text": text}}
        case Face(number, name):
            return {"type": "face", "data": {"id": number, "name": name}}
        case Image(kind, name, file_id, key, server, file_path):
            known = {"name": name, "file_id": file_id, "key": key, "server": server, "file_path": file_path}
            return {"type": "image", "data": {"kind": kind, **{k: v for k, v in known.items() if v}}}
        case Unknown(raw):
            return {"type": "unknown", "data": {"raw": raw}}


def font_to_dict(font: Font | None) -> dict[str, object] | None:
    """A font as the contract writes it."""
    if font is None:
        return None
    return {"name": font.name, "size": font.size, "style": list(font.style), "color": font.color}


def timestamp(seconds: float) -> str:
    """RFC 3339, UTC, milliseconds. A time no calendar holds becomes 1970: upstream may send anything."""
    whole, milli = divmod(round(seconds * 1000), 1000) if 0 <= seconds <= YEAR_9999 else (0, 0)
    return f"{_second(whole)}.{milli:03d}Z"


@lru_cache(maxsize=64)
def _second(whole: int) -> str:
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def replace_surrogates(text: str) -> str:
    """Valid UTF-8: a lone surrogate becomes U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def pack(value: object) -> bytes:
    """The value in msgpack, whatever upstream put into it. Texts become valid UTF-8."""
    try:
        return _packer.pack(value)  # type: ignore[no-any-return]
    except (UnicodeEncodeError, OverflowError, ValueError, TypeError):
        return _packer.pack(_sanitize(value, MAX_DEPTH))  # type: ignore[no-any-return]


# Making one costs more than packing a message with it. After an error it is as good as new.
_packer = msgpack.Packer()


def _sanitize(value: object, depth: int) -> object:  # noqa: PLR0911 – one line a type reads best
    if depth == 0:
        return "…"
    match value:
        case str():
            return replace_surrogates(value)
        case bool() | float() | bytes() | None:
            return value
        case int():
            return value if _INT64 <= value < _UINT64 else str(value)
        case Mapping():
            return {replace_surrogates(str(key)): _sanitize(item, depth - 1) for key, item in value.items()}
        case list() | tuple():
            return [_sanitize(item, depth - 1) for item in value]
        case _:
            return replace_surrogates(str(value))


def _event_id(origin: RecordContext, common: _Common, message_id: str, stamp: str, content: bytes) -> str:
    check = zlib.crc32(content)
    digest = (check ^ check >> 16) & 0xFFFF
    return f"{origin.account}.{common.token}.{message_id}.{stamp}.{digest:04x}"


def _participants_to_dict(place: Participants) -> dict[str, object]:
    chat: dict[str, object] | None = None
    if place.chat is not None:
        party = place.chat_contact or ContactRef(place.chat.id)
        chat = {
            "type": place.chat.kind.value,
            "id": place.chat.id,
            "name": party.name,
            "identity": party.identity.value,
        }
        if place.chat.via is not None:
            chat["via"] = {"type": place.chat.via.kind.value, "id": place.chat.via.id}
    return {"chat": chat, "sender": None if place.sender is None else _contact_to_dict(place.sender)}


def _contact_to_dict(party: ContactRef) -> dict[str, object]:
    known: dict[str, object] = {"id": party.id, "name": party.name}
    if party.card:
        known["card"] = party.card
    if party.qq:
        known["qq"] = party.qq
    known["identity"] = party.identity.value
    return known
