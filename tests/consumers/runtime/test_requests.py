"""Proof of consumers/runtime/requests.py: fields, and the checks that the adapter would make."""

from datetime import timedelta
from typing import Any

import msgpack
import pytest

from adapter import decode_request
from adapter.content import At, Image, Text
from consumers.runtime.requests import DEFAULT_LIMITS, ContentError, Request, request_id
from tests.support.bus_events import mapping

EVENT = "10001.g2.3.5.1445653507.abcd"


def test_a_request_of_segments_reads_as_it_was_written() -> None:
    segments = (At("3"), Text(" look"), Image(url="https://example.org/a.png"))
    request = Request("group:2", list(segments), "app/1")
    request.check()
    assert decode_request("1-0", mapping(request.fields()), "qq").segments == segments


@pytest.mark.parametrize(
    ("request_", "values"),
    [
        (Request("group:2", "", "a/1", op="recall", message_id="-7"), {"op": "recall", "message_id": "-7"}),
        (
            Request("", "ok", "a/1", op="approve", event=EVENT),
            {"op": "approve", "event": EVENT, "text": "ok"},
        ),
        (Request("", "", "a/1", op="deny", event=EVENT), {"op": "deny", "event": EVENT}),
    ],
)
def test_operations_bear_the_fields_of_the_contract(request_: Request, values: dict[str, str]) -> None:
    request_.check()
    found = {name.decode(): value.decode() for name, value in mapping(request_.fields()).items()}
    assert found == {"id": "a/1", **values} | ({"to": request_.to} if request_.to else {})


def test_a_call_is_a_body_of_action_and_params() -> None:
    request = Request("", "", "a/1", op="call", action="get_status", params={"x": 1})
    request.check()
    values = mapping(request.fields())
    assert values[b"op"] == b"call"
    assert msgpack.unpackb(values[b"body"]) == {"action": "get_status", "params": {"x": 1}}


@pytest.mark.parametrize("content", [5, None, b"x", object(), ["a"], (Text("a"), "b"), {"a": 1}, 1.5])
def test_content_of_another_type_is_refused_by_its_name(content: Any) -> None:
    with pytest.raises(TypeError, match="content is text or segments, not"):
        Request("group:2", content, "a/1").check()


def test_a_segment_alone_and_an_address_that_is_no_text_are_named() -> None:
    content: Any = Text("a")
    with pytest.raises(TypeError, match="put this Text into a list"):
        Request("group:2", content, "a/1").check()
    to: Any = 10001
    with pytest.raises(TypeError, match="to is an address such as 'group:1', not int"):
        Request(to, "x", "a/1").check()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"content": ""}, "content.empty"),
        ({"content": " \n"}, "content.empty"),
        ({"content": ()}, "content.empty"),
        ({"content": (Text(" "),)}, "content.empty"),
        ({"content": "中" * 12_001}, "content.toolong"),
        ({"to": "gruop:1"}, "schema.invalid"),
        ({"to": ""}, "schema.invalid"),
        ({"id": "a b"}, "schema.invalid"),
        ({"expires": "tomorrow"}, "schema.invalid"),
        ({"priority": "urgent"}, "schema.invalid"),
        ({"op": "shout"}, "schema.invalid"),
        ({"op": "recall"}, "schema.invalid"),
        ({"op": "approve", "event": "x"}, "schema.invalid"),
    ],
)
def test_what_the_adapter_would_reject_is_refused_with_its_code(changes: dict[str, Any], code: str) -> None:
    values: dict[str, Any] = {"to": "group:2", "content": "x", "id": "a/1"}
    with pytest.raises(ContentError) as refused:
        Request(**values | changes).check(DEFAULT_LIMITS)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "changes",
    [
        {"to": f"reply:{EVENT}"},
        {"content": "a\nb"},
        {"priority": "high"},
        {"expires": 60},
        {"at": timedelta(minutes=1), "expires": timedelta(hours=1)},
        {"content": "\ud800"},
    ],
)
def test_what_the_adapter_takes_passes(changes: dict[str, Any]) -> None:
    values: dict[str, Any] = {"to": "group:2", "content": "x", "id": "a/1"}
    request = Request(**values | changes)
    request.check(DEFAULT_LIMITS)
    decode_request("1-0", mapping(request.fields()), "qq")


def test_an_id_that_the_contract_would_refuse_becomes_a_digest_of_the_same_length_for_ever() -> None:
    assert request_id("app", "a.b", 1) == "app/a.b"
    for event in ("x" * 200, "has blank", "中"):
        ident = request_id("a" * 40, event, 12)
        assert len(ident) <= 128
        assert ident.isascii()
        assert ident == request_id("a" * 40, event, 12) != request_id("a" * 40, event + "!", 12)
