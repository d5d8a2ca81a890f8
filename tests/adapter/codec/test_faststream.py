"""FastStream's frame, against frames that FastStream 0.7.8 itself has made."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.codec.faststream import FRAME, IDENTITY, unwrap
from adapter.codec.outbound import decode_request
from adapter.errors import SchemaError
from tests.support import DATA

CASES: list[dict[str, Any]] = json.loads((DATA / "contract_faststream.json").read_text(encoding="utf-8"))
MAP = bytes.fromhex(CASES[0]["frame"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_a_frame_of_faststream_becomes_the_fields_of_a_request(case: dict[str, Any]) -> None:
    fields = unwrap({FRAME: bytes.fromhex(case["frame"])})
    assert {name.decode(): value.decode() for name, value in fields.items()} == case["fields"]


def test_the_fields_are_understood_like_any_request() -> None:
    request = decode_request("1-0", unwrap({FRAME: MAP}), "qq")
    assert str(request.to) == "group:2419712345"


def test_an_entry_without_a_frame_is_left_alone() -> None:
    fields = {b"to": b"friend:1", b"text": b"x"}
    assert unwrap(fields) is fields


def test_what_stands_beside_the_frame_wins() -> None:
    assert unwrap({FRAME: MAP, b"id": b"mine", b"to": b"friend:9"})[b"to"] == b"friend:9"


def test_the_older_json_envelope_is_understood() -> None:
    inner = json.dumps({"text": "hello"})
    frame = json.dumps({"data": inner, "headers": {"to": "friend:1", "correlation_id": "x"}}).encode()
    assert unwrap({FRAME: frame}) == {b"to": b"friend:1", b"text": b"hello"}


def test_json_without_any_envelope_is_understood() -> None:
    assert unwrap({FRAME: b'{"to":"friend:1","text":"hello"}'}) == {b"to": b"friend:1", b"text": b"hello"}


def test_an_operation_is_not_sent_as_a_message() -> None:
    deny = {"op": "deny", "event": "1.-.2.:flag.3.4", "text": "no", "to": "group:1"}
    for frame in (deny, {"data": "no", "headers": {"content-type": "text/plain", **deny}}):
        fields = unwrap({FRAME: json.dumps(frame).encode()})
        assert fields == {name.encode(): value.encode() for name, value in deny.items()}
    said = {"to": "group:1", "text": "hello", "message_id": "of the application", "event": "said"}
    assert unwrap({FRAME: json.dumps(said).encode()}) == {b"to": b"group:1", b"text": b"hello"}


@pytest.mark.parametrize(
    "frame",
    [
        IDENTITY,
        MAP[:15],
        IDENTITY + b"\x00\x02" + MAP[10:],
        IDENTITY + b"\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xff\xfe not text",
        b'{"to":["friend:1"],"text":"x"}',
        b'{"to":true,"text":"x"}',
        b'{"to":"friend:1","text":"\\ud800"}',
    ],
)
def test_a_broken_frame_is_refused_in_words(frame: bytes) -> None:
    with pytest.raises(SchemaError):
        unwrap({FRAME: frame})


@given(st.integers(0, len(MAP) - 1), st.integers(0, 255), st.integers(0, len(MAP)))
def test_whatever_happens_to_a_frame_only_our_error_comes_out(at: int, value: int, end: int) -> None:
    frame = bytearray(MAP)
    frame[at] = value
    try:
        unwrap({FRAME: bytes(frame[:end])})
    except SchemaError:
        return
