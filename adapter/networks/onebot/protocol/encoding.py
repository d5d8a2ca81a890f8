"""Segments as they are sent: arrays, cut into messages that QQ takes.

Implementations drop segments that they do not know and report success. Therefore what cannot be sent is
refused here, before anything is written.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from adapter.codec.cq import RawSegment
from adapter.content import (
    At,
    Face,
    File,
    Forward,
    Image,
    Json,
    Markup,
    Media,
    Record,
    Reply,
    Segment,
    Text,
    Video,
)
from adapter.errors import SchemaError
from adapter.graphemes import last_boundary
from adapter.networks.onebot.protocol.faces import can_send, parse_markup

# Characters of text in one message; QQ cuts or refuses messages from about 4,500 on.
MAX_TEXT: Final = 4_000
# A blank from this character on is a good place to cut; an earlier one wastes too much of the message.
_SEARCH_FROM: Final = 3_500
# Messages of one request: more of them in a row get an account frozen.
MAX_PARTS: Final = 16
# Bytes of one file; implementations and QQ refuse larger ones in various ways, some by ending themselves.
MAX_FILE: Final = 10 * 1024 * 1024
# Characters of an address or path of a file.
_MAX_ADDRESS: Final = 4_096
_BLANKS: Final = frozenset(" \t\r\n")
_BASE64: Final = "base64://"
_SCHEMES: Final = (_BASE64, "http://", "https://", "file://")
UPLOAD_ADVICE: Final = (
    "send a larger file with op=call and the action upload_group_file or upload_private_file"
)

Message = list[RawSegment]


def encode_messages(segments: Sequence[Segment]) -> tuple[str, ...]:
    """Return the JSON array of each message that these segments need, in order.

    Raises SchemaError: `content.empty`, `content.toolong`, or `content.unsupported` for a segment that
    OneBot has no safe way to send.
    """
    messages: list[Message] = [[]]
    room = MAX_TEXT
    for segment in segments:
        for piece in _pieces(segment):
            if isinstance(piece, Text):
                room = _add_text(messages, piece.text, room)
            elif isinstance(piece, Record | Video | File):
                # QQ shows these alone: with anything beside them parts of the message vanish.
                messages += [[_wire(piece)], []]
                room = MAX_TEXT
            else:
                messages[-1].append(_wire(piece))
    kept = [message for message in messages if not _is_blank(message)]
    if not kept:
        raise SchemaError("there is nothing to send", "content.empty")
    if len(kept) > MAX_PARTS:
        raise SchemaError(f"the content needs {len(kept)} messages, at most {MAX_PARTS}", "content.toolong")
    return tuple(json.dumps(message, ensure_ascii=False, separators=(",", ":")) for message in kept)


def _pieces(segment: Segment) -> Iterable[Segment]:
    return parse_markup(segment.text) if isinstance(segment, Markup) else (segment,)


def _is_blank(message: Message) -> bool:
    """Whether a message has nothing to show: a quotation and blanks do not count."""
    return all(
        one["type"] == "reply" or (one["type"] == "text" and not _text_of(one).strip()) for one in message
    )


def _text_of(segment: RawSegment) -> str:
    data = segment["data"]
    return str(data["text"]) if isinstance(data, dict) else ""


def _add_text(messages: list[Message], text: str, room: int) -> int:
    """Append a text, to new messages where the last one is full; returns the room that is left."""
    for piece in _cut(text, room):
        if piece is None:
            messages.append([])
            room = MAX_TEXT
        else:
            messages[-1].append({"type": "text", "data": {"text": piece}})
            room -= len(piece)
    return room


def _cut(text: str, room: int) -> Iterator[str | None]:
    """Yield pieces of a text, and None between two messages: cut after a blank near the end, if any."""
    while len(text) > room:
        end = next((at + 1 for at in range(room - 1, _SEARCH_FROM - 1, -1) if text[at] in _BLANKS), 0)
        # A character moves to the next message as a whole; one that is longer than a message is cut anywhere.
        end = end or last_boundary(text, room) or (room if room == MAX_TEXT else 0)
        if end:
            yield text[:end]
        yield None
        text, room = text[end:], MAX_TEXT
    if text:
        yield text


def _wire(segment: Segment) -> RawSegment:
    match segment:
        case Face(number) if can_send(number):
            return {"type": "face", "data": {"id": str(number)}}
        case Face(number):
            raise SchemaError(f"QQ has no face {number}", "content.unsupported")
        case At(qq):
            return {"type": "at", "data": {"qq": _mention(qq)}}
        case Reply(message_id):
            return {"type": "reply", "data": {"id": _message_id(message_id)}}
        case Image() | Record() | Video() | File():
            return _wire_media(segment)
        case Json(data):
            return {"type": "json", "data": {"data": data}}
        case Forward():
            raise SchemaError(
                "a forwarded chat is not sent as a segment: send it with op=call and the action "
                "send_group_forward_msg or send_private_forward_msg",
                "content.unsupported",
            )
        case _:
            name = type(segment).__name__.lower()
            raise SchemaError(f"OneBot cannot send a segment of type {name}", "content.unsupported")


def _mention(qq: str) -> str:
    if qq != "all" and not (qq.isascii() and qq.isdecimal()):
        raise SchemaError("qq of a segment at is neither a number nor all")
    return qq


def _message_id(message_id: str) -> str:
    digits = message_id.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        raise SchemaError("id of a segment reply is no message id of OneBot: it is a number")
    return message_id


def _wire_media(segment: Media) -> RawSegment:
    kind = type(segment).__name__.lower()
    # The name of a received file is known to the implementation alone; its address is known to QQ.
    file = segment.file if segment.file.startswith(_SCHEMES) else segment.url or segment.file
    if not file:
        raise SchemaError(
            f"a segment {kind} needs file: base64://…, http(s)://…, file://… or a name", "content.unsupported"
        )
    if file.startswith(_BASE64):
        size = (len(file) - len(_BASE64)) * 3 // 4 - file[-2:].count("=")
        if size > MAX_FILE:
            raise SchemaError(
                f"a file of {size} bytes is over the limit of {MAX_FILE}: {UPLOAD_ADVICE}", "content.toolong"
            )
    elif len(file) > _MAX_ADDRESS:
        raise SchemaError(f"file of a segment {kind} is longer than {_MAX_ADDRESS} characters")
    data: dict[str, object] = {"file": file}
    if isinstance(segment, File) and segment.name:
        data["name"] = segment.name
    return {"type": kind, "data": data}
