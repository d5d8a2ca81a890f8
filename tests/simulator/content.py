"""Message texts on their way through the service: what a person types, and what a phone shows.

Received by clients: a content array with the font first. Sent by clients: JSON inside JSON with the
font last. What else is in a poll item or a send is left to `polls` and `sending`.
"""

import json
import re
from typing import Any

from . import faces
from .options import Options

PICTURE_NAME = "A47CB3D7E2F10948A47CB3D7E2F10948.jpg"  # of a picture that is given none
PICTURE = "picture"  # the kind of a content element that becomes what the era made of a picture
AT = "at"  # the kind of one that becomes what the era made of a member who is spoken to

_FACE = re.compile(r"\[([A-Za-z\u4e00-\u9fa5]{1,20})\]")
_BASIC = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_FULL = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\\": "&#92;", "\u00a0": "&nbsp;"}
)
_NAME = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
_FULL_NAME = _NAME | str.maketrans({" ": "&nbsp;"})

E1_FONT: list[Any] = ["font", {"size": 10, "color": "000000", "style": [0, 0, 0], "name": "宋体"}]
E3_FONT: list[Any] = ["font", {"color": "000000", "name": "微软雅黑", "size": 10, "style": [0, 0, 0]}]


class ContentError(ValueError):
    """What a client sent is not a content array."""


def font(options: Options) -> list[Any]:
    """Return the font element a phone's message had in this era."""
    era = E1_FONT if options.profile == "e1" else E3_FONT
    return ["font", era[1] | {"name": options.font}] if options.font else era


def name(text: str, options: Options) -> str:
    """Return a nick, mark or card with the entities it has in the lists."""
    if options.escape == "none":
        return text
    return text.translate(_FULL_NAME if options.escape == "full" else _NAME)


def typed(text: str, options: Options) -> list[Any]:
    """Return the content array of a text somebody typed; `[微笑]` was picked from the face panel."""
    elements: list[Any] = [font(options)]
    if "[" not in text or options.faces == "text":
        elements.append(escaped(text, options))
    else:
        elements += _with_faces(text, options)
    return _ended(elements, options)


def _with_faces(text: str, options: Options) -> list[Any]:
    elements: list[Any] = []
    plain = ""
    pieces = _FACE.split(text)
    for index, piece in enumerate(pieces):
        number = _face_id(piece, options) if index % 2 else None
        if number is None:
            plain += f"[{piece}]" if index % 2 else piece
            continue
        if plain:
            elements.append(escaped(plain, options))
        elements.append(["face", number])
        plain = ""
    if plain:
        elements.append(escaped(plain, options))
    return elements


def _face_id(name: str, options: Options) -> int | None:
    if name in faces.OLD_IDS:
        return 0 if options.faces == "zero" else faces.OLD_IDS[name]
    if options.profile == "e1" or name not in faces.NEW_IDS:
        return None
    return faces.NEW_IDS[name] if options.faces == "all" else 0


def escaped(text: str, options: Options) -> str:
    """Return typed text with the entities and line breaks it has on the wire."""
    if options.newline != "\n":
        text = text.replace("\n", options.newline)
    if options.escape == "basic":
        return text.translate(_BASIC)
    return text.translate(_FULL) if options.escape == "full" else text


def _ended(elements: list[Any], options: Options) -> list[Any]:
    if options.trailing_blank:
        if isinstance(elements[-1], str):
            elements[-1] += " "
        else:
            elements.append(" ")
    return elements


def given(elements: list[Any], options: Options, *, private: bool) -> list[Any]:
    """Return a content array made of wire elements: pictures resolved, the font put first if missing."""
    content: list[Any] = []
    for element in elements:
        if isinstance(element, list) and element and element[0] == PICTURE:
            content += _picture(element, options, private=private)
        elif isinstance(element, list) and element and element[0] == AT:
            content += _at(str(element[1]), options)
        else:
            content.append(element)
    if not (content and isinstance(content[0], list) and content[0][:1] == ["font"]):
        content.insert(0, font(options))
    return content


def _picture(element: list[Any], options: Options, *, private: bool) -> list[Any]:
    label = picture_name(element)
    if options.pictures != "whole":
        return [""] if options.pictures == "empty" else []
    if private:
        return [["offpic", {"success": 1, "file_path": f"/{label}"}], " "]
    detail = {"name": label, "file_id": 2912345678, "key": "9USwBrADTpiscH66", "server": "10.20.30.40:80"}
    return [["cface", detail], " "]


def _at(name: str, options: Options) -> list[str]:
    """Return who is spoken to: text and two blanks in 2013, the name and an empty text in 2017 (recorded)."""
    spoken = escaped(f"@{name}", options)
    return [f"{spoken}  "] if options.profile == "e1" else [spoken, ""]


def picture_name(element: list[Any]) -> str:
    """Return the name of a picture element."""
    return str(element[1]) if len(element) > 1 else PICTURE_NAME


def parse_sent(inner: Any) -> tuple[list[Any], str]:
    """Return the parts without the font, and the text a phone shows for them.

    `inner` is the `content` string of a send. Raw control characters in it are accepted, as clients
    of 2015 wrote them; anything that is no array of strings and lists raises ContentError.
    """
    if not isinstance(inner, str):
        raise ContentError("content is not a string")
    try:
        parts = json.loads(inner, strict=False)
    except ValueError as exc:
        raise ContentError(f"content is not JSON: {exc}") from exc
    if not isinstance(parts, list) or not all(isinstance(part, str | list) for part in parts):
        raise ContentError("content is not an array of strings and lists")
    parts = [part for part in parts if not (isinstance(part, list) and part[:1] == ["font"])]
    return parts, shown(parts)


def shown(parts: list[Any]) -> str:
    """Return what a phone shows for wire elements; it knows nothing but texts and lists."""
    known = (part for part in parts if isinstance(part, str | list) and part[:1] != ["font"])
    return "".join(map(_shown, known))


def _shown(part: Any) -> str:
    if isinstance(part, str):
        return part
    if part[:1] == ["face"] and len(part) > 1:
        return f"[{faces.name_of(part[1])}]"
    return "[未识别内容]"
