"""Read the stream entries in a reply of Redis: XRANGE, XREAD and XREADGROUP."""

from collections.abc import Iterable
from typing import Any, Final

# The last id that exists. Redis refuses a range that begins behind it.
LAST_ID: Final = f"{2**64 - 1}-{2**64 - 1}"
# An entry id, and the fields of the entry.
Entry = tuple[str, dict[bytes, bytes]]


def parse_entries(rows: Iterable[Any]) -> list[Entry]:
    """Return the entries of an XRANGE reply.

    XREADGROUP gives an entry that was deleted while pending as an id alone: its fields are empty here.
    """
    return [(entry.decode(), fields or {}) for entry, fields in rows]


def parse_xread(reply: Any) -> dict[str, list[Entry]]:
    """Return the entries of an XREAD or XREADGROUP reply by stream key; none after a wait in vain."""
    streams = reply.items() if isinstance(reply, dict) else reply or ()
    return {key.decode(): parse_entries(rows) for key, rows in streams}
