"""Proof of adapter/codec/inbound.py."""

from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.codec.inbound import (
    EventRecord,
    RecordContext,
    encode_message,
    encode_notice,
    encode_session_event,
    pack,
    replace_surrogates,
    timestamp,
)
from adapter.content import At, Face, Font, Image, Segment, Text, Unknown
from adapter.events import (
    Address,
    ChatKind,
    ContactRef,
    Gap,
    Identity,
    Message,
    Notice,
    Participants,
    SessionChange,
    SessionState,
)

CHAT = Address(ChatKind.GROUP, "2419712345")
PLACE = Participants(
    CHAT,
    ContactRef("2419712345", "测试群", Identity.MATCHED),
    ContactRef("3680212345", "昵称", Identity.EXACT, card="名片", qq="987654321"),
)
ORIGIN = RecordContext("305419896", 7, 1445653510.5)


def a_message(*segments: Segment, message_id: str = "35693", time: float = 1445653507) -> Message:
    font = Font("宋体", 10, (0, 1, 0), "000000")
    return Message(
        CHAT, "3680212345", time, segments, message_id, font, upstream={"network": "smartqq", "seq": 295}
    )


def draft_of(*segments: Segment, **changes: Any) -> EventRecord:
    return encode_message(a_message(*segments, **changes), PLACE, ORIGIN, raw=False)


def test_a_key_stands_for_the_message_whatever_a_copy_holds() -> None:
    first = a_message(Text("hi"), Image(url="https://x/?rkey=1"), message_id="ROBOT1.0_a!!")
    ids = {
        encode_message(replace(first, key="0f3a", segments=segments), PLACE, ORIGIN, raw=False).id
        for segments in (first.segments, (Text("@bot hi"),))
    }
    (only,) = ids
    assert only.split(".")[3] == "0f3a"


def test_a_group_message_becomes_the_entry_of_the_contract() -> None:
    draft = draft_of(Text("hello 😀"), Face(14, "微笑"), Image("cface", name="A.jpg", file_id="2912345678"))
    assert draft[:-1] == (
        draft.id,
        "message.group",
        "2015-10-24T02:25:07.000Z",
        "group:2419712345",
        "3680212345",
        "0",
        "hello 😀[微笑][图片]",
    )
    assert draft.id.startswith("305419896.g2419712345.3680212345.35693.1445653507.")
    assert msgpack.unpackb(draft.body) == {
        "segments": [
            {"type": "text", "data": {"text": "hello 😀"}},
            {"type": "face", "data": {"id": 14, "name": "微笑"}},
            {"type": "image", "data": {"kind": "cface", "name": "A.jpg", "file_id": "2912345678"}},
        ],
        "font": {"name": "宋体", "size": 10, "style": [0, 1, 0], "color": "000000"},
        "chat": {"type": "group", "id": "2419712345", "name": "测试群", "identity": "matched"},
        "sender": {
            "id": "3680212345",
            "name": "昵称",
            "card": "名片",
            "qq": "987654321",
            "identity": "exact",
        },
        "message_id": "35693",
        "upstream": {"network": "smartqq", "seq": 295},
    }


def test_the_id_changes_with_content_time_and_number_and_with_nothing_else() -> None:
    same = draft_of(Text("a")).id
    assert same == draft_of(Text("a")).id
    others = [draft_of(Text("b")), draft_of(Text("a"), message_id="1"), draft_of(Text("a"), time=1445653508)]
    assert len({same, *(draft.id for draft in others)}) == 4


def test_the_id_leaves_out_what_differs_in_each_copy() -> None:
    one = draft_of(At("1", "小明"), Image(file="A.jpg", url="http://x/?rkey=1", size=5))
    other = draft_of(At("1"), Image(file="A.jpg", url="http://x/?rkey=2", size=5))
    assert one.id == other.id
    assert one.body != other.body
    assert one.id != draft_of(At("1"), Image(file="B.jpg", url="http://x/?rkey=1", size=5)).id


def test_a_request_has_its_own_type_and_the_speaker_a_role() -> None:
    sender = ContactRef("10010", "新人", Identity.EXACT, qq="10010", role="member", anonymous="大侠")
    notice = Notice("request.friend", "请求加为好友", sender="10010", time=1445653507, message_id=":7")
    draft = encode_notice(notice, Participants(None, None, sender), ORIGIN, raw=False)
    assert (draft.type, draft.chat, draft.sender) == ("request.friend", "", "10010")
    assert draft.id.startswith("305419896.-.10010.:7.1445653507.")
    assert msgpack.unpackb(draft.body)["sender"] == {
        "id": "10010",
        "name": "新人",
        "qq": "10010",
        "role": "member",
        "anonymous": "大侠",
        "identity": "exact",
    }


def test_an_unknown_segment_is_kept_and_said() -> None:
    draft = draft_of(Unknown(["video", {"x": 1}]))
    assert draft.text == "[未识别内容]"
    assert msgpack.unpackb(draft.body)["segments"][0]["data"]["raw"] == ["video", {"x": 1}]


def test_raw_stands_in_the_body_only_on_demand_and_in_unknown_notices() -> None:
    message = Message(CHAT, "1", 0, (Text("a"),), "1", raw={"k": "v"})
    assert "raw" not in msgpack.unpackb(encode_message(message, PLACE, ORIGIN, raw=False).body)
    assert msgpack.unpackb(encode_message(message, PLACE, ORIGIN, raw=True).body)["raw"] == {"k": "v"}
    other = Notice("other", "tips", raw={"k": "v"})
    assert msgpack.unpackb(encode_notice(other, Participants(), ORIGIN, raw=False).body)["raw"] == {"k": "v"}


def test_what_cannot_be_packed_leaves_nothing_behind_for_the_next() -> None:
    deep: object = "x"
    for _ in range(600):
        deep = [deep]
    for odd in ("\ud800", 2**70, deep, {"a": {1, 2}}):
        assert isinstance(msgpack.unpackb(pack({"before": 1, "odd": odd})), dict)
        assert msgpack.unpackb(pack({"k": "v"})) == {"k": "v"}


def test_two_equal_notices_without_a_time_are_two_events() -> None:
    notice = Notice("presence", "online", data={"status": "online"})
    first = encode_notice(notice, Participants(), ORIGIN, raw=False)
    second = encode_notice(notice, Participants(), ORIGIN._replace(ordinal=1), raw=False)
    assert first.id != second.id
    assert first.time == "2015-10-24T02:25:10.500Z"


def test_a_temporary_chat_says_through_what_it_came() -> None:
    chat = Address(ChatKind.TEMP, "5", CHAT)
    draft = encode_message(
        Message(chat, "5", 0, (Text("a"),), "1"), Participants(chat, ContactRef("5")), ORIGIN, raw=False
    )
    assert (draft.type, draft.chat) == ("message.temp", "temp:5@group:2419712345")
    assert msgpack.unpackb(draft.body)["chat"]["via"] == {"type": "group", "id": "2419712345"}


def test_session_events_tell_what_happened() -> None:
    online = encode_session_event(SessionChange(SessionState.ONLINE, "scan", nick="我"), ORIGIN)
    assert (online.type, online.text) == ("session.online", "session online – scan")
    gap = encode_session_event(Gap(0, 1.5, "kicked"), ORIGIN)
    assert msgpack.unpackb(gap.body) == {
        "since": "1970-01-01T00:00:00.000Z",
        "until": "1970-01-01T00:00:01.500Z",
        "reason": "kicked",
    }


@given(st.floats(allow_nan=True))
def test_every_number_becomes_a_time(seconds: float) -> None:
    assert len(timestamp(seconds)) == 24


@given(st.text(st.characters(codec=None, categories=None)))
def test_a_text_becomes_valid_utf8_and_keeps_its_length(text: str) -> None:
    assert len(replace_surrogates(text).encode().decode()) == len(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_json_can_say_can_be_packed(value: Any) -> None:
    msgpack.unpackb(pack(value))


def test_what_is_too_deep_or_too_large_or_no_unicode_is_tamed() -> None:
    deep: Any = "x"
    for _ in range(2000):
        deep = [deep]
    assert pack(deep)
    assert msgpack.unpackb(pack({"a": "\ud800", "b": 2**70})) == {"a": "\ufffd", "b": str(2**70)}


@pytest.mark.parametrize("own", [True, False])
def test_own_words_are_marked(own: bool) -> None:  # noqa: FBT001
    draft = encode_message(Message(CHAT, "1", 0, (Text("a"),), "1", from_self=own), PLACE, ORIGIN, raw=False)
    assert draft.from_self == ("1" if own else "0")
