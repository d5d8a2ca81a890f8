"""Values of frames: implementations send numbers, texts, nulls and objects for the same field."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

# More digits than any id has; a longer one is no id.
_DIGITS: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)
# Times above this are in milliseconds: in seconds it is the year 5138, in milliseconds the year 1973.
_MILLISECONDS: Final = 1e11
# The end of the year 9999, in seconds; a later time is no time.
_MAX_TIME: Final = 253_402_300_799.0

Object = Mapping[str, object]
NOTHING: Final[Object] = {}


def mapping(value: object) -> Object:
    """Return an object as it is, and an empty one for anything else."""
    return value if isinstance(value, dict) else NOTHING


def iter_objects(value: object) -> Iterator[Object]:
    """Yield the objects of a list; nothing for anything else."""
    rows: Iterable[object] = value if isinstance(value, list) else ()
    return (row for row in rows if isinstance(row, dict))


def parse_int(value: object) -> int | None:
    """Return an integer that is written as a number or as text; None for anything else."""
    if type(value) is int:
        return value
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None


def parse_id(value: object) -> str:
    """Return the id of a person or group as decimal text; "" for 0 and for anything else."""
    if type(value) is int and value > 0:
        return str(value)
    number = parse_int(value)
    return str(number) if number is not None and number > 0 else ""


def parse_message_id(value: object) -> str:
    """Return the id of a message as decimal text, negative or not; "" for 0 and for anything else."""
    number = parse_int(value)
    return str(number) if number else ""


def parse_text(value: object) -> str:
    """Return a text, or a number as text; "" for anything else."""
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int else ""


def parse_time(value: object) -> float | None:
    """Return a time in seconds; one in milliseconds is converted, anything else is None."""
    number = parse_int(value)
    seconds = value if isinstance(value, float) else number
    if seconds is None or not seconds > 0:
        return None
    if seconds > _MILLISECONDS:
        seconds /= 1000
    return float(seconds) if seconds <= _MAX_TIME else None
