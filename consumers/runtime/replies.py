"""Parse raw stream replies of Redis (RESP2)."""

from typing import Any

Entry = tuple[str, list[bytes]]


def only_stream(reply: Any) -> Any:
    """Return the entries of an XREAD or XREADGROUP of one stream."""
    return reply[0][1] if reply else ()


def entries_of(rows: Any) -> list[Entry]:
    """Return the entries that still exist, as ids with flat fields."""
    # A deleted entry is nil on Redis 6.2, and comes without fields since 7.
    return [(row[0].decode(), row[1]) for row in rows or () if row and row[1]]


def mapping_of(flat: list[bytes]) -> dict[bytes, bytes]:
    """Return a flat list of names and values as a dict."""
    names = iter(flat)
    return dict(zip(names, names, strict=True))


def entry_key(entry: str) -> tuple[int, int]:
    """Return what entry ids are compared by."""
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number)
