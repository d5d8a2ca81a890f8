"""Proof of the actions: requests on the bus, results as answers, everything answered."""

import json
from typing import Any

import msgpack
import pytest

from adapter import Image, Reply, Text, pack
from consumers.onebot.numbers import entry_number
from tests.support.bus_events import Cutter, Desk, desk_at, message, notice
from tests.support.gateway_harness import Bot, StubAdapter, bot, gateway, options, set_status, stub_adapter
from tests.support.helpers import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


@pytest.fixture
async def talk(redis_url: str, prefix: str, anyio_backend: str) -> Any:  # noqa: ARG001
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        rows = {"3": {"id": "3", "name": "备注", "nick": "小明", "mark": "备注"}}
        await desk.client.hset(desk.key("friends"), mapping={k: pack(v) for k, v in rows.items()})
        group = {"id": "2", "name": "群", "member_count": 2, "max_member_count": 200}
        await desk.client.hset(desk.key("groups"), "2", pack(group))
        member = {"id": "5", "name": "card", "card": "card", "nick": "nick", "role": "admin"}
        await desk.client.hset(desk.key("members:group:2"), "5", pack(member))
        chosen = options(expires=2.0)
        async with gateway(desk, chosen), stub_adapter(desk) as adapter, bot(chosen) as one:
            yield desk, adapter, one


def segments(adapter: StubAdapter, index: int = -1) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgpack.unpackb(adapter.requests[index]["body"])["segments"]
    return found


async def test_each_form_of_sending_becomes_a_request(talk: Any) -> None:
    desk, adapter, one = talk
    for action, params, to in (
        ("send_group_msg", {"group_id": "2"}, "group:2"),
        ("send_private_msg", {"user_id": 3}, "friend:3"),
        ("send_private_msg", {"user_id": 9, "group_id": 2}, "temp:9@group:2"),
        ("send_msg", {"message_type": "private", "user_id": 3}, "friend:3"),
        ("send_msg", {"group_id": 2}, "group:2"),
        ("send_msg_async", {"user_id": 3}, "friend:3"),
        ("send_group_msg_rate_limited", {"group_id": 2}, "group:2"),
    ):
        answer = await one.call(action, message="hi", **params)
        assert answer["status"] == "ok", answer
        row = adapter.requests[-1]
        assert row["to"].decode() == to
        assert row["id"].startswith(b"onebot/")
        assert 0 < float(row["expires"]) <= 2
        assert segments(adapter) == [{"type": "text", "data": {"text": "hi"}}]
        found: Any = await desk.client.xrevrange(desk.key("outbound"), count=1)
        assert answer["data"]["message_id"] == entry_number(found[0][0].decode(), was_sent=True)


async def test_what_makes_no_sense_is_1400_and_never_written(talk: Any) -> None:
    _, adapter, one = talk
    for action, params in (
        ("send_msg", {"message": "x", "user_id": 3, "group_id": 2}),
        ("send_msg", {"message": "x"}),
        ("send_msg", {"message": "x", "message_type": "odd", "user_id": 3}),
        ("send_group_msg", {"message": "x"}),
        ("send_group_msg", {"group_id": 2}),
        ("send_group_msg", {"group_id": 2, "message": ""}),
        ("send_group_msg", {"group_id": True, "message": "x"}),
        ("send_group_msg", {"group_id": -2, "message": "x"}),
        ("delete_msg", {"message_id": "x"}),
        ("get_msg", {}),
        ("set_friend_add_request", {"approve": True}),
        ("set_friend_add_request", {"flag": "x", "approve": "perhaps"}),
        (".handle_quick_operation", {"context": 1}),
    ):
        answer = await one.call(action, **params)
        assert (answer["status"], answer["retcode"]) == ("failed", 1400), (action, params, answer)
        assert answer["wording"]
    assert adapter.requests == []


async def test_results_are_answers(talk: Any) -> None:
    _, adapter, one = talk
    for answer, status, retcode in (
        ({}, "ok", 0),
        ({"status": "unknown", "code": "upstream.timeout"}, "async", 1),
        ({"status": "rejected", "code": "schema.invalid", "detail": "no"}, "failed", 1400),
        ({"status": "failed", "code": "upstream.denied"}, "failed", 1200),
        ({"status": "failed", "code": "content.unsupported"}, "failed", 1404),
        ({"status": "failed", "code": "session.rejected"}, "failed", 1403),
        ({"status": "expired", "code": "expired"}, "failed", 1408),
    ):
        adapter.answer = lambda _, answer=answer: answer
        found = await one.call("send_group_msg", group_id=2, message="hi")
        assert (found["status"], found["retcode"]) == (status, retcode)
        if retcode in (0, 1):
            assert found["data"]["message_id"] < 0
    adapter.answer = lambda _: {"status": "silence"}
    found = await one.call("send_group_msg", group_id=2, message="hi")
    assert (found["status"], found["retcode"]) == ("async", 1)
    assert found["data"]["message_id"] < 0


async def test_any_echo_comes_back_and_sends_keep_their_order(talk: Any) -> None:
    _, adapter, one = talk
    echoes: list[Any] = [1, None, [1, {"a": "b"}], "x", True, {"deep": [1]}, "half \ud83d", 2**70]
    for number, echo in enumerate(echoes):
        frame = {"action": "send_group_msg", "params": {"group_id": 2, "message": str(number)}, "echo": echo}
        await one.socket.send(json.dumps(frame))
    await wait_until(lambda: sum("retcode" in frame for frame in one.frames) == len(echoes), "all answers")
    found = [frame["echo"] for frame in one.frames if "retcode" in frame]
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, echoes))
    sent = [segments(adapter, index)[0]["data"]["text"] for index in range(len(echoes))]
    assert sent == [str(number) for number in range(len(echoes))]


async def test_frames_that_are_no_actions_are_answered(talk: Any) -> None:
    _, _, one = talk
    bad = [
        "",
        "{",
        "[]",
        "1",
        '"x"',
        "{}",
        '{"action": 1}',
        '{"action": "get_status", "params": []}',
        b"\xff",
    ]
    for frame in bad:
        await one.socket.send(frame)
    await wait_until(lambda: sum("retcode" in frame for frame in one.frames) == len(bad), "all answers")
    assert {frame["retcode"] for frame in one.frames if "retcode" in frame} == {1400}
    assert (await one.call("get_guild_service_profile"))["retcode"] == 1404


async def test_a_message_is_found_again_by_its_number(talk: Any) -> None:
    desk, adapter, one = talk
    heard = await _say(desk, one, message("first", "group:2", "5"))
    shown = (await one.call("get_msg", message_id=str(heard["message_id"])))["data"]
    for key in ("time", "message_type", "message_id", "real_id", "sender", "message", "raw_message"):
        assert shown[key] == (heard["message_id"] if key == "real_id" else heard[key])
    sent = (await one.call("send_group_msg", group_id=2, message="mine [CQ:face,id=14]"))["data"]
    shown = (await one.call("get_msg", message_id=sent["message_id"]))["data"]
    assert (shown["raw_message"], shown["message_id"], shown["group_id"]) == (
        "mine [CQ:face,id=14]",
        sent["message_id"],
        2,
    )
    # Quoted by its number it leaves under the network's id, and is recalled by that too.
    await one.call("send_group_msg", group_id=2, message=f"[CQ:reply,id={heard['message_id']}]yes")
    event: Any = (await desk.client.xrange(desk.key("inbound")))[-1][1]
    network_id = msgpack.unpackb(event[b"body"])["message_id"]
    assert segments(adapter)[0] == {"type": "reply", "data": {"id": network_id}}
    assert adapter.requests[-1]["cause"] == event[b"id"]
    assert (await one.call("delete_msg", message_id=heard["message_id"]))["data"] is None
    assert (adapter.requests[-1]["op"], adapter.requests[-1]["message_id"]) == (
        b"recall",
        network_id.encode(),
    )
    await one.call("delete_msg", message_id=sent["message_id"])
    assert adapter.requests[-1]["message_id"].startswith(b"9000")
    assert (await one.call("get_msg", message_id=12345))["retcode"] == 1200


async def test_quotations_towards_the_bot_bear_its_numbers(talk: Any) -> None:
    desk, adapter, one = talk
    heard = await _say(desk, one, message("first"))
    event: Any = (await desk.client.xrange(desk.key("inbound")))[-1][1]
    network_id = msgpack.unpackb(event[b"body"])["message_id"]
    quoting = await _say(desk, one, message((Reply(network_id), Text("you"))))
    assert quoting["message"][0]["data"]["id"] == str(heard["message_id"])
    sent = (await one.call("send_group_msg", group_id=2, message="mine"))["data"]["message_id"]
    own_id = str(900_000 + len(adapter.requests))
    quoting = await _say(desk, one, message((Reply(own_id), Text("you too"))))
    assert quoting["message"][0]["data"]["id"] == str(sent)
    unknown = await _say(desk, one, message((Reply("424242"), Text("?"))))
    assert unknown["message"][0]["data"]["id"] == "424242"


async def _say(desk: Any, one: Bot, *records: Any) -> dict[str, Any]:
    count = len(one.messages)
    await desk.publish(*records)
    return (await one.hears(count + len(records)))[-1]


async def test_histories_are_newest_last_and_of_one_chat(talk: Any) -> None:
    desk, _, one = talk
    await desk.publish(*[message(f"g{number}", "group:2") for number in range(30)])
    await desk.publish(*[message(f"f{number}", "friend:3") for number in range(5)], notice())
    heard = await one.hears(35)
    shown = (await one.call("get_group_msg_history", group_id=2, count=5))["data"]["messages"]
    assert [each["raw_message"] for each in shown] == ["g25", "g26", "g27", "g28", "g29"]
    anchored = await one.call(
        "get_group_msg_history", group_id=2, count=3, message_seq=heard[10]["message_id"]
    )
    assert [each["raw_message"] for each in anchored["data"]["messages"]] == ["g8", "g9", "g10"]
    shown = (await one.call("get_friend_msg_history", user_id="3"))["data"]["messages"]
    assert [each["raw_message"] for each in shown] == [f"f{number}" for number in range(5)]


async def test_contacts_and_status(talk: Any) -> None:
    desk, _, one = talk
    await _say(desk, one, message("x", "group:2", "77"))

    async def data(action: str, **params: Any) -> Any:
        return (await one.call(action, **params))["data"]

    assert await data("get_login_info") == {"user_id": 10001, "nickname": "me"}
    assert await data("get_friend_list") == [{"user_id": 3, "nickname": "小明", "remark": "备注"}]
    group = {"group_id": 2, "group_name": "群", "member_count": 2, "max_member_count": 200}
    assert await data("get_group_list") == [group]
    assert await data("get_group_info", group_id=2) == group
    assert (await one.call("get_group_info", group_id=99))["retcode"] == 1200
    assert (await data("get_group_member_list", group_id=2))[0]["role"] == "admin"
    assert (await data("get_group_member_info", group_id=2, user_id=5))["card"] == "card"
    assert (await data("get_group_member_info", group_id=2, user_id=77))["nickname"] == "the sender"
    assert (await one.call("get_group_member_info", group_id=2, user_id=78))["retcode"] == 1200
    assert (await data("get_stranger_info", user_id=3))["nickname"] == "小明"
    assert await data("get_status") == {"online": True, "good": True}
    assert (await data("get_version_info"))["app_name"] == "qqbus"
    assert await data("can_send_image") == {"yes": True}


async def test_requests_and_quick_operations(talk: Any) -> None:
    desk, adapter, one = talk
    assert (await one.call("set_friend_add_request", flag="f.1", remark="r"))["status"] == "ok"
    assert adapter.requests[-1].items() >= {"op": b"approve", "event": b"f.1", "text": b"r"}.items()
    await one.call("set_group_add_request", flag="f.2", approve="false", reason="no", sub_type="add")
    assert adapter.requests[-1].items() >= {"op": b"deny", "event": b"f.2", "text": b"no"}.items()
    heard = await _say(desk, one, message("x", "group:2", "5"))
    answer = await one.call(".handle_quick_operation_async", context=heard, operation={"reply": "yes"})
    assert answer["status"] == "ok"
    assert [each["type"] for each in segments(adapter)] == ["at", "text", "text"]
    asked = {"post_type": "request", "flag": "f.3"}
    await one.call(".handle_quick_operation", context=asked, operation={"approve": False, "reason": "z"})
    assert adapter.requests[-1].items() >= {"op": b"deny", "event": b"f.3"}.items()


async def test_a_person_who_was_heard_in_a_temporary_chat_is_answered_there(talk: Any) -> None:
    desk, adapter, one = talk
    await _say(desk, one, message("x", "temp:44@group:2", "44"))
    await one.call("send_private_msg", user_id=44, message="hi")
    assert adapter.requests[-1]["to"] == b"temp:44@group:2"


async def test_a_network_without_mentions_gets_names(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk, network="smartqq")
        chosen = options(may_call=True)
        async with gateway(desk, chosen), stub_adapter(desk) as adapter, bot(chosen) as one:
            await _say(desk, one, message((Image(name="x"),), "group:2", "5"))
            assert (await one.call("can_send_image"))["data"] == {"yes": False}
            await one.call("send_group_msg", group_id=2, message="[CQ:reply,id=5][CQ:at,qq=5]hi")
            assert [each["data"]["text"] for each in segments(adapter)] == ["@the sender ", "hi"]
            adapter.answer = lambda _: {"data": '{"a": [1]}'}
            assert (await one.call("get_cookies", domain="x"))["data"] == {"a": [1]}
            assert msgpack.unpackb(adapter.requests[-1]["body"]) == {
                "action": "get_cookies",
                "params": {"domain": "x"},
            }


async def test_redis_away_is_1500_only_if_nothing_was_written(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk, Cutter.before(redis_url) as cutter:
        await set_status(desk)
        chosen = options(expires=20.0)
        behind = Desk(desk.client, prefix, cutter.url)
        async with gateway(behind, chosen), stub_adapter(desk) as adapter, bot(chosen) as one:
            await one.call("send_group_msg", group_id=2, message="before")
            # The answer to the XADD is lost: it is repeated with the same id.
            found: Any = await desk.client.xrevrange(desk.key("outbound"), count=1)
            cutter.cut_at = found[0][0].split(b"-")[0][:8]
            answer = await one.call("send_group_msg", group_id=2, message="twice")
            assert answer["status"] in {"ok", "async"}, answer
            ids = [row["id"] for row in adapter.requests]
            assert len(set(ids)) == 2
            await desk.publish(message("still there"))
            await one.hears(1)
