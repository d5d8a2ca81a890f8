"""Message segments: the CQ string format, and the shape in which each dialect reports them."""

import html
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .errors import ControlError

Segment = dict[str, Any]

# [CQ:type,key=value,…]; a value holds no bracket and no comma that is not escaped.
_CODE = re.compile(r"\[CQ:([A-Za-z0-9_.-]+)((?:,[^\[\],]*)*)\]")
_TEXT = {"&": "&amp;", "[": "&#91;", "]": "&#93;"}
_VALUE = {**_TEXT, ",": "&#44;"}
_ENTITY = re.compile(r"&amp;|&#91;|&#93;|&#44;")
_NUMBERS = frozenset({"id", "qq", "file_size", "sub_type", "subType", "size", "type"})


def text(value: str) -> Segment:
    """Return a text segment."""
    return {"type": "text", "data": {"text": value}}


def _escape(value: str, table: Mapping[str, str]) -> str:
    return "".join(table.get(character, character) for character in value)


def _unescape(value: str) -> str:
    return _ENTITY.sub(lambda found: html.unescape(found[0]), value)


def decode(message: str) -> list[Segment]:
    """Return the segments of a CQ string."""
    segments: list[Segment] = []
    end = 0
    for found in _CODE.finditer(message):
        if found.start() > end:
            segments.append(text(_unescape(message[end : found.start()])))
        pairs = (pair.split("=", 1) for pair in found[2].split(",")[1:] if "=" in pair)
        segments.append({"type": found[1], "data": {key: _unescape(value) for key, value in pairs}})
        end = found.end()
    if end < len(message):
        segments.append(text(_unescape(message[end:])))
    return segments


def encode(segments: Iterable[Segment]) -> str:
    """Return the CQ string of segments; objects and nulls have no place in it."""
    parts = []
    for segment in segments:
        data = segment["data"] or {}
        if segment["type"] == "text":
            parts.append(_escape(str(data.get("text", "")), _TEXT))
            continue
        pairs = [
            f",{key}={_escape(_scalar(value), _VALUE)}"
            for key, value in data.items()
            if value is not None and not isinstance(value, (dict, list))
        ]
        parts.append(f"[CQ:{segment['type']}{''.join(pairs)}]")
    return "".join(parts)


def _scalar(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse(message: Any, complain: Callable[[str], Exception] = ControlError) -> list[Segment]:
    """Return the segments of a message in any of its forms: CQ string, one segment, array."""
    if isinstance(message, str):
        return decode(message)
    segments = [message] if isinstance(message, dict) else message
    if not isinstance(segments, list):
        raise complain("message is a string, a segment or an array of segments")
    return [_segment(one, complain) for one in segments]


def _segment(value: Any, complain: Callable[[str], Exception]) -> Segment:
    if isinstance(value, str):
        return text(value)
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise complain("a segment is an object with type and data")
    data = value.get("data")
    if data is not None and not isinstance(data, dict):
        raise complain("data of a segment is an object or null")
    return {"type": value["type"], "data": dict(data) if data else {}}


def shaped(segments: Iterable[Segment], values: str, *, is_napcat: bool) -> list[Segment]:
    """Return segments as they are reported: `values` is native, int, str or null.

    NapCat reports ids as text, sizes as text, `sub_type` as a number, absent values as null and an
    object `raw` beside a face.
    """
    return [_shaped(segment, values, is_napcat=is_napcat) for segment in segments]


def _shaped(segment: Segment, values: str, *, is_napcat: bool) -> Segment:
    kind, data = segment["type"], dict(segment["data"] or {})
    if values == "native" and is_napcat:
        if kind == "face":
            data |= {"raw": {"faceIndex": _number(data.get("id")), "faceType": 1}, "resultId": None}
        if kind == "image":
            data |= {"summary": "", "sub_type": 0, "file_size": str(data.get("file_size", 0))}
    if values == "int":
        data = {key: _number(value) if key in _NUMBERS else value for key, value in data.items()}
    if values == "str":
        data = {
            key: value if isinstance(value, (dict, list)) else _scalar(value) for key, value in data.items()
        }
    if values == "null":
        data |= {"name": None, "summary": None}
    if not data and values in {"native", "null"}:
        return {"type": kind, "data": None if values == "null" else {}}
    return {"type": kind, "data": data}


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?\d+", value) else value


def plain(segments: Iterable[Segment]) -> str:
    """Return a line for a terminal, other segments than text in brackets."""
    return "".join(
        str(segment["data"].get("text", "")) if segment["type"] == "text" else f"[{segment['type']}]"
        for segment in segments
    )
