"""What a terminal shows: columns that line up for Chinese and emoji, and text that cannot give it orders."""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_JOINER, _EMOJI_STYLE = "\u200d", "\ufe0f"
# Skin tones change the emoji before them and take no room of their own.
_TONES = range(0x1F3FB, 0x1F400)
# Controls, formatting (bidi overrides, invisible characters), surrogates, line and paragraph separators.
_ORDERS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_PICTURES = {"\n": "⏎", "\r": "", "\t": " "}
_CONTROL_PICTURES, _ESCAPE_END = 0x2400, 0x20
_BMP = 0x10000


def harmless(text: str) -> str:
    """The text in one line, with whatever could move the cursor or reorder characters made visible."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(char: str) -> str:
    if char in _PICTURES:
        return _PICTURES[char]
    if char == _JOINER or unicodedata.category(char) not in _ORDERS:
        return char
    code = ord(char)
    return chr(_CONTROL_PICTURES + code) if code < _ESCAPE_END else f"<U+{code:04X}>"


def as_json(value: object) -> str:
    """One line of JSON that is as harmless on a terminal. Bytes become hexadecimal text."""
    line = json.dumps(value, ensure_ascii=False, default=_foreign)
    return line if line.isascii() and "\x7f" not in line else "".join(map(_escaped, line))


def _foreign(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _escaped(char: str) -> str:
    if char == _JOINER or unicodedata.category(char) not in _ORDERS:
        return char
    return f"\\u{ord(char):04x}" if char == "\x7f" else json.dumps(char)[1:-1]


def width(text: str) -> int:
    """Columns that a terminal gives to the text."""
    total, before, joined = 0, 0, False
    for char in text:
        own = 0 if joined else _columns(char)
        if char == _EMOJI_STYLE and before == 1:
            own, before = 1, 2  # the character before is shown as an emoji after all
        elif own:
            before = own
        joined = char == _JOINER
        total += own
    return total


def _columns(char: str) -> int:
    if char.isascii():
        return 1
    if ord(char) in _TONES or unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def clip(text: str, columns: int) -> str:
    """The text cut to so many columns, with `…` where something is missing."""
    if width(text) <= columns:
        return text
    kept = ""
    for char in text:
        if width(kept + char) > columns - 1:
            break
        kept += char
    return kept + "…"


def pad(text: str, columns: int) -> str:
    """The text filled with blanks up to so many columns."""
    return text + " " * (columns - width(text))


def table(rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """Rows in columns that line up; those in `right` to the right. Cells are made harmless."""
    cells = [[harmless(cell) for cell in row] for row in rows]
    if not cells:
        return []
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            " " * (size - width(cell)) + cell if at in right else pad(cell, size)
            for at, (cell, size) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


@dataclass(frozen=True, slots=True)
class Paint:
    """Colour, or none."""

    colour: bool

    def __call__(self, text: str, style: str) -> str:
        """The text in a style: bold, dim, red, green, yellow or cyan."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.colour and text else text


_STYLES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
CLEAR = "\x1b[H\x1b[2J"


def plain(text: str) -> str:
    """The text without what `Paint` adds."""
    return re.sub("\x1b\\[[0-9]*m", "", text)


def say(*lines: str) -> None:
    """Print at once: whoever reads a pipe sees it now, and a closed one is noticed here."""
    print("\n".join(lines), flush=True)  # noqa: T201 – its work
