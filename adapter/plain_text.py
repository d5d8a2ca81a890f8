"""Make foreign text harmless where people read it: on terminals and in logs. Pure."""

import unicodedata
from typing import Final

# Zero width joiner: a format character that emoji need.
_JOINER: Final = "\u200d"
# Controls, format characters (bidi overrides, invisible ones), surrogates, line and paragraph separators.
_UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_REPLACEMENTS: Final = {"\n": "⏎", "\r": "", "\t": " "}
_CONTROL_PICTURES: Final = 0x2400
_SPACE: Final = 0x20


def harmless(text: str) -> str:
    """Return the text in one line that cannot command the terminal.

    What moves the cursor or reorders characters becomes a visible mark.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def is_unsafe(char: str) -> bool:
    """Return whether a character can move the cursor, reorder its neighbours or hide."""
    return char != _JOINER and unicodedata.category(char) in _UNSAFE_CATEGORIES


def _visible(char: str) -> str:
    if char in _REPLACEMENTS:
        return _REPLACEMENTS[char]
    if not is_unsafe(char):
        return char
    code = ord(char)
    return chr(_CONTROL_PICTURES + code) if code < _SPACE else f"<U+{code:04X}>"
