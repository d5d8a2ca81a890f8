"""Proof of events: what clients ask for is there, on every kind of chat."""

import json
from typing import Any

import msgpack
import pytest

from adapter import Image, Received, Reply, Text, read_event
from consumers.onebot.events import quoted_ids, to_event
from consumers.onebot.numbers import entry_number
from tests.support.bus_events import fields, mapping, message

ENTRY = "1793000000123-7"
# Measured: a client drops a message without one of these, or its process ends.
DEMANDED = (
    *("time", "self_id", "post_type", "message_type", "sub_type", "message_id", "user_id", "message"),
    *("raw_message", "font", "sender"),
)


def received(*parts: Any, chat: str = "group:2", sender: str = "3", own: bool = False) -> Received:
    return read_event(ENTRY, mapping(fields(message(parts, chat, sender, own=own))))


def other(kind: str, data: dict[str, object], chat: str = "group:2", sender: str = "3") -> Received:
    row = mapping(fields(message("", chat, sender)))
    row |= {b"type": kind.encode(), b"body": msgpack.packb({"data": data, "message_id": ""})}
    return read_event(ENTRY, row)


@pytest.mark.parametrize(
    ("chat", "kind", "sub_type"),
    [
        ("friend:3", "private", "friend"),
        ("temp:3@group:9", "private", "group"),
        ("group:2", "group", "normal"),
        ("discuss:2", "group", "normal"),
    ],
)
def test_a_message_has_every_key_that_clients_demand(chat: str, kind: str, sub_type: str) -> None:
    event = to_event(received(Text("a [b]"), Image(file="x.jpg"), chat=chat), {})
    assert event is not None
    assert set(DEMANDED) <= set(event)
    assert (event["message_type"], event["sub_type"]) == (kind, sub_type)
    assert event["message_id"] == entry_number(ENTRY)
    assert event["raw_message"] == "a &#91;b&#93;[CQ:image,file=x.jpg]"
    assert event["sender"]["user_id"] == event["user_id"] == 3
    assert event["sender"]["nickname"] == "the sender"
    assert (event["sender"].get("group_id") == 9) is chat.startswith("temp:")
    assert (event.get("group_id") == 2) is (kind == "group")
    json.dumps(event)


def test_a_message_is_segments_or_a_cq_string() -> None:
    said = received(Text("x"), Reply("55"))
    assert quoted_ids(said) == ["55"]
    event = to_event(said, {"55": 99}, as_text=True)
    assert event is not None
    assert event["message"] == event["raw_message"] == "x[CQ:reply,id=99]"
    again = to_event(said, {})
    assert again is not None
    assert again["message"][1] == {"type": "reply", "data": {"id": "55"}}


def test_own_messages_have_the_number_that_the_answer_had() -> None:
    row = mapping(fields(message("x", "friend:3", "10001", own=True)))
    body = msgpack.unpackb(row[b"body"]) | {"entry": "1793000000000-1"}
    event = to_event(read_event(ENTRY, row | {b"body": msgpack.packb(body)}), {})
    assert event is not None
    assert event["post_type"] == "message_sent"
    assert event["message_id"] == entry_number("1793000000000-1", was_sent=True)
    assert event["target_id"] == 3


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (
            "notice.recall",
            {"user_id": "5", "operator_id": "3", "message_id": "77"},
            {"notice_type": "group_recall", "user_id": 5, "operator_id": 3, "message_id": 88},
        ),
        (
            "notice.member",
            {"sub_type": "invite", "user_id": "5"},
            {"notice_type": "group_increase", "sub_type": "invite", "user_id": 5, "operator_id": 3},
        ),
        (
            "notice.member",
            {"sub_type": "kick", "user_id": "5"},
            {"notice_type": "group_decrease", "sub_type": "kick"},
        ),
        (
            "notice.mute",
            {"user_id": "", "duration": -1, "sub_type": "ban"},
            {"notice_type": "group_ban", "user_id": 0, "duration": -1},
        ),
        ("notice.admin", {"sub_type": "set", "user_id": "5"}, {"notice_type": "group_admin", "user_id": 5}),
        ("notice.card", {"user_id": "5", "card_new": "n", "card_old": "o"}, {"card_new": "n"}),
        (
            "notice.essence",
            {"sub_type": "add", "message_id": "77"},
            {"notice_type": "essence", "message_id": 88},
        ),
        (
            "notice.reaction",
            {"message_id": "77", "likes": [{"emoji_id": "1", "count": 2}]},
            {"message_id": 88},
        ),
        ("notice.poke", {"user_id": "3", "target_id": "9"}, {"notice_type": "notify", "sub_type": "poke"}),
        ("notice.typing", {"user_id": "3", "status_text": "…"}, {"sub_type": "input_status"}),
        ("notice.friend", {"user_id": "5"}, {"notice_type": "friend_add", "user_id": 5}),
        (
            "notice.file",
            {"file": {"id": "/a", "name": "n", "size": 3, "busid": 1}},
            {"notice_type": "group_upload", "file": {"id": "/a", "name": "n", "size": 3, "busid": 1}},
        ),
        (
            "request.group",
            {"sub_type": "invite", "user_id": "5", "comment": "c"},
            {"request_type": "group", "sub_type": "invite", "user_id": 5, "comment": "c", "group_id": 2},
        ),
        ("request.friend", {"user_id": "5", "comment": "c"}, {"request_type": "friend", "user_id": 5}),
    ],
)
def test_notices_and_requests_have_their_names(
    kind: str, data: dict[str, object], expected: dict[str, object]
) -> None:
    event = to_event(other(kind, data), {"77": 88})
    assert event is not None
    assert expected.items() <= event.items()
    assert event["self_id"] == 10001


def test_the_flag_of_a_request_is_the_event_and_a_friend_recalls_privately() -> None:
    asked = other("request.friend", {"user_id": "5"})
    event = to_event(asked, {})
    assert event is not None
    assert event["flag"] == asked.id
    recalled = to_event(other("notice.recall", {"user_id": "3", "message_id": "7"}, "friend:3"), {})
    assert recalled is not None
    assert (recalled["notice_type"], recalled["message_id"]) == ("friend_recall", 7)


@pytest.mark.parametrize(
    "kind", ["notice.presence", "notice.other", "session.gap", "future.thing", "message.new"]
)
def test_what_onebot_has_no_name_for_is_not_passed_on(kind: str) -> None:
    chat = "odd" if kind == "message.new" else "group:2"
    row = mapping(fields(message("x"))) | {b"type": kind.encode(), b"chat": chat.encode()}
    assert to_event(read_event(ENTRY, row), {}) is None
