"""Decode requests of `qq:outbound`, encode results for `qq:results` (contract). Pure."""

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

import msgpack

from adapter.codec.address import chat_from_event_id, parse_address
from adapter.codec.faststream import unwrap
from adapter.codec.inbound import replace_surrogates, timestamp
from adapter.codec.segments import KNOWN, decode_segment
from adapter.errors import SchemaError
from adapter.events import (
    CONTRACT_VERSION,
    Address,
    Delivery,
    Font,
    Markup,
    Priority,
    Segment,
    SendRequest,
    SendResult,
    Text,
    Unknown,
)

# Bytes of a request's content: about fifty messages of SmartQQ, two and a half minutes at its rate.
MAX_CONTENT = 36_000
# Bytes that a face or picture counts in it.
_SEGMENT_SIZE = 16
# Segments of a body, and bytes of a body: decoding takes milliseconds.
MAX_SEGMENTS = 1_000
MAX_BODY = 256 * 1024
# Characters of `detail` and `cause`: a reason to read, not a log.
MAX_DETAIL = 500

_ID = re.compile(r"[A-Za-z0-9._:/@-]{1,128}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_COLOR = re.compile(r"[0-9A-Fa-f]{6}", re.ASCII)
# Points, and characters of a font's name.
_MAX_FONT_SIZE = 200
_MAX_FONT_NAME = 64
# Seconds, a century: a longer time to live is a mistake.
_MAX_TTL = 3_200_000_000.0

Fields = Mapping[bytes, bytes]
_Choice = TypeVar("_Choice", Delivery, Priority)


def request_id(entry: str, fields: Fields) -> str:
    """Return the idempotency key of an entry, also of an entry that is no request."""
    value = unwrapped(fields).get(b"id", b"").decode("ascii", "replace")
    return value if _ID.fullmatch(value) else f"entry:{entry}"


def result_stream(fields: Fields, prefix: str) -> str:
    """Return the stream for the result of an entry: its valid `results`, else the default."""
    name = unwrapped(fields).get(b"results", b"").decode("ascii", "replace")
    head = f"{prefix}:results:"
    return name if name.startswith(head) and _NAME.fullmatch(name[len(head) :]) else f"{prefix}:results"


def decode_request(entry: str, fields: Fields, prefix: str) -> SendRequest:
    """Decode an entry of `qq:outbound`. Raises SchemaError that names what to change."""
    fields = unwrap(fields)
    if not fields:
        raise SchemaError("the entry was deleted before it could be read")
    given_id = _text(fields, "id")
    if given_id and not _ID.fullmatch(given_id):
        raise SchemaError("id is not 1 to 128 characters of A-Z a-z 0-9 . _ : / @ -")
    results = _text(fields, "results")
    if results and results != result_stream(fields, prefix):
        raise SchemaError(f"results is not {prefix}:results:<name> with a name of A-Z a-z 0-9 . _ -")
    segments, font = _content(fields)
    return SendRequest(
        entry=entry,
        id=request_id(entry, fields),
        to=_target(_text(fields, "to")),
        segments=segments,
        font=font,
        expires=_expires(entry, _text(fields, "expires")),
        cause=_text(fields, "cause")[:MAX_DETAIL],
        delivery=_one_of(fields, "delivery", Delivery, Delivery.AT_MOST_ONCE),
        priority=_one_of(fields, "priority", Priority, Priority.NORMAL),
        results=result_stream(fields, prefix),
        traceparent=_trace(fields),
    )


def encode_result(result: SendResult, account: str, epoch: int, now: float) -> list[str]:
    """Encode a result as names and values in turn, in the contract's order."""
    return [
        *("v", CONTRACT_VERSION),
        *("id", result.id),
        *("entry", result.entry),
        *("time", timestamp(now)),
        *("account", account),
        *("epoch", str(epoch)),
        *("to", replace_surrogates(result.to)),
        *("status", result.status.value),
        *("code", result.code),
        *("detail", replace_surrogates(result.detail[:MAX_DETAIL])),
        *("attempts", str(result.attempts)),
        *("parts", f"{result.sent}/{result.total}"),
        *("message_id", result.message_id),
        *("replayed", "1" if result.replayed else "0"),
        *(("traceparent", result.traceparent) if result.traceparent else ()),
    ]


def unwrapped(fields: Fields) -> Fields:
    """Return the fields without a frame, as they are if the frame is broken."""
    try:
        return unwrap(fields)
    except SchemaError:
        return fields


def _text(fields: Fields, name: str) -> str:
    try:
        return fields.get(name.encode(), b"").decode()
    except UnicodeDecodeError as exc:
        raise SchemaError(f"{name} is not UTF-8") from exc


def _target(to: str) -> Address:
    if not to:
        raise SchemaError("to is missing: give an address, or reply:<event id>")
    return chat_from_event_id(to[6:]) if to.startswith("reply:") else parse_address(to)


def _one_of(fields: Fields, name: str, kind: type[_Choice], default: _Choice) -> _Choice:
    value = _text(fields, name)
    try:
        return kind(value) if value else default
    except ValueError as exc:
        raise SchemaError(f"{name} is not one of {', '.join(kind)}") from exc


def _expires(entry: str, text: str) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return _timestamp_seconds(text)
    if not (math.isfinite(seconds) and 0 <= seconds <= _MAX_TTL):
        raise SchemaError("expires is not a number of seconds from 0 up")
    return int(entry.partition("-")[0]) / 1000 + seconds


def _timestamp_seconds(text: str) -> float:
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise SchemaError("expires has no time zone: end it in Z")
        return time.timestamp()
    except (ValueError, OverflowError) as exc:
        raise SchemaError("expires is neither an RFC 3339 time nor a number of seconds") from exc


def _trace(fields: Fields) -> str:
    # A bad trace context is dropped, not rejected: tracing must not stop a message.
    value = fields.get(b"traceparent", b"").decode("ascii", "replace")
    return value if _TRACE.fullmatch(value) else ""


def _content(fields: Fields) -> tuple[tuple[Segment, ...], Font | None]:
    text, body = _text(fields, "text"), fields.get(b"body", b"")
    if text and body:
        raise SchemaError("text and body are both given: give one of them")
    segments: tuple[Segment, ...] = (Markup(text),)
    font: Font | None = None
    if body:
        segments, font = _read_body(body)
    size = 0
    blank = True
    for segment in segments:
        if isinstance(segment, Text | Markup):
            size += len(segment.text.encode())
            blank = blank and not segment.text.strip()
        else:
            size += _SEGMENT_SIZE
            blank = False
    if blank:
        raise SchemaError("there is nothing to send: text or body is missing or blank", "content.empty")
    if size > MAX_CONTENT:
        raise SchemaError(f"content of {size} bytes is over the limit of {MAX_CONTENT}", "content.toolong")
    return segments, font


def _read_body(body: bytes) -> tuple[tuple[Segment, ...], Font | None]:
    if len(body) > MAX_BODY:
        raise SchemaError(f"body of {len(body)} bytes is over the limit of {MAX_BODY}", "content.toolong")
    try:
        value = json.loads(body) if body[:1] == b"{" else msgpack.unpackb(body)
        # A lone surrogate can be written in JSON but not sent.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as exc:
        raise SchemaError("body is neither a msgpack map nor a JSON object of valid UTF-8") from exc
    if not isinstance(value, dict):
        raise SchemaError("body is not a map")
    items = value.get("segments")
    if not isinstance(items, list) or len(items) > MAX_SEGMENTS:
        raise SchemaError(f"body.segments is not a list of at most {MAX_SEGMENTS} segments")
    return tuple(_segment(index, item) for index, item in enumerate(items)), _font(value.get("font"))


def _segment(index: int, item: object) -> Segment:
    if (segment := decode_segment(item)) is not None:
        return segment
    match item:
        case {"type": str(kind), "data": {}} if kind not in KNOWN:
            return Unknown(kind)
        case _:
            raise SchemaError(
                f"body.segments[{index}] is not a segment: give {{type, data}} with the data of its type"
            )


def _font(value: object) -> Font | None:
    match value:
        case None:
            return None
        case {"name": str(name), "size": int(size), "style": [a, b, c], "color": str(color)} if (
            all(bit in (0, 1) for bit in (a, b, c))
            and 0 < size <= _MAX_FONT_SIZE
            and _COLOR.fullmatch(color)
            and len(name) <= _MAX_FONT_NAME
        ):
            return Font(name, size, (int(a), int(b), int(c)), color)
        case _:
            raise SchemaError("body.font is not {name, size, style [bold, italic, underline], color RRGGBB}")
