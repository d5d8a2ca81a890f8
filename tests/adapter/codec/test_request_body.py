"""What a request asks for: content within the limits of its network, and operations."""

import json
from typing import Any

import msgpack
import pytest

from adapter.codec.outbound import decode_request
from adapter.codec.request_body import DEFAULT_LIMITS, OPERATIONS, RequestLimits
from adapter.content import Image, Text
from adapter.errors import SchemaError
from adapter.events import Address, AnswerRequest, CallAction, ChatKind, EventRef, Recall, SendRequest

GROUP = Address(ChatKind.GROUP, "5")
JOIN = "20001.g5.10010.add:7.1790000000.5c2e"
FRIEND = "20001.-.10010.:7.1790000000.5c2e"


def read(limits: RequestLimits = DEFAULT_LIMITS, **fields: Any) -> SendRequest:
    values = {
        name.encode(): value if isinstance(value, bytes) else value.encode() for name, value in fields.items()
    }
    return decode_request("1790000000000-0", values, "qq", limits)


@pytest.mark.parametrize("op", ["", "send"])
def test_a_request_without_an_operation_is_a_message(op: str) -> None:
    request = read(to="group:5", text="hi", op=op)
    assert (request.operation, request.chat, request.answers) == (None, "group:5", "")


def test_a_recall_names_a_message_and_its_chat() -> None:
    request = read(op="recall", to="group:5", message_id="-5")
    assert (request.operation, request.to, request.segments) == (Recall("-5"), GROUP, ())


def test_an_answer_names_the_event_of_its_request() -> None:
    join = read(op="approve", event=JOIN, text="welcome")
    ref = EventRef(JOIN, GROUP, "10010", "add:7", 1_790_000_000.0)
    assert (join.operation, join.to) == (AnswerRequest(ref, is_approved=True, text="welcome"), GROUP)
    friend = read(op="deny", event=FRIEND)
    ref = EventRef(FRIEND, None, "10010", ":7", 1_790_000_000.0)
    assert (friend.operation, friend.to) == (AnswerRequest(ref, is_approved=False), None)
    assert friend.chat == "entry:1790000000000-0"


@pytest.mark.parametrize("pack", [msgpack.packb, lambda value: json.dumps(value).encode()])
def test_a_call_has_a_name_and_parameters(pack: Any) -> None:
    call = read(op="call", body=pack({"action": "get_msg", "params": {"message_id": 5}}))
    assert call.operation == CallAction("get_msg", {"message_id": 5})
    assert read(op="call", body=pack({"action": "get_status"})).operation == CallAction("get_status")


def test_what_is_answered_is_the_event_that_is_replied_to_or_the_cause() -> None:
    event = "20001.g5.10002.-9.1790000000.5c2e"
    assert read(to=f"reply:{event}", text="hi", cause="other").answers == event
    assert read(to="group:5", text="hi", cause=event).answers == event


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"op": "shout", "to": "group:5"}, f"op is not one of {', '.join(OPERATIONS)}"),
        ({"op": "recall", "to": "group:5"}, "message_id is missing"),
        ({"op": "recall", "message_id": "5"}, "to is missing"),
        ({"op": "approve"}, "event is missing"),
        ({"op": "approve", "event": "20001.-.session.7.1"}, "is not the id of a message, notice or request"),
        ({"op": "call"}, "body is neither"),
        ({"op": "call", "body": msgpack.packb([])}, "body is not a map"),
        ({"op": "call", "body": b'{"params": {}}'}, "body is not {action, params}"),
        ({"op": "call", "body": b'{"action": "x", "params": []}'}, "body is not {action, params}"),
        ({"op": "call", "body": b'{"action": ""}'}, "body is not {action, params}"),
        ({"op": "send", "text": "hi"}, "to is missing"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(SchemaError) as caught:
        read(**fields)
    assert words in str(caught.value)


def test_limits_are_those_of_the_network() -> None:
    large = RequestLimits(body_bytes=2_000_000, content_bytes=50_000)
    picture = {"type": "image", "data": {"file": "base64://" + "A" * 1_000_000}}
    body = json.dumps({"segments": [picture, {"type": "text", "data": {"text": "x" * 40_000}}]}).encode()
    request = read(large, to="group:5", body=body)
    assert request.segments == (Image(file=picture["data"]["file"]), Text("x" * 40_000))  # type: ignore[index]
    for limits in (DEFAULT_LIMITS, RequestLimits(body_bytes=2_000_000, content_bytes=30_000)):
        with pytest.raises(SchemaError) as caught:
            read(limits, to="group:5", body=body)
        assert caught.value.code == "content.toolong"
