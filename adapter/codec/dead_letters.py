"""Encode and decode entries of `qq:dead` (contract, "qq:dead"). Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgpack

from adapter.codec.inbound import replace_surrogates, timestamp
from adapter.codec.nesting import NestingError, unpack_bounded
from adapter.events import CONTRACT_VERSION

# Characters of `detail`: the reason for a person, not a log.
MAX_DETAIL = 500
# Bytes that a letter keeps of one field, of all fields, and of a field's name; the number of its fields. A
# letter is for a person: whole pictures of a flood of bad requests would fill Redis a second time.
MAX_FIELD = 64 * 1024
MAX_ALL_FIELDS = 256 * 1024
MAX_NAME = 256
MAX_FIELDS = 64
# Bytes of a packed map that is read back: other programs write letters too.
_MAX_PACKED = 2 * (MAX_ALL_FIELDS + MAX_FIELDS * MAX_NAME)

Fields = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that could not be handled: `fields` of `stream` (a whole key), and why.

    Names of groups and consumers are other programs' bytes. `cut`: what the caller left out of fields that
    it did not read whole.
    """

    stream: str
    entry: str
    fields: Fields
    group: str | bytes
    consumer: str | bytes
    reason: str
    detail: str
    attempts: int = 1
    cut: Mapping[bytes, "Cut"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of a field that a letter leaves out: its bytes and its SHA-256, "" if it was not computed."""

    length: int
    sha256: str


def encode_dead_letter(letter: DeadLetter, now: float) -> list[str | bytes]:
    """Encode a dead letter as names and values in turn. What is kept of a value keeps its bytes."""
    kept, clipped = _clip(letter)
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
        *("fields", msgpack.packb(kept)),
        *(("clipped", json.dumps(clipped, ensure_ascii=False)) if clipped else ()),
    ]


def _clip(letter: DeadLetter) -> tuple[dict[str, bytes], dict[str, object]]:
    """Return what is kept of the original fields, and what is left out."""
    kept: dict[str, bytes] = {}
    cuts: dict[str, object] = {}
    left = MAX_ALL_FIELDS
    named = [(name, value) for name, value in letter.fields.items() if len(name) <= MAX_NAME]
    for name, value in named[:MAX_FIELDS]:
        text, room = name.decode("utf-8", "replace"), min(MAX_FIELD, left)
        cut = letter.cut.get(name)
        if cut is None and len(value) > room:
            cut = Cut(len(value) - room, hashlib.sha256(memoryview(value)[room:]).hexdigest())
        elif cut is not None and len(value) > room:
            cut = Cut(cut.length + len(value) - room, "")
        kept[text] = bytes(value[:room])
        left -= len(kept[text])
        if cut is not None:
            cuts[text] = {"bytes": len(kept[text]) + cut.length, "sha256": cut.sha256}
    omitted = len(letter.fields) - len(kept)
    return kept, ({"fields": cuts, "omitted": omitted} if cuts or omitted else {})


def original_fields(fields: Fields) -> dict[str, bytes]:
    """Decode the original fields of a dead letter; empty if they cannot be read."""
    packed = fields.get(b"fields", b"")
    if len(packed) > _MAX_PACKED:
        return {}
    try:
        original = unpack_bounded(packed)
    except NestingError:
        return {}
    if not isinstance(original, dict):
        return {}
    return {str(name): _to_bytes(value) for name, value in original.items()}


def holds_entry(fields: Fields, standing: Fields) -> bool:
    """Return whether a dead letter holds this entry, or the starts of its fields if it was clipped."""
    kept = original_fields(fields)
    entry = {name.decode("utf-8", "replace"): value for name, value in standing.items()}
    if fields.get(b"clipped"):
        return bool(kept) and all(entry.get(name, b"").startswith(value) for name, value in kept.items())
    return kept == entry


def restored_fields(fields: Fields) -> dict[str, bytes]:
    """Return the original fields for a redrive, always with the id that the ledger knows.

    A request without `id` is in the ledger under the id of its entry. Empty if the letter holds a part only.
    """
    original = {} if fields.get(b"clipped") else original_fields(fields)
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
