"""Values of the API's JSON: any field may be absent, null, or of another type than documented."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

Object = Mapping[str, object]
NOTHING: Final[Object] = {}
# The end of the year 9999, in seconds; a later time is no time.
_MAX_TIME: Final = 253_402_300_799.0
# Digits of a number that is written as text; no code and no time has more.
_MAX_DIGITS: Final = 18


def mapping(value: object) -> Object:
    """Return an object as it is, and an empty one for anything else."""
    return value if isinstance(value, dict) else NOTHING


def objects(value: object) -> list[Object]:
    """Return the objects of a list; nothing for anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def parse_text(value: object) -> str:
    """Return a text, or a number as text; "" for anything else."""
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int else ""


def parse_int(value: object) -> int | None:
    """Return an integer that is written as a number or as text; None for anything else."""
    if type(value) is int:
        return value
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _MAX_DIGITS:
        return int(value)
    return None


def parse_time(value: object) -> float | None:
    """Return seconds since 1970 of an RFC 3339 time or of a number; None for anything else."""
    seconds: float | None = parse_int(value)
    if seconds is None and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            seconds = moment.timestamp() if moment.tzinfo else None
        except (ValueError, OverflowError):
            return None
    return float(seconds) if seconds is not None and 0 <= seconds <= _MAX_TIME else None
