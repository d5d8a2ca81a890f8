"""Segments as they are received: arrays, CQ strings or single objects become the vocabulary."""

import json
from collections.abc import Callable, Mapping
from typing import Final

from adapter.codec.cq import decode_cq
from adapter.content import (
    EVERYONE,
    At,
    Face,
    File,
    Forward,
    Image,
    Json,
    Markdown,
    Record,
    Reply,
    Segment,
    Text,
    Unknown,
    Video,
)
from adapter.networks.onebot.protocol.faces import face_name
from adapter.networks.onebot.protocol.values import (
    NOTHING,
    Object,
    parse_id,
    parse_int,
    parse_message_id,
    parse_text,
)


def decode_segments(message: object) -> tuple[Segment, ...]:
    """Return the segments of a message in any of its forms; empty texts are left out."""
    if isinstance(message, str):
        items: list[object] = list(decode_cq(message))
    else:
        items = message if isinstance(message, list) else [message]
    return tuple([segment for item in items if (segment := _segment(item)) is not None])


def _segment(item: object) -> Segment | None:
    """Return a segment; None for an empty text."""
    if not isinstance(item, dict):
        if isinstance(item, str):
            return Text(item) if item else None
        return Unknown(item)
    kind, data = item.get("type"), item.get("data")
    if data is None:
        data = NOTHING
    if kind == "text" and isinstance(data, dict):
        text = parse_text(data.get("text"))
        return Text(text) if text else None
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    segment = reader(data) if reader is not None and isinstance(data, dict) else None
    return Unknown(item) if segment is None else segment


def _face(data: Object) -> Segment | None:
    number = parse_int(data.get("id"))
    return None if number is None or number < 0 else Face(number, face_name(number))


def _at(data: Object) -> Segment | None:
    # Some implementations write a number, and `name` is in the message of others alone.
    qq = EVERYONE if data.get("qq") == EVERYONE else parse_id(data.get("qq"))
    return At(qq, parse_text(data.get("name")).removeprefix("@")) if qq else None


def _reply(data: Object) -> Segment | None:
    message_id = parse_message_id(data.get("id"))
    return Reply(message_id) if message_id else None


def _forward(data: Object) -> Segment | None:
    forward_id = parse_text(data.get("id"))
    return Forward(forward_id) if forward_id else None


def _json(data: Object) -> Segment | None:
    card = data.get("data")
    if isinstance(card, dict):
        card = json.dumps(card, ensure_ascii=False, separators=(",", ":"))
    return Json(card) if isinstance(card, str) and card else None


def _markdown(data: Object) -> Segment | None:
    content = parse_text(data.get("content"))
    return Markdown(content) if content else None


def _size(data: Object) -> int | None:
    size = parse_int(data.get("file_size", data.get("size")))
    return None if size is None or size < 0 else size


def _image(data: Object) -> Segment:
    return Image(
        name=parse_text(data.get("name")),
        file_id=parse_text(data.get("file_id")),
        file=parse_text(data.get("file")),
        url=parse_text(data.get("url")),
        size=_size(data),
    )


def _media(kind: type[Record | Video | File]) -> Callable[[Object], Segment]:
    def read(data: Object) -> Segment:
        return kind(
            file=parse_text(data.get("file")),
            url=parse_text(data.get("url")),
            file_id=parse_text(data.get("file_id")),
            size=_size(data),
            name=parse_text(data.get("name")),
        )

    return read


_READERS: Final[Mapping[str, Callable[[Object], Segment | None]]] = {
    "face": _face,
    "at": _at,
    "reply": _reply,
    "forward": _forward,
    "json": _json,
    "markdown": _markdown,
    "image": _image,
    "record": _media(Record),
    "video": _media(Video),
    "file": _media(File),
}
