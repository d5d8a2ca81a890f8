"""CQ strings: the text form of messages. Only received; what is sent are arrays.

`[CQ:type,key=value,…]` stands between text. In text `&`, `[` and `]` are escaped, in values `,` too.
"""

import re
from typing import Final

_CODE: Final = re.compile(r"\[CQ:([A-Za-z0-9_.-]+)((?:,[^\[\],]*)*)\]")
_ENTITY: Final = re.compile(r"&(?:amp|#91|#93|#44);")
_CHARACTERS: Final = {"&amp;": "&", "&#91;": "[", "&#93;": "]", "&#44;": ","}

RawSegment = dict[str, object]


def decode_cq(message: str) -> list[RawSegment]:
    """Return the segments of a CQ string; a code that is not closed is text."""
    segments: list[RawSegment] = []
    end = 0
    for code in _CODE.finditer(message):
        if code.start() > end:
            segments.append(_text(message[end : code.start()]))
        pairs = (pair.partition("=") for pair in code[2].split(",")[1:])
        data = {key: unescape(value) for key, separator, value in pairs if separator}
        segments.append({"type": code[1], "data": data})
        end = code.end()
    if end < len(message):
        segments.append(_text(message[end:]))
    return segments


def unescape(text: str) -> str:
    """Undo the escapes in one pass: `&amp;#91;` is the text `&#91;`."""
    return _ENTITY.sub(lambda entity: _CHARACTERS[entity[0]], text) if "&" in text else text


def _text(text: str) -> RawSegment:
    return {"type": "text", "data": {"text": unescape(text)}}
