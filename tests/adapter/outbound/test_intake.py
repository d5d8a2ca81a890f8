"""Proof of adapter/outbound/intake.py: all that waits is known, little of it is in memory."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import msgpack
import pytest

from adapter.bus.bus import Bus
from adapter.bus.keys import CONSUMER, GROUP
from adapter.codec.dead_letters import MAX_FIELD
from adapter.codec.inbound import timestamp
from adapter.outbound import intake, rejector
from tests.adapter.outbound.test_pipeline import chat_of_friend
from tests.support.helpers import wait_until
from tests.support.intake_harness import reading
from tests.support.system_harness import Program, System, system

pytestmark = pytest.mark.anyio
MB = 1024 * 1024
# The adapter has about 60 MB at rest.
MOST_MB = 200


def peak_mb(program: Program) -> int:
    """Return the most memory that a process has had, in megabytes."""
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


async def ask_many(it: System, requests: list[dict[str, Any]]) -> None:
    async with it.bus.client.pipeline(transaction=False) as pipe:
        for fields in requests:
            pipe.xadd(it.bus.keys("outbound"), fields)
        await pipe.execute()


async def test_high_overtakes_all_that_waits_also_what_is_not_read(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter(QQBUS_SEND_INTERVAL="0.5")
        for sender in ("friend:10001", "friend:20002"):
            it.sim.say(sender, "hi")
        one, other = (row["chat"] for row in await it.events(2))
        bulk = [
            {"to": one, "text": f"bulk {number}", "id": f"big/{number}", "priority": "bulk"}
            for number in range(4000)
        ]
        await ask_many(it, bulk)
        await it.ask(other, "urgent", id="small/1", priority="high")
        await wait_until(lambda: "urgent" in [m.text for m in it.sim.received], "it is sent", 30.0)
        assert len(it.sim.received) < 20
        # In the same chat the order stays: all before it is urgent now.
        texts = [m.text for m in it.sim.received if m.text != "urgent"]
        assert texts == [f"bulk {number}" for number in range(len(texts))]


async def test_applications_take_turns_over_the_whole_backlog(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        program = await it.adapter()
        for sender in ("friend:10001", "friend:20002"):
            it.sim.say(sender, "hi")
        one, other = (row["chat"] for row in await it.events(2))
        assert await program.stop() == 0
        await ask_many(it, [{"to": one, "text": f"big {n}", "id": f"big/{n}"} for n in range(3000)])
        await it.ask(other, "small", id="small/1")
        await it.adapter(QQBUS_SEND_INTERVAL="0.3")
        await wait_until(lambda: "small" in [m.text for m in it.sim.received], "it is sent", 30.0)
        assert len(it.sim.received) < 20


async def test_entries_of_any_size_are_rejected_clipped_within_the_memory_of_the_adapter(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        program = await it.adapter()
        chat = await chat_of_friend(it)
        assert await program.stop() == 0
        body = bytes(range(256)) * (15 * MB // 256)
        huge = {"to": chat, "id": "huge/1", "body": body}
        for number in range(12):
            await ask_many(it, [huge | {"id": f"huge/{number}"}])
        # Half of them are pending already, as after a crash that they caused.
        await bus.ensure_group("outbound")
        await bus.client.execute_command(  # type: ignore[no-untyped-call]
            *("XREADGROUP", "GROUP", GROUP, CONSUMER, "COUNT", "6", "STREAMS", bus.keys("outbound"), ">")
        )
        program = await it.adapter()
        await ask_many(it, [huge | {"id": "huge/12"}])
        await it.ask(chat, "hello", id="x/1")
        rows = {row["id"]: row for row in await it.results(14, 60.0)}
        assert (rows.pop("x/1")["status"], len(rows)) == ("sent", 13)
        assert {(row["status"], row["code"], row["to"]) for row in rows.values()} == {
            ("rejected", "content.toolong", chat)
        }
        assert peak_mb(program) < MOST_MB
        letters: Any = await bus.client.xrange(bus.keys("dead"))
        assert len(letters) == 13
        for _, letter in letters:
            assert msgpack.unpackb(letter[b"fields"])["body"] == body[:MAX_FIELD]
            assert json.loads(letter[b"clipped"])["fields"]["body"] == {
                "bytes": len(body),
                "sha256": hashlib.sha256(body[MAX_FIELD:]).hexdigest(),
            }
        await bus.client.delete(bus.keys("outbound"))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("ident", [f"{2**64 - 1}-{2**64 - 1}", f"{2**63}-7", f"{2**64 - 1}-0"])
async def test_a_pending_entry_with_a_late_id_ends_nothing(
    bus: Bus, redis_url: str, tmp_path: Path, ident: str
) -> None:
    outbound = bus.keys("outbound")
    await bus.ensure_group("outbound")
    await bus.client.xadd(outbound, {"to": "x", "id": "late/1"}, id=ident)
    await bus.client.xreadgroup(GROUP, CONSUMER, {outbound: ">"})
    # Behind the last letter as well: what pages and the command line read.
    await bus.client.xadd(bus.keys("dead"), {"v": "1"}, id=ident)
    async with system(bus, redis_url, tmp_path) as it:
        program = await it.adapter()
        chat = await chat_of_friend(it)
        results = {row["id"]: row["status"] for row in await it.results(1, 60.0)}
        assert results == {"late/1": "rejected"}
        await it.ask(chat, "hello", id="x/1", priority="high")
        await wait_until(lambda: it.sim.received, "it is sent", 60.0)
        assert program.process.poll() is None


async def test_nonsense_without_room_holds_no_request_back(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejector, "MAX_REFUSED", 100)
    monkeypatch.setattr(intake, "MAX_REFUSED", 100)
    monkeypatch.setattr(rejector, "BATCH", 1)
    monkeypatch.setattr(rejector, "MAX_REJECTED", 0.1)
    number = 3 * intake.READ_COUNT
    for start in range(0, number, 100):
        async with bus.client.pipeline(transaction=False) as pipe:
            for entry in range(start, start + 100):
                pipe.xadd(bus.keys("outbound"), {"to": "x", "id": f"bad/{entry}"})
            pipe.xadd(bus.keys("outbound"), {"to": f"friend:{start}", "text": "hello", "id": f"good/{start}"})
            await pipe.execute()
    async with reading(bus, tmp_path) as reader:
        await wait_until(lambda: len(reader.backlog) == number // 100, "all requests are read", 60.0)
        assert await bus.client.xlen(bus.keys("results")) < 5
        monkeypatch.setattr(rejector, "MAX_REJECTED", 10_000)
        monkeypatch.setattr(rejector, "BATCH", 100)

        async def settled() -> bool:
            return bool(await bus.client.xlen(bus.keys("results")) == number)

        await wait_until(settled, "the others are rejected", 90.0)
        assert await bus.pending_count("outbound") == number // 100
    rows: Any = await bus.client.xrange(bus.keys("results"))
    assert {fields[b"id"].decode() for _, fields in rows} == {f"bad/{entry}" for entry in range(number)}


async def test_beyond_the_known_high_is_read_and_each_chat_keeps_its_order(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAX_KNOWN", 4)
    asked = [("1", "normal")] * 6 + [("2", "high"), ("1", "high"), ("3", "normal"), ("4", "high")]
    for number, (chat, priority) in enumerate(asked):
        await bus.client.xadd(
            bus.keys("outbound"),
            {"to": f"friend:{chat}", "text": "hello", "id": f"a/{number}", "priority": priority},
        )
    order, heads = [], []
    async with reading(bus, tmp_path) as reader:
        await wait_until(lambda: len(reader.backlog) == 6, "what has room is read", 60.0)
        while len(order) < len(asked):
            await wait_until(lambda: len(reader.backlog), "more is read", 60.0)
            head = reader.backlog.pop(lambda _: True)
            assert head is not None
            order.append(head.id)
            heads.append(head)
            reader.backlog.release_chat(head.chat)
            reader.release(head)
            await bus.xack("outbound", head.entry)
        assert sorted(order[:2]) == ["a/6", "a/9"]
        in_order = [f"a/{number}" for number, (chat, _) in enumerate(asked) if chat == "1"]
        assert [ident for ident in order if ident in in_order] == in_order
        assert await bus.pending_count("outbound") == 0


async def test_what_is_not_held_is_read_when_it_is_its_turn(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        program = await it.adapter()
        chat = await chat_of_friend(it)
        await bus.client.xadd(bus.keys("control"), {"cmd": "pause"})
        # 150 requests of 200 kB: more than is held.
        segments = [{"type": "text", "data": {"text": "x"}}]
        body = msgpack.packb({"segments": segments, "padding": "x" * 200_000})
        await ask_many(it, [{"to": chat, "id": f"a/{n}", "body": body} for n in range(150)])
        await it.ask(chat, "", id="bad/1")
        await it.results(1, 30.0)  # all before it was read
        gone = (await bus.client.xrevrange(bus.keys("outbound"), count=2))[1][0]
        await bus.client.xdel(bus.keys("outbound"), gone)
        await bus.client.xadd(bus.keys("control"), {"cmd": "resume"})
        rows = {row["id"]: row for row in await it.results(151, 60.0)}
        assert rows["a/149"]["status"] == "rejected"
        assert "deleted" in rows["a/149"]["detail"]
        assert [rows[f"a/{n}"]["status"] for n in range(149)] == ["sent"] * 149
        assert len(it.sim.received) == 149
        assert peak_mb(program) < MOST_MB


@pytest.mark.timeout(180)
async def test_many_that_expire_at_once_delay_no_other(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        program = await it.adapter()
        for sender in ("friend:10001", "friend:20002"):
            it.sim.say(sender, "hi")
        one, other = (row["chat"] for row in await it.events(2))
        await bus.client.xadd(bus.keys("control"), {"cmd": "pause"})
        await wait_until(lambda: "command pause" in program.text(), "sends are held", 30.0)
        number, end = 4_000, time.time() + 15.0
        expires = timestamp(end)
        for start in range(0, number, 1_000):
            await ask_many(
                it,
                [
                    {"to": one, "text": "x", "id": f"big/{n}", "expires": expires}
                    for n in range(start, start + 1_000)
                ],
            )
        await wait_until(lambda: time.time() > end, "their time is over", 30.0)
        before = len(it.sim.received)
        await bus.client.xadd(bus.keys("control"), {"cmd": "resume"})
        await it.ask(other, "urgent", id="small/1", priority="high")
        await wait_until(lambda: "urgent" in [m.text for m in it.sim.received], "it is sent", 60.0)
        assert len(it.sim.received) - before < 5
        assert await bus.client.xlen(bus.keys("results")) < number / 2
        assert len(await it.results(number + 1, 90.0)) == number + 1
