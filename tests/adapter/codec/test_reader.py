"""Reading entries: typed values out of whatever stands on the bus, or a SchemaError, and nothing else."""

import contextlib
import random
import subprocess
import sys

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adapter
from adapter import (
    Face,
    Font,
    Image,
    ReceivedMessage,
    ReceivedNotice,
    ReceivedSession,
    SchemaError,
    Status,
    Text,
    Unknown,
    read_event,
    read_event_header,
    read_result,
    read_segment,
)
from adapter.codec.inbound import RecordContext, encode_message, encode_session_event
from adapter.codec.outbound import encode_result
from adapter.events import Address, ChatKind, ContactRef, Gap, Message, Participants, SendResult
from tests.support.bus_events import fields, mapping, message, notice

RESULT = encode_result(
    SendResult("5-0", "echo/1", "friend:3", Status.SENT, "ok", "", 1, 2, 2, "77", replayed=True),
    "10001",
    7,
    1.5,
)


def test_a_message_comes_back_as_the_adapter_wrote_it() -> None:
    pieces = (Text("hi"), Face(14, "微笑"), Image("cface", "a.jpg", key="k"), Unknown([1, "x"]))
    font = Font("宋体", 10, (1, 0, 1), "00ff00")
    chat = Address(ChatKind.TEMP, "4", Address(ChatKind.GROUP, "2"))
    said = Message(chat, "4", 1_445_653_507.25, pieces, "35693", font)
    place = Participants(chat, ContactRef("4", "chat"), ContactRef("4", "name", card="card", qq="10010"))
    draft = encode_message(said, place, RecordContext("10001", 1, 0.0), raw=False)
    event = read_event("9-1", mapping(fields(draft, 90412)))
    assert isinstance(event, ReceivedMessage)
    assert (event.entry, event.id, event.type, event.time) == (
        "9-1",
        draft.id,
        "message.temp",
        1_445_653_507.25,
    )
    assert (event.account, event.epoch, event.seq) == ("10001", 1, 90412)
    assert (event.chat, event.sender, event.own) == ("temp:4@group:2", "4", False)
    assert event.text == "hi[微笑][图片][未识别内容]"
    assert (event.segments, event.font, event.message_id) == (pieces, font, "35693")
    assert (event.chat_name, event.sender_name, event.sender_qq) == ("chat", "card", "10010")


def test_notices_and_session_events_have_their_own_types() -> None:
    told = read_event("1-0", mapping(fields(notice("shake"))))
    assert isinstance(told, ReceivedNotice)
    assert (told.type, told.chat, told.data) == ("notice.shake", "friend:3", {})
    gap = encode_session_event(Gap(1.0, 2.0, "relink"), RecordContext("10001", 1, 3.0))
    lost = read_event("1-0", mapping(fields(gap)))
    assert isinstance(lost, ReceivedSession)
    assert (lost.type, lost.reason, lost.chat) == ("session.gap", "relink", "")


def test_unknown_fields_types_and_map_keys_are_passed_over() -> None:
    values = mapping(fields(message()))
    body = msgpack.unpackb(values[b"body"])
    body["segments"].append({"type": "hologram", "data": {"url": "x"}})
    body |= {"more": {"deep": [1]}, "font": {"odd": 1}, "sender": [], 7: 8}
    values |= {b"body": msgpack.packb(body), b"type": b"weather.rain", b"later": b"\xff"}
    event = read_event("1-0", values)
    assert (type(event), event.type, event.sender_name) == (adapter.Received, "weather.rain", "")
    values[b"type"] = b"message.newkind"
    event = read_event("1-0", values)
    assert isinstance(event, ReceivedMessage)
    assert event.segments == (Text("hello"), Unknown({"type": "hologram", "data": {"url": "x"}}))
    assert event.font is None


def test_a_result_comes_back_as_the_adapter_wrote_it() -> None:
    result = read_result(mapping(RESULT))
    assert (result.id, result.entry, result.to) == ("echo/1", "5-0", "friend:3")
    assert (result.status, result.code, result.attempts) == (Status.SENT, "ok", 1)
    assert (result.sent, result.total, result.message_id, result.replayed) == (2, 2, "77", True)
    newer = read_result(mapping(RESULT) | {b"status": b"postponed", b"new": b"1"})
    assert newer.status == "postponed"


@pytest.mark.parametrize(
    "name", ["v", "id", "type", "time", "account", "epoch", "seq", "chat", "text", "body"]
)
def test_a_missing_field_is_named(name: str) -> None:
    values = mapping(fields(message()))
    del values[name.encode()]
    with pytest.raises(SchemaError, match=f"field {name} is missing"):
        read_event("1-0", values)


def test_a_skimmed_event_is_the_same_and_says_that_its_body_is_broken_only_when_asked() -> None:
    values = mapping(fields(message()))
    assert read_event_header("1-0", values) == read_event("1-0", values)
    assert read_event_header("1-0", values).body == msgpack.unpackb(values[b"body"])
    values[b"body"] = b"\xc1"
    event = read_event_header("1-0", values)
    assert event.text == "hello"
    with pytest.raises(SchemaError, match="cannot be unpacked"):
        _ = event.body
    with pytest.raises(SchemaError, match="cannot be unpacked"):
        read_event("1-0", values)


def test_another_version_of_the_contract_is_not_guessed_at() -> None:
    with pytest.raises(SchemaError, match="older than the adapter"):
        read_event("1-0", mapping(fields(message())) | {b"v": b"2"})


def test_mutated_entries_give_an_event_or_a_schema_error_and_nothing_else() -> None:
    dice, readable = random.Random(1), 0
    sample = mapping(fields(message((Text("a"), Face(1, "x")))))
    for _ in range(4_000):
        values = dict(sample)
        for _ in range(dice.randrange(1, 4)):
            name = dice.choice(list(values))
            data = bytearray(values[name])
            for _ in range(dice.randrange(1, 4)):
                place = dice.randrange(len(data) + 1)
                data[place : place + dice.randrange(2)] = bytes([dice.randrange(256)])
            values[name] = bytes(data)
        try:
            event = read_event("1-0", values)
        except SchemaError:
            continue
        readable += 1
        _ = event.sender_name, event.chat_name, event.message_id
        if isinstance(event, ReceivedMessage):
            _ = event.segments, event.font
    assert readable > 100


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_any_bytes_as_a_body_or_as_parts_are_read_or_refused(data: bytes) -> None:
    for read in (
        lambda: read_event("1-0", mapping(fields(message())) | {b"body": data}),
        lambda: read_result(mapping(RESULT) | {b"parts": data}),
    ):
        with contextlib.suppress(SchemaError):
            read()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_value_as_a_segment_is_kept(value: object) -> None:
    assert read_segment(value) == Unknown(value)


def test_importing_the_public_names_brings_neither_redis_nor_httpx() -> None:
    code = "import adapter, sys; print(*{'redis', 'httpx', 'anyio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_public_name_exists() -> None:
    assert [name for name in adapter.__all__ if not hasattr(adapter, name)] == []
