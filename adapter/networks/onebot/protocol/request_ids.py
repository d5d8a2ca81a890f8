"""Friend and group requests named by their event: the event id carries the flag that answers it.

An answer therefore needs no table: it works after a restart, and when the event has been trimmed. The flag
stands where other events have their message id, as `<sub_type>:<flag>`; characters that an event id may
not hold are written as `_` and two hexadecimal digits for each byte.
"""

import re
from dataclasses import dataclass
from typing import Final

# Characters of an escaped flag; the whole event id must fit into the 128 of a request id with a prefix.
MAX_FLAG: Final = 64
_PLAIN: Final = re.compile(rb"[A-Za-z0-9-]")
_ESCAPE: Final = re.compile(r"_([0-9a-f]{2})")
_NAMED: Final = re.compile(r"(add|invite|)(?::)([A-Za-z0-9_-]{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class RequestRef:
    """A request: its `sub_type` (add, invite, or "" of a friend) and its flag."""

    sub_type: str
    flag: str


def encode_request(sub_type: str, flag: str) -> str:
    """Return the name of a request within its event id; "" if the flag does not fit."""
    escaped = "".join(
        chr(byte) if _PLAIN.match(bytes((byte,))) else f"_{byte:02x}"
        for byte in flag.encode("utf-8", "replace")
    )
    name = f"{sub_type}:{escaped}"
    return name if escaped and len(escaped) <= MAX_FLAG and _NAMED.fullmatch(name) else ""


def decode_request(name: str) -> RequestRef | None:
    """Return the request that `encode_request` named; None for anything else."""
    found = _NAMED.fullmatch(name)
    if found is None:
        return None
    flag = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), found[2])
    try:
        return RequestRef(found[1], flag.encode("latin-1").decode())
    except UnicodeDecodeError:
        return None
