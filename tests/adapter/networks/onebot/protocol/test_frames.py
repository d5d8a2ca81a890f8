"""Frames: what the connection must see at once, and what any frame becomes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import ProtocolError
from adapter.events import Message, Notice, SessionChange, SessionState
from adapter.networks.onebot.protocol.frames import (
    Heartbeat,
    decode_event,
    decode_frame,
    decode_heartbeat,
    decode_offline,
    frame_time,
    is_answer,
    is_meta_event,
    is_urgent,
    parse_frame,
)
from tests.onebot_server import OneBotServer

pytestmark = pytest.mark.anyio


def packed(value: object) -> bytes:
    return json.dumps(value).encode()


async def test_answers_heartbeats_and_the_end_of_the_session_are_urgent() -> None:
    server = OneBotServer("napcat")
    assert is_urgent(packed({"status": "ok", "retcode": 0, "echo": "1"}))
    assert is_urgent(packed({"post_type": "meta_event"}))
    assert is_urgent(packed(server.notice("bot_offline")["event"]))
    assert not is_urgent(packed(server.say("friend:10001", '"retcode" "meta_event" "bot_offline"')["event"]))


def test_a_heartbeat_says_whether_qq_is_online() -> None:
    beat = {"post_type": "meta_event", "meta_event_type": "heartbeat", "interval": 30_000}
    assert decode_heartbeat(beat | {"status": {"online": True, "good": True}}) == Heartbeat(
        is_online=True, interval=30.0
    )
    assert decode_heartbeat(beat | {"status": {"online": None}, "interval": "5000"}) == Heartbeat(None, 5.0)
    assert decode_heartbeat(beat | {"status": None, "interval": -5}) == Heartbeat(None, 0.0)
    assert decode_heartbeat({"post_type": "meta_event", "meta_event_type": "lifecycle"}) is None
    assert is_meta_event(beat)
    assert not is_answer(beat)
    assert is_answer({"retcode": 1403, "echo": None})


async def test_the_end_of_the_session_bears_qqs_own_words() -> None:
    server = OneBotServer("napcat")
    event = server.notice("bot_offline", tag="下线通知", message="已在另一台终端登录")["event"]
    assert decode_offline(event) == SessionChange(
        SessionState.KICKED, "kicked", "下线通知：已在另一台终端登录"
    )
    assert decode_offline({"post_type": "notice", "notice_type": "friend_add"}) is None
    assert decode_offline({"notice_type": ["x"], "post_type": "notice"}) is None


@pytest.mark.parametrize("frame", [b"", b"{", b"5", b"[]", b'{"a":', b"\xff{}", b"[" * 100_000, b"1" * 5_000])
def test_a_frame_that_is_no_object_becomes_an_event_about_it(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_frame(frame)
    event = decode_frame(frame, 0.0)
    assert isinstance(event, Notice)
    assert event.kind == "other"
    assert event.data["reason"]
    assert len(str(event.raw)) < 5_000


@pytest.mark.parametrize(
    ("frame", "value"),
    [
        (b'{"a": "\\ud800"}', "\ud800"),
        (b'\xef\xbb\xbf{"a": 1}', 1),
        (b'{"a": -Infinity}', float("-inf")),
        (b'{"a": 1e400}', float("inf")),
        (b'{"a": 123456789012345678901234567890}', 123456789012345678901234567890),
    ],
    ids=["half a surrogate", "byte order mark", "infinity", "large float", "large integer"],
)
def test_what_python_takes_for_json_is_read(frame: bytes, value: object) -> None:
    assert parse_frame(frame) == {"a": value}


def test_a_message_that_makes_no_sense_becomes_an_event_with_its_reason() -> None:
    frame = {"post_type": "message", "message_type": "group", "time": 1_790_000_000}
    event = decode_frame(packed(frame), 0.0)
    assert isinstance(event, Notice)
    assert (event.kind, event.raw, event.time) == ("other", frame, 1_790_000_000.0)
    assert "without a chat" in str(event.data["reason"])
    assert isinstance(decode_event({"post_type": ["message"]}, 0.0), Notice)


async def test_an_event_is_decoded_with_and_without_its_raw_form() -> None:
    server = OneBotServer("napcat")
    said = server.say("friend:10001", "hi", time=1_790_000_000)["event"]
    message = decode_frame(packed(said), 0.0, keep_raw=True)
    assert isinstance(message, Message)
    assert message.raw == said
    assert frame_time(said) == 1_790_000_000.0


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(
    [
        *(
            "post_type",
            "message_type",
            "sub_type",
            "notice_type",
            "request_type",
            "time",
            "self_id",
            "user_id",
        ),
        *(
            "group_id",
            "operator_id",
            "message_id",
            "message",
            "raw_message",
            "sender",
            "anonymous",
            "flag",
            "file",
        ),
        *("comment", "duration", "status", "target_id"),
    ]
)
_KINDS = st.sampled_from(
    ["message", "notice", "request", "group", "private", "notify", "poke", "group_ban", "friend"]
)


@given(st.dictionaries(_NAMES, _KINDS | _JSON))
def test_any_object_becomes_an_event(frame: dict[str, Any]) -> None:
    assert isinstance(decode_event(frame, 1.0), Message | Notice)
    decode_heartbeat(frame)
    decode_offline(frame)
