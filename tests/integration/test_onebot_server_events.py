"""The OneBot server: messages, notices and requests in the shapes of each dialect."""

from typing import Any

import pytest

from tests.onebot_server import DIALECTS, ControlError, OneBotServer
from tests.onebot_server.messages import message_id
from tests.onebot_server.notices import KINDS
from tests.onebot_server.segments import decode, encode
from tests.support.onebot_client import onebot_client

pytestmark = pytest.mark.anyio

ALL = tuple(DIALECTS)


@pytest.mark.parametrize("dialect", ALL)
async def test_a_group_message_has_all_fields_that_clients_need(dialect: str) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        server.say("group:30001", message="hi [CQ:at,qq=20001] &#91;x&#93;", sender=10002)
        event = await client.event()
        assert {"time", "self_id", "message_id", "raw_message", "font", "sub_type"} <= event.keys()
        assert (event["post_type"], event["message_type"]) == ("message", "group")
        assert (event["group_id"], event["user_id"], event["sub_type"]) == (30001, 10002, "normal")
        assert (event["sender"]["card"], event["sender"]["role"]) == ("爱丽丝", "admin")
        assert event["raw_message"] == "hi [CQ:at,qq=20001] &#91;x&#93;"
        segments = decode(event["message"]) if dialect == "go-cqhttp" else event["message"]
        assert segments[1] == {"type": "at", "data": {"qq": "20001"}}
        assert ("group_name" in event) == (dialect in {"napcat", "llbot"})


@pytest.mark.parametrize(
    ("dialect", "top", "inner"),
    [("napcat", 30001, None), ("llbot", None, 30001), ("snowluma", None, None), ("go-cqhttp", None, 30001)],
)
async def test_the_group_of_a_temporary_session_stands_where_the_dialect_puts_it(
    dialect: str, top: int | None, inner: int | None
) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        server.say("temp:10009@group:30001", "psst")
        event = await client.event()
        assert (event["message_type"], event["sub_type"]) == ("private", "group")
        assert (event.get("group_id"), event["sender"].get("group_id")) == (top, inner)


async def test_napcat_names_a_placeholder_for_an_unknown_group() -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        server.say("temp:10009@group:0", "psst")
        assert (await client.event())["group_id"] == 284840486


@pytest.mark.parametrize("dialect", ALL)
async def test_sequence_numbers_rise_by_one_in_each_chat(dialect: str) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        events = []
        for chat in ("group:30001", "group:30002", "group:30001"):
            server.say(chat, "x")
            events.append(await client.event())
        if dialect == "napcat":
            assert [one["real_seq"] for one in events] == ["1", "1", "2"]
            assert all(one["message_seq"] == one["message_id"] for one in events)
        else:
            assert [one["message_seq"] for one in events] == [1, 1, 2]


def test_message_ids_have_the_ranges_of_their_kind() -> None:
    ids = {
        kind: [message_id(kind, str(n), n) for n in range(200)] for kind in ("hash31", "signed32", "wide37")
    }
    assert all(0 < one < 2**31 for one in ids["hash31"])
    assert all(-(2**31) <= one < 2**31 for one in ids["signed32"])
    assert min(ids["signed32"]) < 0 < max(ids["signed32"])
    assert all(2**32 < one < 2**37 for one in ids["wide37"])
    assert all(len(set(found)) == 200 for found in ids.values())


async def test_ids_can_be_chosen() -> None:
    async with OneBotServer("llbot") as server, onebot_client(server.url) as client:
        server.do.ids([-2147483648, 5])
        for wanted in (-2147483648, 5):
            server.say("friend:10001", "x")
            assert (await client.event())["message_id"] == wanted
        answer = await client.call("get_msg", message_id="-2147483648")
        assert answer["raw_message"] == "x"


@pytest.mark.parametrize(
    ("values", "qq", "face"),
    [("native", "20001", "14"), ("int", 20001, 14), ("str", "20001", "14")],
)
async def test_values_of_segments_are_of_the_wanted_type(values: str, qq: Any, face: Any) -> None:
    async with OneBotServer("llbot", segment_values=values) as server, onebot_client(server.url) as client:
        server.say(
            "group:30001",
            message=[{"type": "at", "data": {"qq": "20001"}}, {"type": "face", "data": {"id": "14"}}],
        )
        message = (await client.event())["message"]
        assert [message[0]["data"]["qq"], message[1]["data"]["id"]] == [qq, face]


async def test_segments_may_hold_nulls_and_objects() -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        server.say("friend:10001", message="[CQ:face,id=14]")
        data = (await client.event())["message"][0]["data"]
        assert isinstance(data["raw"], dict)
        assert data["resultId"] is None
        server.do.options(segment_values="null")
        server.say("friend:10001", message="[CQ:shake]")
        assert (await client.event())["message"][0]["data"] == {"name": None, "summary": None}


async def test_the_cq_string_format_can_be_chosen_anywhere() -> None:
    async with OneBotServer("napcat", message_format="string") as server, onebot_client(server.url) as client:
        server.say(
            "friend:10001",
            message=[{"type": "image", "data": {"size": 100}}, {"type": "text", "data": {"text": "a,b[c]&"}}],
        )
        event = await client.event()
        assert event["message_format"] == "string"
        assert event["message"].endswith("]a,b&#91;c&#93;&amp;")
        assert event["message"].startswith("[CQ:image,file=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "&amp;#91;",
        "[CQ:face,id=1][CQ:at,qq=all] x",
        "[CQ:image,file=a&#44;b&#91;&#93;&amp;=c]",
        "[CQ:open",
    ],
)
def test_cq_strings_survive_decoding_and_encoding(text: str) -> None:
    assert decode(encode(decode(text))) == decode(text)
    if text != "[CQ:open":
        assert encode(decode(text)) == text


async def test_llbot_reports_no_message_without_segments() -> None:
    async with OneBotServer("llbot") as server, onebot_client(server.url) as client:
        assert server.say("friend:10001", "")["n"] == 0
        await client.nothing()


async def test_own_messages_come_back_if_that_is_switched_on() -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        await client.call("send_private_msg", user_id=10001, message="quiet")
        await client.nothing()
        server.do.options(report_self=True)
        sent = await client.call("send_private_msg", user_id=10001, message="loud")
        event = await client.event()
        assert (event["post_type"], event["message_id"]) == ("message_sent", sent["message_id"])
        assert (event["user_id"], event["target_id"]) == (20001, 10001)
        server.say("friend:10001", "typed on the phone", sender=20001)
        assert (await client.event())["post_type"] == "message_sent"


async def test_time_may_be_in_milliseconds() -> None:
    async with OneBotServer(milliseconds=True) as server, onebot_client(server.url) as client:
        server.say("friend:10001", "x")
        assert (await client.event())["time"] > 10**12


FIELDS: dict[str, dict[str, Any]] = {
    "group_increase": {"group": 30001, "user": 10003},
    "group_decrease": {"group": 30001, "user": 10002, "sub_type": "kick", "operator": 10001},
    "group_dismiss": {"group": 30002},
    "group_admin": {"group": 30001, "user": 10009},
    "group_ban": {"group": 30001, "user": 0, "duration": -1},
    "group_card": {"group": 30001, "user": 10009, "card": "新"},
    "title": {"group": 30001, "user": 10009, "title": "大王"},
    "group_name": {"group": 30001, "user": 10001, "name": "新茶馆"},
    "group_upload": {"group": 30001, "user": 10001},
    "honor": {"group": 30001, "user": 10001},
    "lucky_king": {"group": 30001, "user": 10001, "target": 10002},
    "recall": {},
    "essence": {"operator": 10001},
    "reaction": {"user": 10001},
    "poke": {"user": 10001},
    "poke_recall": {"user": 10001},
    "gray_tip": {"group": 30001, "user": 10001},
    "friend_add": {"user": 10010},
    "input_status": {"user": 10001},
    "profile_like": {"user": 10001},
    "offline_file": {"user": 10001},
    "client_status": {},
    "flash_file": {"user": 10001},
    "bot_offline": {},
    "friend_request": {"user": 10010},
    "group_request": {"group": 30001, "user": 10010},
}


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_every_kind_of_notice_and_request_reaches_a_client(kind: str) -> None:
    async with OneBotServer() as server, onebot_client(server.url) as client:
        fields = dict(FIELDS[kind])
        if kind in {"recall", "essence", "reaction"}:
            said = server.say("group:30001", "x")
            fields["message_id"] = (await client.event())["message_id"]
            assert fields["message_id"] == said["event"]["message_id"]
        done = server.notice(kind, **fields)
        event = await client.event()
        assert event == done["event"]
        assert event["post_type"] in {"notice", "request"}
        assert event.keys() >= {"time", "self_id"}


@pytest.mark.parametrize(("dialect", "user"), [("napcat", 20001), ("llbot", 10001)])
async def test_a_recalled_private_message_names_its_sender_in_napcat(dialect: str, user: int) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        sent = await client.call("send_private_msg", user_id=10001, message="x")
        await client.call("delete_msg", message_id=sent["message_id"])
        event = await client.event()
        assert (event["notice_type"], event["user_id"]) == ("friend_recall", user)


async def test_an_event_may_come_several_times() -> None:
    async with OneBotServer() as server, onebot_client(server.url) as client:
        server.notice("friend_request", user=10010, copies=3)
        events = [await client.event() for _ in range(3)]
        assert events[0] == events[1] == events[2]


async def test_a_flood_differs_in_ids_and_texts() -> None:
    for dialect in ALL:
        async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
            await server.wait_connections(1)
            done = server.people.flood("group:30001", 2_000, "flood")
            events = [await client.event() for _ in range(2_000)]
            assert len({one["message_id"] for one in events}) == 2_000
            assert [one["raw_message"] for one in events] == [f"flood {n}" for n in range(2_000)]
            entry = server.record.events.entries[done["n"] - 1]
            assert (entry.event["count"], entry.written) == (2_000, [1])


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (lambda one: one.say("friend:5", "x"), "no friend 5"),
        (lambda one: one.say("group:5", "x"), "no group 5"),
        (lambda one: one.say("group:30001", "x", sender=5), "no member"),
        (lambda one: one.say("who", "x"), "not a chat"),
        (lambda one: one.say("friend:10001"), "either text or message"),
        (lambda one: one.notice("nonsense"), "kind must be one of"),
        (lambda one: one.notice("poke"), "missing 1 required"),
        (lambda one: one.notice("recall", message_id=1), "no message 1"),
        (lambda one: one.do.options(nonsense=1), "no such option"),
        (lambda one: one.do.options(heartbeat_ms="x"), "must be of type int"),
        (lambda one: one.do.options(dialect="llbot"), "at the start alone"),
        (lambda one: one.do.answer("x", [{"cut": 1}]), "a fault has no cut"),
        (lambda one: one.do.answer("x", [{"reply": "late"}]), "reply must be one of"),
        (lambda one: one.do.mute("x"), "state is lost"),
        (lambda one: one.do.reset(9), "no connection 9"),
    ],
)
async def test_mistakes_are_named(do: Any, words: str) -> None:
    async with OneBotServer() as server:
        with pytest.raises(ControlError, match=words):
            do(server)
