"""Decode what a request asks for: the segments of a message, or an operation (contract). Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from adapter.codec.address import parse_event_id
from adapter.codec.nesting import load_bounded, unpack_bounded
from adapter.codec.segments import KNOWN, decode_segment
from adapter.content import Font, Markup, Segment, Text, Unknown
from adapter.errors import SchemaError
from adapter.events import Address, AnswerRequest, CallAction, Operation, Recall
from adapter.i18n import N_

# Bytes that a segment without text counts in the content.
_SEGMENT_SIZE: Final = 16
# Segments of a body: decoding them takes milliseconds.
MAX_SEGMENTS: Final = 1_000
# Characters of a remark or reason, of an action's name, and of a message id.
_MAX_TEXT: Final = 500
_MAX_NAME: Final = 128
# Points, and characters of a font's name.
_MAX_FONT_SIZE: Final = 200
_MAX_FONT_NAME: Final = 64
_COLOR: Final = re.compile(r"[0-9A-Fa-f]{6}", re.ASCII)

OPERATIONS: Final = ("send", "recall", "approve", "deny", "call")

Fields = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What a network takes of one request, in bytes: the whole body, and its text.

    `advice`: what to do about a larger body, "" where nothing can be done.
    """

    body_bytes: int
    content_bytes: int
    advice: str = ""


# About fifty messages of SmartQQ, two and a half minutes at its rate.
DEFAULT_LIMITS: Final = RequestLimits(body_bytes=256 * 1024, content_bytes=36_000)
# What some network takes: those who do not know the network leave the check to the adapter.
LARGEST_LIMITS: Final = RequestLimits(body_bytes=16 * 1024 * 1024, content_bytes=16 * 1024 * 1024)


def text_field(fields: Fields, name: str) -> str:
    """Return a field as text, empty if it is absent. Raises SchemaError if it is not UTF-8."""
    try:
        return fields.get(name.encode(), b"").decode()
    except UnicodeDecodeError as exc:
        raise SchemaError(f"{name} is not UTF-8") from exc


# --- content -----------------------------------------------------------------------------------


def decode_content(fields: Fields, limits: RequestLimits) -> tuple[tuple[Segment, ...], Font | None]:
    """Return the segments and the font of a message. Raises SchemaError."""
    text, body = text_field(fields, "text"), fields.get(b"body", b"")
    if text and body:
        raise SchemaError("text and body are both given: give one of them")
    segments: tuple[Segment, ...] = (Markup(text),)
    font: Font | None = None
    if body:
        value = _read_map(body, limits)
        segments, font = _segments(value.get("segments")), _font(value.get("font"))
    _check_content(segments, limits)
    return segments, font


def _check_content(segments: tuple[Segment, ...], limits: RequestLimits) -> None:
    texts = [one.text if isinstance(one, Text | Markup) else None for one in segments]
    if not any(text is None or text.strip() for text in texts):
        raise SchemaError(N_("there is nothing to send: text or body is missing or blank"), "content.empty")
    size = sum(_SEGMENT_SIZE if text is None else len(text.encode()) for text in texts)
    if size > limits.content_bytes:
        text = N_("content of {size} bytes is over the limit of {limit}")
        raise SchemaError(text, "content.toolong", size=size, limit=limits.content_bytes)


def _read_map(body: bytes, limits: RequestLimits) -> dict[str, object]:
    if len(body) > limits.body_bytes:
        text: str = N_("body of {size} bytes is over the limit of {limit}")
        if limits.advice:
            text += f": {limits.advice}"
        raise SchemaError(text, "content.toolong", size=len(body), limit=limits.body_bytes)
    try:
        value = load_bounded(body) if body[:1] == b"{" else unpack_bounded(body)
        # A lone surrogate can be written in JSON but not sent.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, TypeError) as exc:
        raise SchemaError("body is neither a msgpack map nor a JSON object of valid UTF-8") from exc
    if not isinstance(value, dict):
        raise SchemaError("body is not a map")
    return value


def _segments(items: object) -> tuple[Segment, ...]:
    if not isinstance(items, list) or len(items) > MAX_SEGMENTS:
        raise SchemaError(f"body.segments is not a list of at most {MAX_SEGMENTS} segments")
    return tuple(_segment(index, item) for index, item in enumerate(items))


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


# --- operations --------------------------------------------------------------------------------


def decode_operation(fields: Fields, limits: RequestLimits) -> Operation | None:
    """Return the operation of `op`; None for a message. Raises SchemaError."""
    match text_field(fields, "op"):
        case "" | "send":
            return None
        case "recall":
            return _recall(fields)
        case "approve" | "deny" as op:
            event = text_field(fields, "event")
            if not event:
                raise SchemaError("event is missing: give the id of the request event")
            return AnswerRequest(
                parse_event_id(event), op == "approve", text_field(fields, "text")[:_MAX_TEXT]
            )
        case "call":
            return _call(fields, limits)
        case _:
            raise SchemaError(f"op is not one of {', '.join(OPERATIONS)}")


def _recall(fields: Fields) -> Recall:
    message_id = text_field(fields, "message_id")
    if not message_id or len(message_id) > _MAX_NAME:
        raise SchemaError("message_id is missing: give that of a result or of an event")
    if not fields.get(b"to"):
        raise SchemaError("to is missing: give the chat of the message")
    return Recall(message_id)


def _call(fields: Fields, limits: RequestLimits) -> CallAction:
    match _read_map(fields.get(b"body", b""), limits):
        case {"action": str(action), **rest} if 0 < len(action) <= _MAX_NAME:
            params = rest.get("params")
            if params is None or isinstance(params, dict):
                return CallAction(action, params or {})
    raise SchemaError(N_("body is not {action, params}: the name of an action and an object"))


def operation_target(operation: Operation) -> Address | None:
    """Return the chat of an operation that names none: that of the request which it answers."""
    return operation.request.chat if isinstance(operation, AnswerRequest) else None
