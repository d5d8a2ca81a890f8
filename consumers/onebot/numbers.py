"""Turn entry ids into the numbers of OneBot and back. Pure.

No table is needed: any gateway takes any `message_id` back to its entry. The number of an event is positive,
that of a message that was sent through the bus is negative.
"""

import re
from dataclasses import dataclass
from typing import Final

# Milliseconds since 1970 of 2020-01-01: with this epoch a number is exact as a JSON number until 2089.
EPOCH_MS: Final = 1_577_836_800_000
# Entries of one millisecond that can be numbered.
_PER_MS: Final = 4096
# JSON numbers beyond it are not exact in JavaScript.
MAX_NUMBER: Final = 2**53
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)
# Characters of an entry id.
_MAX_ENTRY: Final = 41


@dataclass(frozen=True, slots=True)
class EntryRef:
    """An entry: of the outbound stream if the message was sent, else of the inbound stream."""

    entry: str
    was_sent: bool


def entry_number(entry: str, *, was_sent: bool = False) -> int:
    """Return the `message_id` of an entry; 0 for one that has no number."""
    first, _, second = entry.partition("-")
    if not (first.isdecimal() and second.isdecimal() and entry.isascii() and len(entry) <= _MAX_ENTRY):
        return 0
    milliseconds, sequence = int(first) - EPOCH_MS, int(second)
    number = milliseconds * _PER_MS + sequence
    if milliseconds < 0 or sequence >= _PER_MS or number >= MAX_NUMBER:
        return 0
    return -number if was_sent else number


def number_entry(number: int) -> EntryRef | None:
    """Return the entry of a `message_id`; None for 0 and for what no entry can have."""
    size = abs(number)
    if not 0 < size < MAX_NUMBER:
        return None
    milliseconds, sequence = divmod(size, _PER_MS)
    return EntryRef(f"{milliseconds + EPOCH_MS}-{sequence}", number < 0)


def parse_integer(value: object) -> int | None:
    """Return an id that came as a JSON number or as decimal text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_NUMBER:
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    return None


def id_number(text: object) -> int:
    """Return an id of the bus as a number, 0 where there is none."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdecimal() else 0
