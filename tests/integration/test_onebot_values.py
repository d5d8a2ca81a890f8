"""Hard values on OneBot, through the whole adapter: ids of all sizes, CQ strings, large answers, private texts."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import msgpack
import pytest

from adapter.bus.bus import Bus
from tests.support.helpers import clean_environment, wait_until
from tests.support.onebot_system import OneBotSystem, onebot_system

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

# All that CQ strings escape, in text and in values, and what only looks like a code.
ESCAPED = "a&#91;CQ:at&#44;qq=1&#93; &amp;amp; &amp;#91; [x] [CQ:face,id=14]b,c=d [CQ:"
PLAIN = "a[CQ:at,qq=1] &amp; &#91; [x] "


@pytest.fixture
async def system(bus: Bus, redis_url: str, tmp_path: Path) -> AsyncIterator[OneBotSystem]:
    async with onebot_system("napcat", bus, redis_url, tmp_path) as made:
        yield made


@pytest.mark.parametrize("kind", ["signed32", "wide37", "hash31"])
async def test_message_ids_of_all_sizes_come_and_go_as_they_are(
    bus: Bus, redis_url: str, tmp_path: Path, kind: str
) -> None:
    async with onebot_system("napcat", bus, redis_url, tmp_path, message_ids=kind) as system:
        await system.adapter()
        said = [system.server.say("friend:10001", f"n{number}")["event"] for number in range(8)]
        events = await system.events(8)
        bodies = await system.bodies("message.")
        ids = [str(one["message_id"]) for one in said]
        assert [body["message_id"] for body in bodies] == ids
        assert all(f".{one}." in event["id"] for one, event in zip(ids, events, strict=True))
        if kind != "hash31":
            assert any(int(one) < 0 or int(one) > 2**32 for one in ids)
        await system.ask(f"reply:{events[0]['id']}", "an answer", id="x/1")
        (sent,) = await system.results(1)
        await system.order(op="recall", to="friend:10001", message_id=sent["message_id"], id="x/2")
        rows = await system.results(2)
        assert [(row["id"], row["status"]) for row in rows] == [("x/1", "sent"), ("x/2", "sent")]
        (delivery,) = await system.server.wait_received(1)
        assert sent["message_id"] == str(delivery.message_id)


async def test_a_cq_string_with_every_escape_is_read_and_never_sent(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with onebot_system("go-cqhttp", bus, redis_url, tmp_path) as system:
        await system.adapter()
        frame = {
            "time": 1_790_000_000,
            "self_id": 20001,
            "post_type": "message",
            "message_type": "group",
            "sub_type": "normal",
            "message_id": -5,
            "group_id": 30001,
            "user_id": 10002,
            "font": 0,
            "message": f"{ESCAPED}[CQ:image,file=a&#44;b&amp;c.png,url=http://x/?a=1&amp;b=&#91;2&#93;]",
        }
        system.server.do.frame(json.dumps(frame))
        (event,) = await system.events(1)
        (body,) = await system.bodies("message.")
        texts = [one["data"]["text"] for one in body["segments"] if one["type"] == "text"]
        assert texts[0] == PLAIN
        (image,) = [one["data"] for one in body["segments"] if one["type"] == "image"]
        assert (image["file"], image["url"]) == ("a,b&c.png", "http://x/?a=1&b=[2]")
        # What looks like a code in a text is sent as a text, in an array.
        await system.ask(f"reply:{event['id']}", "[CQ:at,qq=all] & ok")
        (delivery,) = await system.server.wait_received(1)
        assert delivery.form == "array"
        assert {one["type"] for one in delivery.segments} == {"text"}


async def test_nine_thousand_members_are_loaded_on_demand(system: OneBotSystem) -> None:
    system.server.do.group(30009, members=9_000)
    await system.adapter()
    command = [sys.executable, "-m", "adapter", "contacts", "members", "group:30009", "--json"]
    with anyio.fail_after(60):
        done = await anyio.run_process(command, env=clean_environment(**system.settings))
    assert len(done.stdout.splitlines()) == 9_000
    members = await system.bus.hgetall(system.bus.keys.members("group:30009"))
    row: dict[str, Any] = msgpack.unpackb(next(iter(members.values())))
    assert row["identity"] == "exact"
    # A list that is too large for a result is refused in words, and the account goes on.
    body = json.dumps({"action": "get_group_member_list", "params": {"group_id": 30009}})
    await system.order(op="call", body=body, id="c/1")
    (result,) = await system.results(1, 30)
    assert (result["status"], result.get("data", "")) == ("sent", "")
    assert "over the limit" in result["detail"]


async def test_a_large_answer_is_given_once_and_not_kept_for_a_day(system: OneBotSystem) -> None:
    system.server.do.group(30009, members=200)
    await system.adapter()
    body = json.dumps({"action": "get_group_member_list", "params": {"group_id": 30009}})
    await system.order(op="call", body=body, id="c/1")
    (first,) = await system.results(1)
    assert len(json.loads(first["data"])) == 200
    await system.order(op="call", body=body, id="c/1")
    _, again = await system.results(2)
    assert (again["replayed"], again["status"], again.get("data", "")) == ("1", "sent", "")
    assert "another id" in again["detail"]
    kept = await system.bus.hgetall(system.bus.keys.ledger("c/1"))
    assert len(kept["result"]) < 2_000
    small = json.dumps({"action": "get_group_info", "params": {"group_id": 30001}})
    for _ in range(2):
        await system.order(op="call", body=small, id="c/2")
    rows = await system.results(4)
    assert rows[2]["data"] == rows[3]["data"] != ""


@pytest.mark.parametrize("dialect", ["napcat", "snowluma", "llbot"])
async def test_a_private_text_to_a_stranger_of_a_group_stays_private(
    bus: Bus, redis_url: str, tmp_path: Path, dialect: str
) -> None:
    async with onebot_system(dialect, bus, redis_url, tmp_path) as system:
        await system.adapter()
        await system.ask("temp:99999@group:30001", "secret", id="x/1")
        body = json.dumps(
            {"action": "send_msg", "params": {"group_id": 30001, "user_id": 99999, "message": "secret"}}
        )
        await system.order(op="call", body=body, id="x/2")
        body = json.dumps(
            {
                "action": "send_private_msg",
                "params": {"group_id": 30001, "user_id": 99999, "message": "secret"},
            }
        )
        await system.order(op="call", body=body, id="x/3")
        rows = {row["id"]: (row["status"], row["code"]) for row in await system.results(3)}
        assert rows["x/1"] == ("failed", "target.unknown")
        assert {rows[name][0] for name in ("x/2", "x/3")} == {"failed"}
        assert not system.server.record.received.entries
        assert not {"send_msg", "send_private_msg"} & {
            one.action for one in system.server.record.actions.entries
        }


async def test_five_sends_without_a_confirmation_are_unknown_and_none_is_repeated(
    system: OneBotSystem,
) -> None:
    await system.adapter()
    system.server.do.answer("send_private_msg", [{"reply": "timeout"}] * 5)
    for number in range(5):
        await system.ask("friend:10001", f"text {number}", id=f"m/{number}")
    rows = await system.results(5, 30)
    assert {(row["status"], row["code"]) for row in rows} == {("unknown", "upstream.maybe")}
    await system.ask("friend:10001", "and on", id="m/9")
    await wait_until(lambda: _has(system, "m/9"), "the next one is sent")
    texts = [one.params["message"][0]["data"]["text"] for one in _sends(system)]
    assert len(texts) == len(set(texts)) == 6


async def _has(system: OneBotSystem, name: str) -> bool:
    return any(row["id"] == name and row["status"] == "sent" for row in await system.rows("results"))


def _sends(system: OneBotSystem) -> list[Any]:
    return [one for one in system.server.record.actions.entries if one.action == "send_private_msg"]
