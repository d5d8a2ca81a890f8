"""Find where a text may be cut: between what a reader takes for characters. Pure.

A reader's character may be several code points: a family of emoji, a flag, a skin tone, a keycap, a letter
with its accents. The rules are those of UAX 29 as far as they need no table that Python lacks.
"""

import unicodedata
from collections.abc import Sequence
from typing import Final

_JOINER: Final = "\u200d"
# Nonspacing, enclosing and spacing marks belong to the letter before them.
_MARKS: Final = frozenset({"Mn", "Me", "Mc"})
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)
# Letters of the names of regions, in flags such as that of Scotland.
_TAGS: Final = range(0xE0020, 0xE0080)
# Two of them are a flag.
_REGIONAL: Final = range(0x1F1E6, 0x1F200)
# Vowels and final consonants of Hangul that is not composed.
_JAMO: Final = range(0x1160, 0x1200)


def last_boundary(units: Sequence[object], end: int) -> int:
    """Return the last place up to `end` where a text may be cut, 0 if there is none behind its begin.

    `units`: code points, and other values, which are no part of any character.
    """
    while 0 < end < len(units) and not _is_boundary(units, end):
        end -= 1
    return end


def _is_boundary(units: Sequence[object], at: int) -> bool:
    before, after = units[at - 1], units[at]
    if not isinstance(before, str) or not isinstance(after, str):
        return True
    if _JOINER in {before, after} or before + after == "\r\n":
        return False
    code = ord(after)
    if code in _SKIN_TONES or code in _TAGS or code in _JAMO or unicodedata.category(after) in _MARKS:
        return False
    return code not in _REGIONAL or _regional_run(units, at) % 2 == 0


def _regional_run(units: Sequence[object], end: int) -> int:
    """Return how many regional indicators stand in a row before `end`."""
    start = end
    while start and isinstance(one := units[start - 1], str) and ord(one) in _REGIONAL:
        start -= 1
    return end - start
