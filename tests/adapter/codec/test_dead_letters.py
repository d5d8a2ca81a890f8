"""Proof of adapter/codec/dead_letters.py: the original fields come back, whatever a letter holds."""

import hashlib
import json

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.codec.dead_letters import (
    MAX_ALL_FIELDS,
    MAX_DETAIL,
    MAX_FIELD,
    MAX_FIELDS,
    Cut,
    DeadLetter,
    encode_dead_letter,
    original_fields,
    restored_fields,
)


def encoded(fields: dict[bytes, bytes], stream: str = "qq:outbound", detail: str = "") -> dict[bytes, bytes]:
    letter = DeadLetter(stream, "7-1", fields, b"\xff", b"c", "poison", detail, attempts=3)
    flat = [item if isinstance(item, bytes) else item.encode() for item in encode_dead_letter(letter, 0.0)]
    return dict(zip(flat[::2], flat[1::2], strict=True))


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=60), st.binary(max_size=300)))
def test_the_original_fields_keep_their_bytes(fields: dict[str, bytes]) -> None:
    raw = {name.encode(): value for name, value in fields.items()}
    assert original_fields(encoded(raw, "qq:inbound")) == fields


def test_a_letter_names_where_and_why() -> None:
    fields = encoded({b"\xff": b"x"}, detail="\ud800" + "y" * 1000)
    assert fields | {b"fields": b"", b"detail": b""} == {
        b"v": b"1",
        b"time": b"1970-01-01T00:00:00.000Z",
        b"stream": b"qq:outbound",
        b"entry": b"7-1",
        b"group": b"\xff",
        b"consumer": b"c",
        b"reason": b"poison",
        b"detail": b"",
        b"attempts": b"3",
        b"fields": b"",
    }
    assert len(fields[b"detail"].decode()) == MAX_DETAIL
    assert original_fields(fields) == {"\ufffd": b"x"}


def test_a_request_without_an_id_is_redriven_under_the_one_that_the_ledger_knows() -> None:
    assert restored_fields(encoded({b"to": b"x"}))["id"] == b"entry:7-1"
    assert restored_fields(encoded({b"to": b"x", b"id": b"a/1"}))["id"] == b"a/1"
    assert "id" not in restored_fields(encoded({b"to": b"x"}, "qq:inbound"))


@pytest.mark.parametrize("packed", [b"", b"\xc1", b"\x01", msgpack.packb([1]), b"\x81\xa1a"])
def test_what_cannot_be_read_has_no_fields(packed: bytes) -> None:
    assert original_fields({b"fields": packed}) == {}
    assert restored_fields({b"fields": packed, b"stream": b"qq:outbound"}) == {}


def test_values_that_are_no_bytes_are_shown_however_deep_they_are() -> None:
    nested = b"\x91" * 20 + b"\xc0"
    packed = b"\x84\xa1n" + nested + b"\xa1s\xa1t\xa1i\x07\xa1z\xc0"
    shown = {"n": b"<list>", "s": b"t", "i": b"7", "z": b"<NoneType>"}
    assert original_fields({b"fields": packed}) == shown


def test_a_long_field_is_clipped_and_its_rest_is_known_by_length_and_digest() -> None:
    long, head = bytes(range(256)) * 4_000, {b"to": b"friend:1", b"id": b"a/1"}
    letter = encoded(head | {b"body": long})
    assert original_fields(letter) == {"to": b"friend:1", "id": b"a/1", "body": long[:MAX_FIELD]}
    assert json.loads(letter[b"clipped"]) == {
        "fields": {
            "body": {"bytes": len(long), "sha256": hashlib.sha256(long[MAX_FIELD:]).hexdigest()},
        },
        "omitted": 0,
    }
    assert restored_fields(letter) == {}


def test_a_letter_is_bounded_in_all() -> None:
    many = {f"{number:04}".encode() * 60: b"x" * MAX_FIELD for number in range(1000)}
    letter = encoded(many)
    assert sum(map(len, letter.values())) < 2 * MAX_ALL_FIELDS
    assert json.loads(letter[b"clipped"])["omitted"] == 1000 - MAX_FIELDS


def test_what_the_caller_did_not_read_is_named_as_well() -> None:
    record = DeadLetter(
        "qq:outbound", "7-1", {b"body": b"ab"}, b"g", b"c", "r", "", cut={b"body": Cut(8, "s")}
    )
    flat = encode_dead_letter(record, 0.0)
    assert json.loads(flat[flat.index("clipped") + 1])["fields"] == {"body": {"bytes": 10, "sha256": "s"}}


def test_a_letter_of_another_program_is_read_within_bounds() -> None:
    assert original_fields({b"fields": b"\xdd\x7f\xff\xff\xff" + b"\x80" * 1000}) == {}
    assert original_fields({b"fields": b"\x81\xa1a" + b"\x91" * 100 + b"\xc0"}) == {}
    assert original_fields({b"fields": b"\x81\xa1a\xdc\xff\xff" + b"\x80" * 0xFFFF}) == {}
