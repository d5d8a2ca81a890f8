"""Unpack msgpack and JSON that other programs wrote, within bounds of depth and number of values. Pure.

One byte of msgpack may become an object of 64 bytes, and a thousand of them may hold each other. The bounds
hold before the memory is taken.
"""

import json
from typing import Any, Final

import msgpack

# Levels of maps and lists: forwarded messages need about ten, and recursive code ends at a thousand.
MAX_DEPTH: Final = 32
# Values in all: a message of a thousand segments has ten thousand. About 10 MB of memory.
MAX_VALUES: Final = 100_000


class NestingError(ValueError):
    """A value is too deep, holds too many values, or is no msgpack or JSON at all."""


def unpack_bounded(packed: bytes) -> object:
    """Unpack one msgpack value. Raises NestingError."""
    values = 0

    def count(container: Any) -> Any:
        nonlocal values
        values += len(container) + 1
        if values > MAX_VALUES:
            raise NestingError(f"more than {MAX_VALUES} values")
        return container

    try:
        value = msgpack.unpackb(
            packed,
            object_hook=count,
            list_hook=count,
            max_array_len=MAX_VALUES,
            max_map_len=MAX_VALUES,
        )
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as exc:
        raise NestingError(f"no msgpack: {exc}") from exc
    _check_depth(value)
    return value


def load_bounded(text: bytes) -> object:
    """Parse one JSON value. Raises NestingError."""
    if sum(map(text.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise NestingError(f"more than {MAX_VALUES} values")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise NestingError(f"no JSON: {exc}") from exc
    _check_depth(value)
    return value


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise NestingError(f"nested deeper than {MAX_DEPTH}")
