"""Proof of adapter/outbound/pipeline.py: one request, at most one message, exactly one result."""

import json
import os
import signal
from pathlib import Path

import anyio
import pytest

from adapter.bus.bus import Bus
from tests.simulator import Answer
from tests.support.helpers import wait_until
from tests.support.system_harness import System, system
from tests.support.tcp_proxy import Line

pytestmark = pytest.mark.anyio
BUDDY = "/channel/send_buddy_msg2"
FRIEND = 10001


async def chat_of_friend(it: System) -> str:
    """Return the address of the friend, learnt as a worker learns it: from a message."""
    it.sim.say(f"friend:{FRIEND}", "hi")
    return (await it.events(1))[-1]["chat"]


async def test_a_request_is_answered_and_its_repeat_is_not_sent_again(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        chat = await chat_of_friend(it)
        first = await it.ask(chat, "hello", id="x/1")
        (result,) = await it.results(1)
        assert result | {"time": "", "message_id": ""} == {
            "v": "1",
            "id": "x/1",
            "entry": first,
            "time": "",
            "account": "305419896",
            "epoch": result["epoch"],
            "to": chat,
            "status": "sent",
            "code": "ok",
            "detail": result["detail"],
            "attempts": "1",
            "parts": "1/1",
            "message_id": "",
            "replayed": "0",
        }
        again = await it.ask(chat, "hello", id="x/1")
        replay = (await it.results(2))[1]
        assert (replay["entry"], replay["replayed"], replay["status"]) == (again, "1", "sent")
        assert replay["message_id"] == result["message_id"]
        assert [message.text for message in it.sim.received] == ["hello"]


async def test_what_makes_no_sense_is_rejected_and_kept_in_dead(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        entry = await it.ask("nobody", "hello", id="x/1")
        own = await it.ask("group:1", "", results=bus.keys("results:mine"))
        (rejected,) = await it.results(1)
        assert (rejected["status"], rejected["code"], rejected["entry"]) == (
            "rejected",
            "schema.invalid",
            entry,
        )
        assert "friend:<id>" in rejected["detail"]
        (empty,) = await it.results(1, stream="results:mine")
        assert (empty["status"], empty["code"], empty["id"]) == ("rejected", "content.empty", f"entry:{own}")
        dead = await it.rows("dead")
        assert [(row["entry"], row["reason"]) for row in dead] == [
            (entry, "schema.invalid"),
            (own, "content.empty"),
        ]


async def test_every_way_to_fail_has_its_code(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        chat = await chat_of_friend(it)
        await it.ask("friend:99", "nobody is there", id="unreachable")
        it.sim.next_answer(BUDDY, Answer(json={"errmsg": "error!!!", "retcode": 1202}))
        await it.ask(chat, "maybe", id="maybe")
        await it.results(2)
        it.sim.next_answer(BUDDY, Answer(json={"errCode": -3, "errMsg": "ERROR"}))
        await it.ask(chat, "denied", id="denied")
        await it.results(3)
        image = '{"segments": [{"type": "image", "data": {"file": "x"}}]}'
        await bus.client.xadd(bus.keys("outbound"), {"to": chat, "body": image, "id": "picture"})
        await it.ask(chat, "a" * 30_000, id="long")
        rows = {row["id"]: (row["status"], row["code"]) for row in await it.results(5)}
        assert rows == {
            "unreachable": ("failed", "target.unknown"),
            "maybe": ("unknown", "upstream.maybe"),
            "denied": ("failed", "upstream.denied"),
            "picture": ("failed", "content.unsupported"),
            "long": ("rejected", "content.toolong"),
        }
        assert [row["reason"] for row in await it.rows("dead")] == ["content.toolong"]
        # What was rejected was never asked for: a shorter text may bear the same id.
        await it.ask(chat, "a", id="long")
        assert (await it.results(6))[-1]["status"] == "sent"


async def test_what_a_relink_with_new_ids_interrupts_is_addressed_again(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path, new_uins="always") as it:
        await it.online(it.start("tests.chaos.fast_timeouts", "run"))
        chat, uin = await chat_of_friend(it), it.sim.uin_of(FRIEND)
        for number in range(3):
            # The session dies unseen: the poll that is out goes on, and the send is the first to know.
            it.sim.network.sessions.end(100001)
            await it.ask(chat, f"after relink {number}", id=f"x/{number}")
            result = (await it.results(number + 1))[-1]
            assert (result["status"], result["attempts"], result["parts"]) == ("sent", "1", "1/1")
            await it.sim.wait_poll()
        assert it.sim.uin_of(FRIEND) != uin
        assert [(m.chat, m.text) for m in it.sim.received] == [
            (f"friend:{FRIEND}", f"after relink {number}") for number in range(3)
        ]
        codes = [request.code for request in it.sim.requests if request.path == BUDDY]
        assert codes == [100001, 0] * 3
        # The second half of a long text follows its addressee too.
        it.sim.next_answer(BUDDY, Answer(), Answer(json={"retcode": 100001}))
        it.sim.next_answer("/channel/get_online_buddies2", Answer(json={"retcode": 103}))
        await it.ask(chat, "long " * 200, id="long")
        result = (await it.results(4))[-1]
        assert (result["status"], result["parts"]) == ("sent", "2/2")
        assert {m.chat for m in it.sim.received} == {f"friend:{FRIEND}"}


async def test_what_the_session_cannot_take_now_waits_for_the_next_one(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        chat = await chat_of_friend(it)
        it.sim.kick()
        await has_status(it, "state", "kicked")
        await it.ask(chat, "later", id="x/1")
        await bus.client.xadd(bus.keys("control"), {"cmd": "login"})
        assert [(row["id"], row["status"]) for row in await it.results(1)] == [("x/1", "sent")]


async def test_what_cannot_leave_because_the_network_is_gone_waits_for_it(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path, poll_seconds=60.0) as it:
        line = Line(int(it.sim.url.rpartition(":")[2]))
        await line.open()
        it.settings["QQBUS_SMARTQQ_URL"] = line.url
        await it.online(it.start("tests.chaos.fast_timeouts", "run"))
        chat = await chat_of_friend(it)
        await it.sim.wait_poll()
        line.close()
        await it.ask(chat, "into the dark", id="x/1")
        # The adapter finds out by the message that cannot leave: its poll looks well.
        await has_status(it, "state", "offline")
        await line.open()
        (result,) = await it.results(1)
        assert (result["status"], result["attempts"]) == ("sent", "1")
        assert [message.text for message in it.sim.received] == ["into the dark"]
        line.close()


@pytest.mark.long
@pytest.mark.parametrize("way", ["stop", "lost lease"])
async def test_nobody_waits_for_a_session_that_is_mended_no_more(
    bus: Bus, redis_url: str, tmp_path: Path, way: str
) -> None:
    async with system(bus, redis_url, tmp_path, poll_seconds=60.0) as it:
        line = Line(int(it.sim.url.rpartition(":")[2]))
        await line.open()
        first = await it.adapter(QQBUS_SMARTQQ_URL=line.url, QQBUS_LEASE="1")
        chat = await chat_of_friend(it)
        await it.sim.wait_poll()
        line.close()
        await it.ask(chat, "into the dark", id="x/1")
        await has_status(it, "state", "offline")
        # It is waited for in vain: whoever would mend the session has gone.
        if way == "stop":
            assert await first.stop() == 0
        else:
            await bus.client.delete(bus.keys("lease"))
            await bus.client.hset(bus.keys("ids:epoch"), mapping={"epoch": 99, "holder": "another"})
            await wait_until(lambda: "standing by" in first.text(), "it stands by")
            first.process.kill()
        await bus.client.delete(bus.keys("lease"))
        await it.adapter()
        (result,) = await it.results(1)
        if way == "stop":
            assert (result["status"], result["attempts"]) == ("sent", "1")
        else:  # it may not even say any more that nothing has left
            assert (result["status"], result["code"]) == ("unknown", "crash")


@pytest.mark.long
async def test_what_a_dead_session_refuses_at_a_stop_is_sent_by_the_next_process(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path, poll_seconds=60.0) as it:
        adapter = await it.adapter()
        chat = await chat_of_friend(it)
        await it.sim.wait_poll()
        it.sim.next_answer(BUDDY, Answer(delay=0.3, json={"retcode": 100001}))
        it.sim.next_answer("/channel/get_online_buddies2", Answer(json={"retcode": 103}))
        await it.ask(chat, "not lost", id="x/1")
        await it.sim.wait_delayed(BUDDY)
        assert await adapter.stop() == 0
        assert await it.rows("results") == []
        await it.adapter()
        assert (await it.results(1))[0]["status"] == "sent"
        assert [message.text for message in it.sim.received] == ["not lost"]


async def test_a_long_text_goes_in_parts_and_has_one_result(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        chat = await chat_of_friend(it)
        text = " ".join(f"{number}中文字" for number in range(300))
        await it.ask(chat, text)
        (result,) = await it.results(1)
        total = len(it.sim.received)
        assert total > 5
        assert (result["status"], result["parts"]) == ("sent", f"{total}/{total}")
        # A blank at a cut may go; nothing else may.
        assert "".join(m.text for m in it.sim.received).replace(" ", "") == text.replace(" ", "")
        assert len({message.msg_id for message in it.sim.received}) == total


async def test_what_waits_for_a_session_is_sent_or_expires(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.ask("friend:99", "too late", id="late", expires="0")
        await it.ask("friend:99", "in time", id="early")
        await it.adapter()
        rows = {row["id"]: row["status"] for row in await it.results(2)}
        assert rows == {"late": "expired", "early": "failed"}


async def test_pause_holds_and_resume_releases(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        adapter = await it.adapter()
        chat = await chat_of_friend(it)
        await bus.client.xadd(bus.keys("control"), {"cmd": "pause", "by": "test"})
        await has_status(it, "paused", "1")
        await it.ask(chat, "held", id="x/1")
        assert await adapter.stop() == 0
        # A pause outlives a restart.
        await it.adapter()
        await has_status(it, "outbound_pending", "1")
        assert it.sim.received == []
        await bus.client.xadd(bus.keys("control"), {"cmd": "resume"})
        assert (await it.results(1))[0]["status"] == "sent"
        assert (await bus.hgetall(bus.keys("status")))["paused"] == b"0"


async def has_status(it: System, name: str, value: str) -> None:
    with anyio.fail_after(15):
        while (await it.bus.hgetall(it.bus.keys("status"))).get(name) != value.encode():
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    ("delivery", "status", "code", "copies"),
    [("at-most-once", "unknown", "crash", 1), ("at-least-once", "sent", "ok", 2)],
)
async def test_a_kill_in_mid_send_is_settled_by_the_next_process(
    bus: Bus, redis_url: str, tmp_path: Path, delivery: str, status: str, code: str, copies: int
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        adapter = await it.adapter()
        chat = await chat_of_friend(it)
        it.sim.next_answer(BUDDY, Answer(delay=30.0))
        await it.ask(chat, "once?", id="x/1", delivery=delivery)
        asked = [(await it.sim.wait_delayed(BUDDY))[0]["r"]]
        os.kill(adapter.process.pid, signal.SIGKILL)
        await adapter.ended()
        await bus.client.delete(bus.keys("lease"))  # rather than wait for its end
        await it.adapter()
        (result,) = await it.results(1)
        assert (result["status"], result["code"], result["id"]) == (status, code, "x/1")
        asked += [request.params["r"] for request in it.sim.requests if request.path == BUDDY]
        assert len(asked) == copies
        # The result names the message that may have left before the kill.
        assert {str(json.loads(one)["msg_id"]) for one in asked} == {result["message_id"]}


async def test_chats_do_not_wait_for_each_other_but_keep_their_order(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        it.sim.say(f"friend:{FRIEND}", "hi")
        it.sim.say("friend:20002", "hi")
        slow, quick = (row["chat"] for row in (await it.events(2))[:2])
        it.sim.next_answer(BUDDY, Answer(delay=1.5))
        await it.ask(slow, "slow 0", id="s/0")
        await it.sim.wait_delayed(BUDDY)
        for number in range(1, 4):
            await it.ask(slow, f"slow {number}", id=f"s/{number}")
            await it.ask(quick, f"quick {number}", id=f"q/{number}")
        ids = [row["id"] for row in await it.results(7)]
        assert [one for one in ids if one[0] == "s"] == ["s/0", "s/1", "s/2", "s/3"]
        assert ids[:3] == ["q/1", "q/2", "q/3"]


async def test_a_request_in_a_frame_of_faststream_is_sent_and_answered(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        chat = await chat_of_friend(it)
        framed = json.dumps({"data": json.dumps({"to": chat, "text": "framed", "id": "x/1"}), "headers": {}})
        await bus.client.xadd(bus.keys("outbound"), {"__data__": framed})
        broken = json.dumps({"data": json.dumps({"to": "x", "id": "x/2"}), "headers": {}})
        await bus.client.xadd(bus.keys("outbound"), {"__data__": broken})
        await it.ask(chat, "too late", id="x/3", expires="0")
        rows = {row["id"]: row["status"] for row in await it.results(3)}
        assert rows == {"x/1": "sent", "x/2": "rejected", "x/3": "expired"}
        assert [message.text for message in it.sim.received] == ["framed"]
