"""Proof of adapter/codec/dead_letters.py: the original fields come back, whatever a letter holds."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.codec.dead_letters import (
    MAX_DETAIL,
    DeadLetter,
    encode_dead_letter,
    original_fields,
    restored_fields,
)


def encoded(fields: dict[bytes, bytes], stream: str = "qq:outbound", detail: str = "") -> dict[bytes, bytes]:
    letter = DeadLetter(stream, "7-1", fields, b"\xff", b"c", "poison", detail, attempts=3)
    flat = [item if isinstance(item, bytes) else item.encode() for item in encode_dead_letter(letter, 0.0)]
    return dict(zip(flat[::2], flat[1::2], strict=True))


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.binary(max_size=300)))
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
    nested = b"\x91" * 400 + b"\xc0"
    packed = b"\x84\xa1n" + nested + b"\xa1s\xa1t\xa1i\x07\xa1z\xc0"
    shown = {"n": b"<list>", "s": b"t", "i": b"7", "z": b"<NoneType>"}
    assert original_fields({b"fields": packed}) == shown
