"""The adapter on OneBot: events, requests, operations, and a Redis that served SmartQQ before."""

import json
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from adapter.bus.bus import Bus
from adapter.networks.onebot.protocol.encoding import MAX_TEXT
from tests.onebot_server import DIALECTS
from tests.support.helpers import wait_until
from tests.support.onebot_system import OneBotSystem, onebot_system

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]


@pytest.fixture(params=["napcat"])
async def system(request: Any, bus: Bus, redis_url: str, tmp_path: Path) -> AsyncIterator[OneBotSystem]:
    async with onebot_system(request.param, bus, redis_url, tmp_path) as made:
        yield made


@pytest.mark.parametrize("system", list(DIALECTS), indirect=True)
async def test_a_message_is_answered_on_each_dialect(system: OneBotSystem) -> None:
    await system.adapter()
    await wait_until(lambda: system.bus.hgetall(system.bus.keys("groups")), "the groups")
    said = system.server.say("group:30001", message="hi [CQ:face,id=14]", sender=10002)["event"]
    (event,) = await system.events(1)
    assert (event["chat"], event["sender"], event["text"]) == ("group:30001", "10002", "hi [微笑]")
    assert (event["account"], event["self"]) == ("20001", "0")
    body = (await system.bodies("message."))[0]
    assert (body["sender"]["name"], body["sender"]["card"], body["sender"]["role"]) == (
        "Alice",
        "爱丽丝",
        "admin",
    )
    assert (body["chat"]["name"], body["chat"]["identity"]) == ("茶馆", "exact")
    assert body["message_id"] == str(said["message_id"])
    await system.ask(f"reply:{event['id']}", "you said [微笑]")
    (result,) = await system.results(1)
    (delivery,) = await system.server.wait_received(1)
    assert (result["status"], result["code"], result["message_id"]) == (
        "sent",
        "ok",
        str(delivery.message_id),
    )
    assert [one["type"] for one in delivery.segments] == ["text", "face"]


async def test_operations_have_one_result_each(system: OneBotSystem) -> None:
    await system.adapter()
    await system.ask("friend:10001", "oops", id="bot/1")
    (sent,) = await system.results(1)
    await system.order(op="recall", to="friend:10001", message_id=sent["message_id"], id="bot/2")
    system.server.notice("friend_request", user=10010)
    (request,) = await system.events(1, "request.friend")
    await system.order(op="approve", event=request["id"], text="老友", id="bot/3")
    body = json.dumps({"action": "get_group_info", "params": {"group_id": 30001}})
    await system.order(op="call", body=body, id="bot/4")
    await system.order(op="call", body=json.dumps({"action": "get_moon"}), id="bot/5")
    found = {row["id"]: row for row in await system.results(5)}
    assert {name: (row["status"], row["code"]) for name, row in found.items()} == {
        "bot/1": ("sent", "ok"),
        "bot/2": ("sent", "ok"),
        "bot/3": ("sent", "ok"),
        "bot/4": ("sent", "ok"),
        "bot/5": ("failed", "content.unsupported"),
    }
    assert json.loads(found["bot/4"]["data"])["group_name"] == "茶馆"
    assert [one.answer for one in system.server.state.requests.all()] == ["approved"]


async def test_a_redis_that_served_smartqq_before_renames_nothing(system: OneBotSystem) -> None:
    # What a directory of SmartQQ leaves: a stable id that is the number of another person here.
    record = {
        "space": "person",
        "stable": "10002",
        "scope": "friends",
        "qq": "999",
        "mark": "",
        "nick": "Other",
        "seen": int(time.time()),
        "momentary": "10002",
        "session": 7,
        "identity": "exact",
    }
    key = system.bus.keys("ids:contacts")
    await system.bus.client.hset(key, mapping={"person:10002": msgpack.packb(record), "session": "7"})  # type: ignore[misc]
    await system.adapter()
    system.server.say("friend:10002", "hi")
    (event,) = await system.events(1)
    assert (event["chat"], event["sender"]) == ("friend:10002", "10002")
    await system.ask("friend:10003", "never met")
    (delivery,) = await system.server.wait_received(1)
    assert delivery.chat == "friend:10003"
    friends = await system.bus.hgetall(system.bus.keys("friends"))
    assert set(friends) == {"10001", "10002", "10003"}


async def test_a_picture_of_three_megabytes_passes_in_both_directions(system: OneBotSystem) -> None:
    await system.adapter()
    system.server.say("friend:10001", message=[{"type": "image", "data": {"size": 3_000_000}}])
    await system.events(1)
    (segment,) = (await system.bodies("message."))[0]["segments"]
    assert (segment["type"], segment["data"]["size"]) == ("image", 3_000_000)
    picture = "base64://" + "QUFB" * 1_000_000
    body = json.dumps({"segments": [{"type": "image", "data": {"file": picture}}]})
    await system.order(to="friend:10001", body=body)
    (result,) = await system.results(1)
    assert (result["status"], result["detail"]) == ("sent", "")
    (delivery,) = await system.server.wait_received(1)
    assert delivery.segments[0]["data"]["file_size"] == 3_000_000


@pytest.mark.parametrize("size", [10_500_000, 11_800_000, 15_000_000], ids=["file", "body", "entry"])
async def test_a_larger_picture_is_refused_with_what_to_do_instead(system: OneBotSystem, size: int) -> None:
    await system.adapter()
    picture = "base64://" + "QUFB" * (size // 3)
    body = json.dumps({"segments": [{"type": "image", "data": {"file": picture}}]})
    await system.order(to="friend:10001", body=body)
    (result,) = await system.results(1, 60)
    assert result["code"] == "content.toolong"
    assert "op=call" in result["detail"]
    assert "upload_private_file" in result["detail"]


async def test_a_burst_of_five_thousand_is_published_in_order(system: OneBotSystem) -> None:
    await system.adapter()
    system.server.people.flood("group:30001", 5_000)
    rows = await system.events(5_000, seconds=60.0)
    assert [row["text"] for row in rows] == [f"x {n}" for n in range(5_000)]
    assert [int(row["seq"]) for row in rows] == list(range(int(rows[0]["seq"]), int(rows[0]["seq"]) + 5_000))


async def test_copies_are_published_once_and_pokes_each_time(system: OneBotSystem) -> None:
    await system.adapter()
    system.server.say("friend:10001", "hi", copies=3)
    system.server.notice("friend_request", user=10010, copies=3)
    system.server.notice("poke", user=10001, copies=3)
    system.server.say("friend:10001", "end")
    await wait_until(lambda: _ended(system), "the last message")
    types = [row["type"] for row in await system.rows("inbound")]
    assert types.count("message.friend") == 2
    assert types.count("request.friend") == 1
    assert types.count("notice.poke") == 3


async def _ended(system: OneBotSystem) -> bool:
    return any(row["text"] == "end" for row in await system.rows("inbound"))


async def test_a_command_that_onebot_lacks_says_what_to_do(system: OneBotSystem) -> None:
    program = await system.adapter()
    await system.bus.client.xadd(system.bus.keys("control"), {"cmd": "login"})
    await wait_until(
        lambda: "log in and out at the page of the implementation" in program.text(), "the words"
    )
    assert "login is not supported by onebot" in program.text()


async def test_a_killed_adapter_tells_the_gap_and_doubles_nothing(system: OneBotSystem) -> None:
    program = await system.adapter()
    system.server.say("friend:10001", "before")
    await system.events(1)
    os.kill(program.process.pid, signal.SIGKILL)
    await program.ended()
    system.server.say("friend:10001", "lost")
    await system.adapter()
    (gap,) = await system.events(1, "session.gap")
    system.server.say("friend:10001", "after")
    rows = await system.events(2)
    assert [row["text"] for row in rows] == ["before", "after"]
    assert "the adapter was not running" in gap["text"]
    seqs = {row["text"]: int(row["seq"]) for row in await system.rows("inbound")}
    assert seqs["before"] < int(gap["seq"]) < seqs["after"]


async def test_the_status_names_the_network(system: OneBotSystem) -> None:
    program = await system.adapter()
    assert (await system.bus.hgetall(system.bus.keys("status")))["network"] == b"onebot"
    assert "SmartQQ" not in program.text()


async def test_a_result_bears_the_id_of_the_first_part_though_a_restart_lay_between(
    system: OneBotSystem,
) -> None:
    program = await system.adapter(QQBUS_SEND_INTERVAL="3")
    await system.ask("friend:10001", "长" * (MAX_TEXT + 10), id="x/1")
    (first,) = await system.server.wait_received(1)
    assert await program.stop() == 0
    await system.adapter()
    (result,) = await system.results(1, 30)
    assert (result["status"], result["parts"], result["message_id"]) == (
        *("sent", "2/2"),
        str(first.message_id),
    )


async def test_chats_of_before_a_restart_are_asked_for_their_history(system: OneBotSystem) -> None:
    system.settings["QQBUS_ONEBOT_HISTORY"] = "20"
    program = await system.adapter()
    system.server.say("group:30001", "before", sender=10002)
    await system.events(1)
    assert await program.stop() == 0
    system.server.say("group:30001", "while it was away", sender=10002)
    await system.adapter()
    rows = await system.events(2, seconds=30)
    assert [row["text"] for row in rows] == ["before", "while it was away"]
