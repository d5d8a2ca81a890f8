"""Names that are computed: of a message in its event id, and of a message that is sent, as its msg_seq."""

import hashlib
from collections.abc import Iterator
from typing import Final

# Hexadecimal digits of a key: an event id with it fits into a request id.
_KEY_DIGITS: Final = 16
# Clients in the field use numbers up to this one.
_SEQUENCES: Final = 1_000_000


def event_key(message_id: str, msg_idx: str = "") -> str:
    """Return the name of a message or notice in its event id; "" without an id.

    A message id has characters that an event id may not hold; `msg_idx` tells reused ids apart.
    """
    if not message_id:
        return ""
    return hashlib.sha256(f"{message_id}\n{msg_idx}".encode("utf-8", "replace")).hexdigest()[:_KEY_DIGITS]


def sequence_of(part_id: str) -> int:
    """Return the msg_seq of a part: the same in each process, so that a repeat is recognised upstream."""
    return 1 + int.from_bytes(hashlib.sha256(part_id.encode()).digest()[:8]) % _SEQUENCES


def choose_part_ids(numbers: Iterator[int], count: int) -> tuple[str, ...]:
    """Return ids for the parts of one request, which all get another msg_seq."""
    chosen: dict[int, str] = {}
    while len(chosen) < count:
        part_id = str(next(numbers))
        chosen.setdefault(sequence_of(part_id), part_id)
    return tuple(chosen.values())
