"""Proof of adapter/codec/outbound.py."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.codec.outbound import decode_request, encode_result
from adapter.codec.request_body import DEFAULT_LIMITS
from adapter.content import At, Face, Font, Markup, Text
from adapter.errors import SchemaError
from adapter.events import Address, ChatKind, Delivery, Priority, SendRequest, SendResult, Status

ENTRY = "1445653507000-3"
GROUP = Address(ChatKind.GROUP, "5")


def read(**fields: str | bytes) -> SendRequest:
    encoded = {name.encode(): v.encode() if isinstance(v, str) else v for name, v in fields.items()}
    return decode_request(ENTRY, encoded, "qq")


def refusal(**fields: str | bytes) -> tuple[str, str]:
    with pytest.raises(SchemaError) as caught:
        read(**fields)
    return caught.value.code, str(caught.value)


def test_two_fields_are_enough() -> None:
    request = read(to="group:5", text="hello")
    assert request == SendRequest(ENTRY, f"entry:{ENTRY}", GROUP, (Markup("hello"),), results="qq:results")


def test_every_field_is_read() -> None:
    request = read(
        to="reply:1.g5.2.3.4.ab",
        text="hi",
        id="echo/1.g5.2.3.4.ab",
        expires="10",
        cause="1.g5.2.3.4.ab",
        delivery="at-least-once",
        priority="bulk",
        results="qq:results:mine",
        whatever="is ignored",
    )
    assert (request.to, request.id, request.cause) == (GROUP, "echo/1.g5.2.3.4.ab", "1.g5.2.3.4.ab")
    assert (request.delivery, request.priority) == (Delivery.AT_LEAST_ONCE, Priority.BULK)
    assert (request.expires, request.results) == (1445653517.0, "qq:results:mine")


@pytest.mark.parametrize("pack", [msgpack.packb, lambda body: json.dumps(body).encode()])
def test_a_body_is_read_from_msgpack_and_from_json(pack: Any) -> None:
    body: Mapping[str, object] = {
        "segments": [
            {"type": "text", "data": {"text": "a [微笑]"}},
            {"type": "face", "data": {"id": 14}},
            {"type": "face", "data": {"id": "13", "name": "呲牙"}},
            {"type": "at", "data": {"qq": "1"}},
        ],
        "font": {"name": "宋体", "size": 12, "style": [1, 0, 0], "color": "ff0000"},
        "more": 1,
    }
    request = read(to="group:5", body=pack(body))
    assert request.segments == (Text("a [微笑]"), Face(14, ""), Face(13, "呲牙"), At("1"))
    assert request.font == Font("宋体", 12, (1, 0, 0), "ff0000")


def test_a_trace_context_is_carried_and_anything_else_is_not() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert read(to="group:5", text="a", traceparent=trace).traceparent == trace
    assert read(to="group:5", text="a", traceparent="no trace").traceparent == ""
    flat = encode_result(SendResult(ENTRY, "a", "group:5", Status.SENT, "ok", traceparent=trace), "1", 1, 0.0)
    assert flat[-2:] == ["traceparent", trace]


def test_a_time_is_read_with_its_zone() -> None:
    assert read(to="group:5", text="a", expires="2015-10-24T02:25:07Z").expires == 1445653507
    assert read(to="group:5", text="a", expires="2015-10-24T10:25:07.500+08:00").expires == 1445653507.5
    assert read(to="group:5", text="a", expires="2015-10-24t02:25:07z").expires == 1445653507


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({}, "schema.invalid", "deleted"),
        ({"text": "a"}, "schema.invalid", "to is missing"),
        ({"txt": "a"}, "schema.invalid", "to is missing"),
        ({"to": "nobody", "text": "a"}, "schema.invalid", "friend:<id>"),
        ({"to": "reply:x", "text": "a"}, "schema.invalid", "names no chat"),
        ({"to": b"\xff", "text": "a"}, "schema.invalid", "to is not UTF-8"),
        ({"to": "group:5"}, "content.empty", "nothing to send"),
        ({"to": "group:5", "text": " \n\t "}, "content.empty", "nothing to send"),
        ({"to": "group:5", "body": '{"segments":[]}'}, "content.empty", "nothing to send"),
        ({"to": "group:5", "text": "中" * DEFAULT_LIMITS.content_bytes}, "content.toolong", "over the limit"),
        ({"to": "group:5", "body": b"{" + b" " * 300_000}, "content.toolong", "over the limit"),
        ({"to": "group:5", "text": "a", "body": "{}"}, "schema.invalid", "both"),
        ({"to": "group:5", "body": "hello"}, "schema.invalid", "neither a msgpack map nor"),
        ({"to": "group:5", "body": '{"segments":"a"}'}, "schema.invalid", "body.segments"),
        ({"to": "group:5", "body": '{"segments":[{"type":"text"}]}'}, "schema.invalid", "body.segments[0]"),
        ({"to": "group:5", "body": '{"segments":[{"type":"text","data":{"text":"\\ud800"}}]}'}, "schema.invalid", "UTF-8"),
        ({"to": "group:5", "body": '{"segments":[{"type":"text","data":{"text":"a"}}],"font":1}'}, "schema.invalid", "font"),
        ({"to": "group:5", "text": "a", "id": "ä"}, "schema.invalid", "id is not"),
        ({"to": "group:5", "text": "a", "id": "x" * 129}, "schema.invalid", "id is not"),
        ({"to": "group:5", "text": "a", "expires": "soon"}, "schema.invalid", "expires"),
        ({"to": "group:5", "text": "a", "expires": "nan"}, "schema.invalid", "expires"),
        ({"to": "group:5", "text": "a", "expires": "-1"}, "schema.invalid", "expires"),
        ({"to": "group:5", "text": "a", "expires": "2015-10-24T02:25:07"}, "schema.invalid", "time zone"),
        ({"to": "group:5", "text": "a", "delivery": "twice"}, "schema.invalid", "at-most-once"),
        ({"to": "group:5", "text": "a", "priority": "1"}, "schema.invalid", "high, normal, bulk"),
        ({"to": "group:5", "text": "a", "results": "qq:inbound"}, "schema.invalid", "qq:results:<name>"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_words(fields: dict[str, Any], code: str, words: str) -> None:
    found, text = refusal(**fields)
    assert found == code
    assert words in text


@given(
    st.dictionaries(
        st.sampled_from([b"to", b"text", b"body", b"id", b"expires", b"delivery", b"priority", b"results"]),
        st.binary(max_size=64),
    )
)
def test_garbage_ends_in_a_refusal_and_nothing_else(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(SchemaError):
        decode_request(ENTRY, {**fields, b"to": b"group:5", b"text": b"", b"body": b""}, "qq")
    with contextlib.suppress(SchemaError):
        decode_request(ENTRY, fields | {b"to": b"group:5"}, "qq")


@given(st.binary(max_size=200))
def test_a_garbled_body_ends_in_a_refusal_and_nothing_else(body: bytes) -> None:
    with contextlib.suppress(SchemaError):
        decode_request(ENTRY, {b"to": b"group:5", b"body": body}, "qq")


NOTHING_SPECIAL = st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.text(max_size=6)
ANYTHING = st.recursive(
    NOTHING_SPECIAL,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TEXT = {"type": "text", "data": {"text": "a"}}


@given(
    st.fixed_dictionaries(
        {"name": ANYTHING, "size": ANYTHING, "style": st.lists(ANYTHING, min_size=3, max_size=3)}
    ),
    st.fixed_dictionaries({"type": st.sampled_from(["text", "face", "image", "x"]), "data": ANYTHING}),
    st.sampled_from([msgpack.packb, lambda value: json.dumps(value).encode()]),
)
def test_any_font_and_any_segment_end_in_a_refusal_and_nothing_else(
    font: dict[str, Any], segment: dict[str, Any], pack: Any
) -> None:
    good = {"name": "a", "size": 10, "style": [0, 0, 1], "color": "000000"}
    for odd in (
        {"segments": [TEXT], "font": good | font},
        {"segments": [TEXT], "font": good | {"style": font["style"]}},
        {"segments": [segment]},
    ):
        with contextlib.suppress(SchemaError):
            decode_request(ENTRY, {b"to": b"group:5", b"body": pack(odd)}, "qq")


@pytest.mark.parametrize("depth", [100, 985, 990, 995, 1000, 5000])
def test_a_frame_with_a_body_of_any_depth_ends_in_a_refusal_and_nothing_else(depth: int) -> None:
    frame = b'{"to": "group:5", "body": ' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(SchemaError):
        decode_request(ENTRY, {b"__data__": frame}, "qq")


def test_a_result_has_the_fields_of_the_contract_in_order() -> None:
    result = SendResult(
        ENTRY, "a/1", "group:5", Status.SENT, "ok", attempts=1, sent=2, total=2, message_id="7"
    )
    flat = encode_result(result, "305419896", 7, 1445653507.25)
    assert dict(zip(flat[::2], flat[1::2], strict=True)) == {
        "v": "1",
        "id": "a/1",
        "entry": ENTRY,
        "time": "2015-10-24T02:25:07.250Z",
        "account": "305419896",
        "epoch": "7",
        "to": "group:5",
        "status": "sent",
        "code": "ok",
        "detail": "",
        "attempts": "1",
        "parts": "2/2",
        "message_id": "7",
        "replayed": "0",
    }
