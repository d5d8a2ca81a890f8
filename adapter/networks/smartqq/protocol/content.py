"""Decode and encode content arrays, the text of messages (3.4, 4.2, 4.3, 4.7)."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from adapter.content import Face, Font, Image, Markup, Segment, Text, Unknown
from adapter.errors import ProtocolError, SchemaError
from adapter.graphemes import last_boundary
from adapter.networks.smartqq.protocol.faces import name_of, number_of
from adapter.networks.smartqq.protocol.parsing import dump_json, join_surrogates, parse_int, unescape

# Texts of this many UTF-8 bytes and more were cut or refused silently.
PART_BYTES: Final = 720

# A message is cut at a blank from this byte on; an earlier one would waste too much of it.
SEARCH_FROM: Final = 620

# Parts of one request, 3 s each: more of them would have the account blocked.
MAX_PARTS: Final = 32

BLANKS: Final = " \t\r\n"

DEFAULT_FONT: Final = Font(name="宋体", size=10, style=(0, 0, 0), color="000000")

# --- received ----------------------------------------------------------------------------------

# A font record of the desktop client that the server left in the text.
_FONT_RECORD: Final = re.compile("\x00\n\x00\x00\x00\x00[\x00-\x1f][^\r\n\x00]{1,32}\r\\Z")


def decode(content: object, *, early: bool) -> tuple[tuple[Segment, ...], Font | None]:
    """Return segments and font of a received message. `early`: in the form of before 2016.

    Raises ProtocolError if there is no array.
    """
    if not isinstance(content, list):
        raise ProtocolError("a message without a content array")
    font: Font | None = None
    segments: list[Segment] = []
    others = 0
    for element in content:
        found = _font(element)
        if found is None:
            others += element != ""
            _append(segments, element, early=early)
        else:
            font = font or found
    if content and not others:
        # What is left of a picture: since the end of 2015 a font alone, since 2017 with an empty text.
        # A big face of 2015 has the empty text and no font.
        return (Image("missing"),), font
    return _without_last_blank(segments), font


def _append(segments: list[Segment], element: object, *, early: bool) -> None:
    segment = _segment(element, early=early)
    if isinstance(segment, Text):
        if not segment.text:
            return
        if segments and isinstance(before := segments[-1], Text):
            segments[-1] = Text(before.text + segment.text)
            return
    segments.append(segment)


def _segment(element: object, *, early: bool) -> Segment:
    match element:
        case str():
            return Text(_text(element))
        case ["face", number] if (face := parse_int(number)) is not None and face >= 0:
            return Face(face, name_of(face, early=early))
        case ["cface", dict() as data]:
            return _picture("cface", data)
        case ["cface", str() as name, *_]:
            return Image("cface", name=name)
        case ["offpic", dict() as data]:
            return _picture("offpic", data)
        case _:
            return Unknown(element)


def _text(text: str) -> str:
    if "\x00" in text:
        text = _FONT_RECORD.sub("", text)
    text = unescape(text)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _picture(kind: str, data: Mapping[str, object]) -> Image:
    def field(name: str) -> str:
        value = data.get(name)
        return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""

    return Image(
        kind,
        name=field("name"),
        file_id=field("file_id"),
        key=field("key"),
        server=field("server"),
        file_path=field("file_path"),
    )


def _font(element: object) -> Font | None:
    """Return the font of a `["font", {…}]`, repaired where needed; None for other elements."""
    if not (isinstance(element, list) and element and element[0] == "font"):
        return None
    data = element[1] if len(element) > 1 and isinstance(element[1], dict) else {}
    try:
        return _cached_font(data["name"], data["size"], data["color"], *data["style"])
    except (KeyError, TypeError):
        return _repair_font(data)  # a field is missing, or is neither text nor number


@lru_cache(maxsize=1024, typed=True)
def _cached_font(name: object, size: object, color: object, *style: object) -> Font:
    return _repair_font({"name": name, "size": size, "color": color, "style": list(style)})


def _repair_font(data: Mapping[str, object]) -> Font:
    style = data.get("style")
    bits = [parse_int(bit) for bit in style[:3]] if isinstance(style, list) else []
    marks = [int(bool(bit)) for bit in bits] + [0, 0, 0]
    name, color = data.get("name"), data.get("color")
    return Font(
        # One client of 2012 sent the name in quotation marks.
        name=name.strip('"') if isinstance(name, str) else DEFAULT_FONT.name,
        size=min(max(parse_int(data.get("size")) or DEFAULT_FONT.size, 1), 255),
        style=(marks[0], marks[1], marks[2]),
        color=color if isinstance(color, str) else DEFAULT_FONT.color,
    )


def _without_last_blank(segments: list[Segment]) -> tuple[Segment, ...]:
    """Drop the last blank, which desktop clients append to every text."""
    match segments[-1] if segments else None:
        case Text(text=" "):
            return tuple(segments[:-1])
        case Text(text=text) if text.endswith(" "):
            return (*segments[:-1], Text(text[:-1]))
        case _:
            return tuple(segments)


# --- sent --------------------------------------------------------------------------------------

_NAMED: Final = re.compile(r"\[([A-Za-z\u4e00-\u9fa5]{1,20})\]")

# One character or one face: what is never cut.
Unit = str | Face


def encode(segments: Sequence[Segment], font: Font | None) -> tuple[str, ...]:
    """Return the inner JSON of each message that the segments need, in order.

    Raises SchemaError: `content.empty`, `content.toolong`, or `content.unsupported` for a segment that
    SmartQQ cannot send (it never accepted pictures from a web client).
    """
    units = list(_units(segments))
    if not any(isinstance(unit, Face) or not unit.isspace() for unit in units):
        raise SchemaError("the text is empty", "content.empty")
    parts = list(_split(units))
    if len(parts) > MAX_PARTS:
        raise SchemaError(f"the text needs {len(parts)} messages, at most {MAX_PARTS}", "content.toolong")
    return tuple(_inner(part, font or DEFAULT_FONT) for part in parts)


def _units(segments: Iterable[Segment]) -> Iterator[Unit]:
    for segment in segments:
        match segment:
            case Text(text):
                yield from join_surrogates(text)
            case Markup(text):
                yield from _marked(join_surrogates(text))
            case Face(number) if number >= 0:
                yield segment
            case _:
                raise SchemaError(
                    f"SmartQQ cannot send a segment of type {type(segment).__name__.lower()}",
                    "content.unsupported",
                )


def _marked(text: str) -> Iterator[Unit]:
    """Replace the `[名称]` of each known face by that face; unknown names stay text."""
    end = 0
    for found in _NAMED.finditer(text):
        number = number_of(found[1])
        if number is not None:
            yield from text[end : found.start()]
            yield Face(number, found[1])
            end = found.end()
    yield from text[end:]


def _size(unit: Unit) -> int:
    return len(unit.encode()) if isinstance(unit, str) else len(unit.name.encode()) + 2


def _split(units: Sequence[Unit]) -> Iterator[Sequence[Unit]]:
    """Cut into full messages: after the last blank near the end, else between a reader's characters."""
    while (cut := _cut(units)) is not None:
        yield units[:cut]
        units = units[cut:]
    if units:
        yield units


def _cut(units: Sequence[Unit]) -> int | None:
    """Return how many units fit into the first message, or None if all do."""
    start = full = 0
    blank: int | None = None
    for count, unit in enumerate(units, start=1):
        end = start + _size(unit)
        if end < PART_BYTES:
            full = count
        if isinstance(unit, str) and unit in BLANKS and SEARCH_FROM <= start < PART_BYTES:
            blank = count
        if end >= PART_BYTES:
            # A character that is longer than a message may be cut anywhere.
            return blank or last_boundary(units, full) or full or 1
        start = end
    return None


def _inner(units: Sequence[Unit], font: Font) -> str:
    """Return the inner JSON of one message; the font stands last."""
    parts: list[object] = []
    text = ""
    for unit in units:
        if isinstance(unit, str):
            text += unit
            continue
        if text:
            parts.append(text)
        text = ""
        parts.append(["face", unit.id])
    if text:
        parts.append(text)
    style = {"name": font.name, "size": font.size, "style": list(font.style), "color": font.color}
    return dump_json([*parts, ["font", style]])


def decode_sent(inner: str) -> tuple[Segment, ...]:
    """Return the segments of an inner JSON, as they are in its echo."""
    return decode(json.loads(inner), early=False)[0]
