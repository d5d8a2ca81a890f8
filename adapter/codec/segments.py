"""Segments of messages under their OneBot names, both ways. Pure."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from adapter.content import (
    At,
    Face,
    File,
    Forward,
    Image,
    Json,
    Markdown,
    Markup,
    Record,
    Reply,
    Segment,
    Text,
    Unknown,
    Video,
)

# Digits of a face number that are read; no network has faces beyond them.
_FACE_DIGITS: Final = 9

# Segments whose fields are the keys of their data, and the key without which they mean nothing.
_PLAIN: Final[Mapping[type[Segment], str]] = {
    Image: "",
    Record: "",
    Video: "",
    File: "",
    At: "qq",
    Reply: "id",
    Forward: "id",
    Json: "data",
    Markdown: "content",
}
_FIELDS: Final = {kind: tuple(one.name for one in fields(kind)) for kind in _PLAIN}
_BY_NAME: Final[Mapping[str, type[Segment]]] = {kind.__name__.lower(): kind for kind in _PLAIN}
# Types whose data must be as described: without it a segment of these makes no sense.
KNOWN: Final = frozenset({"text", "face", *_BY_NAME})


def segment_to_dict(segment: Segment) -> dict[str, object]:
    """Return a segment as `{type, data}`. Absent values are left out."""
    if isinstance(segment, Text | Markup):  # most are: a pattern takes three times as long
        return {"type": "text", "data": {"text": segment.text}}
    match segment:
        case Face(number, name):
            return {"type": "face", "data": {"id": number, "name": name}}
        case Unknown(raw):
            return {"type": "unknown", "data": {"raw": raw}}
        case _:
            kind = type(segment)
            values = ((name, getattr(segment, name)) for name in _FIELDS[kind])
            return {"type": kind.__name__.lower(), "data": {k: v for k, v in values if v not in ("", None)}}


def read_segment(item: object) -> Segment:
    """Decode one segment; anything else becomes an Unknown."""
    match item:
        case {"type": "unknown", "data": {"raw": raw}}:
            return Unknown(raw)
        case _:
            segment = decode_segment(item)
            return Unknown(item) if segment is None else segment


def decode_segment(item: object) -> Segment | None:
    """Decode a segment of a KNOWN type; None if its data is not as described, or for another type."""
    match item:
        case {"type": "text", "data": {"text": str(text)}}:
            return Text(text)
        case {"type": "face", "data": {"id": int(number), **rest}} if not isinstance(number, bool):
            return Face(number, _text(rest.get("name")))
        case {"type": "face", "data": {"id": str(number), **rest}} if number.isascii() and number.isdecimal():
            return Face(int(number[:_FACE_DIGITS]), _text(rest.get("name")))
        case {"type": str(name), "data": dict(data)} if name in _BY_NAME:
            return _plain(_BY_NAME[name], data)
        case _:
            return None


def _plain(kind: type[Segment], data: Mapping[str, object]) -> Segment | None:
    values: dict[str, object] = {name: _text(data.get(name)) for name in _FIELDS[kind]}
    if "size" in values:
        values["size"] = _size(data.get("size"))
    needed = _PLAIN[kind]
    return None if needed and not values[needed] else kind(**values)  # type: ignore[arg-type]


def _text(value: object) -> str:
    """Return a text, or a number as decimal text; anything else is absent."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
