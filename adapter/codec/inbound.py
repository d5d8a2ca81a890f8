"""Encode events as records of `qq:inbound` (contract). Pure."""

import re
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import msgpack

from adapter.codec.address import chat_token
from adapter.codec.segments import segment_to_dict
from adapter.content import At, File, Font, Image, Record, Segment, Video, render
from adapter.events import ContactRef, Gap, Message, Notice, Participants, SessionChange, SessionState

# Levels of nesting in a raw value; deeper ones are cut. msgpack itself stops at 511.
MAX_DEPTH = 100
# Seconds since 1970 that a calendar can show: the end of the year 9999.
YEAR_9999 = 253_402_300_799.0
_SURROGATE = re.compile("[\ud800-\udfff]")
_INT64, _UINT64 = -(2**63), 2**64

# The states that are published to all workers; the others are for the operator (`qq:session`).
PUBLISHED_STATES = frozenset({SessionState.ONLINE, SessionState.OFFLINE, SessionState.KICKED})


class EventRecord(NamedTuple):
    """One entry of `qq:inbound` without the fields of the append script: `v account epoch seq`."""

    id: str
    type: str
    time: str
    chat: str
    sender: str
    from_self: str
    text: str
    body: bytes


class RecordContext(NamedTuple):
    """The context of an event. `now` in seconds since 1970; `ordinal`: the event's place in its batch."""

    account: str
    epoch: int
    now: float
    ordinal: int = 0


def encode_message(
    message: Message, participants: Participants, context: RecordContext, *, raw: bool
) -> EventRecord:
    """Encode a message. Shapes: contract, "qq:inbound"."""
    shared = _shared(participants)
    packed = pack([segment_to_dict(segment) for segment in message.segments])
    # Joined from packed parts: the part that a speaker's messages in a chat share is packed once.
    body = b"".join(
        (
            _RAW_HEAD if raw else _HEAD,
            packed,
            _packed_font(message.font),
            shared.packed,
            pack(message.message_id),
            _UPSTREAM,
            pack(message.upstream),
            _RAW + pack(message.raw) if raw else b"",
        )
    )
    kind = "temp" if participants.chat is None else participants.chat.kind
    return EventRecord(
        _event_id(
            context,
            shared,
            message.key or message.message_id,
            str(int(message.time)),
            message.key.encode() or _identity(message.segments, packed),
        ),
        f"message.{kind}",
        timestamp(message.time),
        shared.chat,
        shared.sender,
        "1" if message.from_self else "0",
        replace_surrogates(render(message.segments)),
        body,
    )


def _identity(segments: tuple[Segment, ...], packed: bytes) -> bytes:
    """Return what distinguishes this content: without addresses, which differ in each copy, and names."""
    if _UNSTABLE.isdisjoint(map(type, segments)):
        return packed
    return pack([segment_to_dict(_without_address(segment)) for segment in segments])


# Segments of which two copies of one message may differ.
_UNSTABLE = frozenset({Image, Record, Video, File, At})


def _without_address(segment: Segment) -> Segment:
    match segment:
        case Image() | Record() | Video() | File():
            return replace(segment, url="")
        case At():
            return replace(segment, name="")
        case _:
            return segment


# The start of a body, a map of six or seven, and two of its keys in msgpack.
_HEAD, _RAW_HEAD = b"\x86\xa8segments", b"\x87\xa8segments"
_UPSTREAM, _RAW = b"\xa8upstream", b"\xa3raw"


@lru_cache(maxsize=1024)
def _packed_font(font: Font | None) -> bytes:
    return pack("font") + pack(font_to_dict(font))


class _Shared(NamedTuple):
    """The values that all events of one sender in one chat share."""

    chat: str
    sender: str
    token: str
    packed: bytes


# As many as the directory holds in memory.
@lru_cache(maxsize=65_536)
def _shared(participants: Participants) -> _Shared:
    items = _participants_to_dict(participants).items()
    named = b"".join(pack(name) + pack(value) for name, value in items)
    chat, sender = participants.chat, participants.sender
    return _Shared(
        "" if chat is None else str(chat),
        "" if sender is None else sender.id,
        f"{chat_token(chat)}.{'0' if sender is None else sender.id}",
        named + pack("message_id"),
    )


def encode_notice(
    notice: Notice, participants: Participants, context: RecordContext, *, raw: bool
) -> EventRecord:
    """Encode a notice. `body.data` is its own content; a notice of unknown kind carries `raw`."""
    body: dict[str, object] = _participants_to_dict(participants)
    body["message_id"] = notice.message_id
    body["data"] = notice.data
    body["upstream"] = notice.upstream
    packed = notice.key.encode() or pack([notice.kind, notice.text, notice.data])
    if raw or notice.kind == "other":
        body["raw"] = notice.raw
    if notice.time is not None:
        time, stamp = notice.time, str(int(notice.time))
        if notice.ordinal is not None:
            stamp += f"-{notice.ordinal}"
    elif notice.key:
        time, stamp = context.now, "0"
    else:
        # Two equal notices without a time are two events: the adapter's clock distinguishes them.
        time, stamp = context.now, f"{int(context.now * 1000)}-{context.ordinal}"
    shared = _shared(participants)
    return EventRecord(
        _event_id(context, shared, notice.key or notice.message_id or "0", stamp, packed),
        notice.kind if notice.kind.startswith("request.") else f"notice.{notice.kind}",
        timestamp(time),
        shared.chat,
        shared.sender,
        "1" if notice.from_self else "0",
        replace_surrogates(notice.text),
        pack(body),
    )


def encode_session_event(event: SessionChange | Gap, context: RecordContext) -> EventRecord:
    """Encode a session event for all workers."""
    key = f"{context.epoch}.{int(context.now * 1000)}-{context.ordinal}"
    match event:
        case Gap(since, until, reason):
            key = event.key or key
            kind, text = (
                "gap",
                f"messages between {timestamp(since)} and {timestamp(until)} may be lost: {reason}",
            )
            body: dict[str, object] = {"since": timestamp(since), "until": timestamp(until), "reason": reason}
        case SessionChange(state, reason, detail, nick=nick):
            kind, text = state.value, " – ".join(filter(None, (f"session {state.value}", reason)))
            body = {"reason": reason, "detail": detail, "nick": nick}
    return EventRecord(
        f"{context.account}.-.{kind}.{key}",
        f"session.{kind}",
        timestamp(context.now),
        "",
        "",
        "0",
        replace_surrogates(text),
        pack(body),
    )


def font_to_dict(font: Font | None) -> dict[str, object] | None:
    """Encode a font (contract)."""
    if font is None:
        return None
    return {"name": font.name, "size": font.size, "style": list(font.style), "color": font.color}


@lru_cache(maxsize=256)  # times of events are whole seconds
def timestamp(seconds: float) -> str:
    """Format a time by RFC 3339 in UTC with milliseconds; 1970 if no calendar holds it."""
    whole, milli = divmod(round(seconds * 1000), 1000) if 0 <= seconds <= YEAR_9999 else (0, 0)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{milli:03d}Z"


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates by U+FFFD, so that the text is valid UTF-8."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def pack(value: object) -> bytes:
    """Pack a value in msgpack; what msgpack cannot hold is replaced. Texts become valid UTF-8."""
    try:
        return _packer.pack(value)  # type: ignore[no-any-return]
    except (UnicodeEncodeError, OverflowError, ValueError, TypeError):
        return _packer.pack(_sanitize(value, MAX_DEPTH))  # type: ignore[no-any-return]


# Shared: making a packer costs more than packing a message. After an error it can be used again.
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


def _event_id(context: RecordContext, shared: _Shared, message_id: str, stamp: str, content: bytes) -> str:
    check = zlib.crc32(content)
    digest = (check ^ check >> 16) & 0xFFFF
    return f"{context.account}.{shared.token}.{message_id}.{stamp}.{digest:04x}"


def _participants_to_dict(participants: Participants) -> dict[str, object]:
    address, sender = participants.chat, participants.sender
    chat: dict[str, object] | None = None
    if address is not None:
        contact = participants.chat_contact or ContactRef(address.id)
        chat = {
            "type": address.kind.value,
            "id": address.id,
            "name": contact.name,
            "identity": contact.identity.value,
        }
        if address.via is not None:
            chat["via"] = {"type": address.via.kind.value, "id": address.via.id}
    return {"chat": chat, "sender": None if sender is None else _contact_to_dict(sender)}


def _contact_to_dict(contact: ContactRef) -> dict[str, object]:
    row: dict[str, object] = {"id": contact.id, "name": contact.name}
    if contact.card:
        row["card"] = contact.card
    if contact.qq:
        row["qq"] = contact.qq
    if contact.role:
        row["role"] = contact.role
    if contact.anonymous:
        row["anonymous"] = contact.anonymous
    row["identity"] = contact.identity.value
    return row
