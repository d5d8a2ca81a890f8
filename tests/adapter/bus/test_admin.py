"""Proof of adapter/bus/admin.py: what the operator's commands ask of Redis, and what they leave behind."""

from typing import Any

import anyio
import pytest
import redis.asyncio as redis

from adapter.bus import groups
from adapter.bus.admin import CONTROL_ENTRIES, PAGE_SIZE, AdminClient, MonitorClient
from adapter.bus.bus import Bus
from adapter.bus.clipped_reader import MAX_VALUE
from adapter.errors import BusUnavailable
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


async def test_a_long_stream_is_read_page_by_page_and_whole(bus: Bus, redis_url: str) -> None:
    async with bus.client.pipeline() as pipe:
        for number in range(2 * PAGE_SIZE + 7):
            pipe.xadd(bus.keys("inbound"), {"n": str(number)})
        await pipe.execute()
    async with AdminClient.open(redis_url, bus.keys.prefix) as desk:
        numbers = [int(fields[b"n"]) async for _, fields in desk.entries("inbound")]
        assert numbers == list(range(2 * PAGE_SIZE + 7))
        assert [fields[b"n"] for _, fields in await desk.last_entries("inbound", 2)] == [b"1005", b"1006"]
        assert await desk.xlen("inbound") == 2 * PAGE_SIZE + 7


async def test_following_waits_for_what_is_new_and_takes_it_from_nobody(bus: Bus, redis_url: str) -> None:
    await bus.ensure_group("outbound")
    async with AdminClient.open(redis_url, bus.keys.prefix) as desk:
        after = await desk.last_id("outbound")
        assert after == "0-0"
        assert await desk.tail("outbound", after, 1) == []

        async def add() -> None:
            await bus.client.xadd(bus.keys("outbound"), {"to": "x"})

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(add)
            ((entry, fields),) = await desk.tail("outbound", after, 5_000)
        assert fields == {b"to": b"x"}
        assert [one for one, _ in await bus.read_new("outbound", 10)] == [entry]


async def test_a_redrive_is_one_step_that_is_done_once_however_often_it_is_asked_for(
    bus: Bus, redis_url: str
) -> None:
    letter: Any = await bus.client.xadd(bus.keys("dead"), {"reason": "x"})
    entry, stream = letter.decode(), bus.keys("outbound")
    answers: list[str] = []

    async def ask() -> None:
        async with AdminClient.open(redis_url, bus.keys.prefix) as desk:
            answers.append(await desk.redrive(entry, stream, ["to", "friend:1", "blob", b"\xff\x00"]))

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(ask)
    assert len([answer for answer in answers if answer]) == 1
    rows: Any = await bus.client.xrange(stream)
    assert [fields for _, fields in rows] == [{b"to": b"friend:1", b"blob": b"\xff\x00"}]
    assert await bus.client.xlen(bus.keys("dead")) == 0


async def test_what_a_group_has_not_finished_is_told_however_much_it_is(bus: Bus, redis_url: str) -> None:
    await bus.ensure_group("inbound", "bot")
    async with bus.client.pipeline() as pipe:
        for number in range(PAGE_SIZE + 10):
            pipe.xadd(bus.keys("inbound"), {"n": str(number)})
        await pipe.execute()
    await bus.client.xreadgroup("bot", "c", {bus.keys("inbound"): ">"}, count=PAGE_SIZE + 5)
    async with AdminClient.open(redis_url, bus.keys.prefix) as desk:
        last, pending = await desk.group_progress("inbound", "bot")
        assert len(pending) == PAGE_SIZE + 5
        assert last == max(pending, key=lambda one: tuple(map(int, one.split("-"))))
        assert await desk.group_progress("inbound", "nobody") == ("0-0", set())
        assert await desk.group_progress("nothing", "bot") == ("0-0", set())
        (group,) = await desk.groups("inbound")
        assert (group.name, group.pending, group.lag) == ("bot", PAGE_SIZE + 5, 5)
        assert group.oldest == min(pending, key=lambda one: tuple(map(int, one.split("-"))))


@pytest.mark.parametrize("numbered", [True, False])
async def test_unread_entries_are_counted_where_redis_does_not(
    bus: Bus, redis_url: str, *, numbered: bool
) -> None:
    entries: list[Any] = []
    for number in range(20):
        fields: dict[Any, Any] = {"seq": str(100 + number)} if numbered else {"n": str(number)}
        entries.append(await bus.client.xadd(bus.keys("inbound"), fields))
    # A group that begins inside the stream: Redis tells no lag.
    await bus.client.xgroup_create(bus.keys("inbound"), "late", entries[12])
    async with AdminClient.open(redis_url, bus.keys.prefix) as admin:
        (group,) = await admin.groups("inbound")
        assert group.lag == 7
        await bus.client.xgroup_setid(bus.keys("inbound"), "late", "$")
        (group,) = await admin.groups("inbound")
        assert group.lag == 0


async def test_a_consumer_that_has_not_asked_for_long_is_gone(
    bus: Bus, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bus.client.xadd(bus.keys("inbound"), {"n": "1"})
    await bus.client.xgroup_create(bus.keys("inbound"), "bot", "0")
    await bus.client.xreadgroup("bot", "old", {bus.keys("inbound"): ">"})
    async with AdminClient.open(redis_url, bus.keys.prefix) as admin:
        (group,) = await admin.groups("inbound")
        assert (group.consumers, group.gone) == (1, 0)
        monkeypatch.setattr(groups, "GONE_MS", 100)
        await anyio.sleep(0.2)
        await bus.client.xreadgroup("bot", "new", {bus.keys("inbound"): ">"})
        (group,) = await admin.groups("inbound")
        assert (group.consumers, group.gone) == (1, 1)


async def test_commands_do_not_pile_up(bus: Bus, redis_url: str) -> None:
    async with AdminClient.open(redis_url, bus.keys.prefix) as desk:
        for _ in range(CONTROL_ENTRIES + 200):
            await desk.send_command("refresh", "me")
    assert await bus.client.xlen(bus.keys("control")) < CONTROL_ENTRIES + 200


async def test_a_cancelled_wait_leaves_no_connection_behind(bus: Bus, redis_url: str) -> None:
    async def ours() -> int:
        rows: Any = await bus.client.client_list()
        return sum(row["name"] == "qqbus" for row in rows)

    before = await ours()
    with anyio.move_on_after(0.2):
        async with AdminClient.open(redis_url, bus.keys.prefix) as desk:
            await desk.tail("inbound", "$")
    assert await ours() == before


async def test_no_redis_is_said_without_the_password(bus: Bus) -> None:
    url = f"redis://user:secret@127.0.0.1:{free_port()}"
    with pytest.raises(BusUnavailable, match="is REDIS_URL right") as caught:
        async with AdminClient.open(url, bus.keys.prefix):
            pass
    assert "secret" not in str(caught.value)


async def test_a_sweep_deletes_what_is_under_its_prefix_and_nothing_else(bus: Bus, redis_url: str) -> None:
    mine, other = f"{bus.keys.prefix}-trial", f"{bus.keys.prefix}-tria"
    client = redis.Redis.from_url(redis_url)
    try:
        await client.set(f"{other}:inbound", "x", ex=60)
        async with AdminClient.open(redis_url, mine) as desk:
            await desk.xadd("inbound", {"a": "b"})
            await desk.delete_all()
            assert await desk.xlen("inbound") == 0
        assert await client.delete(f"{other}:inbound") == 1
    finally:
        await client.aclose()


async def test_what_workers_wrote_is_clipped_before_it_is_sent(bus: Bus, redis_url: str) -> None:
    for number in range(8):
        fields: Any = {"to": "x", "body": b"x" * 3 * MAX_VALUE, "n": str(number)}
        await bus.client.xadd(bus.keys("outbound"), fields)
    monitor = MonitorClient.from_url(redis_url, bus.keys.prefix)
    try:
        newest = await monitor.last_entries("outbound", 5)
        assert [fields[b"n"] for _, fields in newest] == [b"3", b"4", b"5", b"6", b"7"]
        assert {len(fields[b"body"]) for _, fields in newest} == {MAX_VALUE}
        assert [entry async for entry in monitor.entries("outbound")][3:] == newest
        assert await monitor.get_entry("outbound", newest[0][0]) == newest[0][1]
        # Waiting takes no large reply either.
        assert await monitor.wait_changed({"outbound": "0-0", "dead": "0-0"}, 1000) == ["outbound", "dead"]
    finally:
        await monitor.close()


async def test_a_late_id_hides_nothing(bus: Bus, redis_url: str) -> None:
    last, dead = f"{2**64 - 1}-{2**64 - 1}", bus.keys("dead")
    await bus.client.xadd(dead, {"n": "1"}, id="1-1")
    await bus.client.xadd(dead, {"n": "2"}, id=last)
    await bus.client.xgroup_create(bus.keys("inbound"), "late", id=last, mkstream=True)
    async with AdminClient.open(redis_url, bus.keys.prefix) as desk:
        assert [entry async for entry, _ in desk.entries("dead")] == ["1-1", last]
        assert await desk.last_entries("dead", 5, last) == []
        assert [group.name for group in await desk.groups("inbound")] == ["late"]
