"""Encode and decode entries of `qq:dead` (contract, "qq:dead"). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgpack

from adapter.codec.inbound import replace_surrogates, timestamp
from adapter.events import CONTRACT_VERSION

# Characters of `detail`: the reason for a person, not a log.
MAX_DETAIL = 500

Fields = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that could not be handled: `fields` of `stream` (a whole key), and why.

    Names of groups and consumers are other programs' bytes.
    """

    stream: str
    entry: str
    fields: Fields
    group: str | bytes
    consumer: str | bytes
    reason: str
    detail: str
    attempts: int = 1


def encode_dead_letter(letter: DeadLetter, now: float) -> list[str | bytes]:
    """Encode a dead letter as names and values in turn. The original values keep their bytes."""
    original = {name.decode("utf-8", "replace"): value for name, value in letter.fields.items()}
    return [
        *("v", CONTRACT_VERSION),
        *("time", timestamp(now)),
        *("stream", letter.stream),
        *("entry", letter.entry),
        *("group", letter.group),
        *("consumer", letter.consumer),
        *("reason", letter.reason),
        *("detail", replace_surrogates(letter.detail)[:MAX_DETAIL]),
        *("attempts", str(letter.attempts)),
        *("fields", msgpack.packb(original)),
    ]


def original_fields(fields: Fields) -> dict[str, bytes]:
    """Decode the original fields of a dead letter; empty if they cannot be read."""
    try:
        original = msgpack.unpackb(fields.get(b"fields", b""))
    except (ValueError, msgpack.UnpackException):
        return {}
    if not isinstance(original, dict):
        return {}
    return {str(name): _to_bytes(value) for name, value in original.items()}


def restored_fields(fields: Fields) -> dict[str, bytes]:
    """Return the original fields for a redrive, always with the id that the ledger knows.

    A request without `id` is in the ledger under the id of its entry.
    """
    original = original_fields(fields)
    if original and fields.get(b"stream", b"").endswith(b":outbound") and not original.get("id"):
        original["id"] = b"entry:" + fields.get(b"entry", b"")
    return original


def _to_bytes(value: object) -> bytes:
    match value:
        case bytes():
            return value
        case str() | int() | float():
            return str(value).encode()
        case _:
            # A worker's own letter may nest anything: its text could exceed the recursion limit.
            return f"<{type(value).__name__}>".encode()
