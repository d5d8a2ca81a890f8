"""Proof of adapter/bus/retention.py and its scripts: no entry that a group needs is trimmed."""

import itertools
import time
from pathlib import Path

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.bus.retention import Retention, Trimmed
from adapter.bus.spool.log import Spool
from adapter.bus.spool.publisher import DurablePublisher
from adapter.codec.inbound import RecordContext, encode_session_event
from adapter.errors import BusUnavailable
from adapter.events import Gap
from tests.support.helpers import quiet
from tests.support.small_disk import filled, small_disk

pytestmark = pytest.mark.anyio
KEPT = {"inbound": 10}
# Where a double cannot tell neighbours apart, and where the second half of an id ends.
HALVES = (0, 1, 2**53 - 1, 2**53, 2**53 + 1, 2**64 - 2, 2**64 - 1)
IDS = list(itertools.product(HALVES, HALVES))


class Desk:
    """A retention with what it needs."""

    def __init__(self, bus: Bus, cap: int = 1000) -> None:
        self.bus = bus
        self.alarms: list[str] = []
        self.gaps: list[Gap] = []
        self.key = bus.keys("inbound")
        self.lease = Lease(bus, "a", 30.0, time.monotonic)
        self.retention = Retention(
            bus, self.lease, self.alarms.append, self.gap, time.time, cap=cap, kept=KEPT
        )

    async def gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    async def add(self, count: int) -> list[str]:
        made = [await self.bus.client.xadd(self.key, {"n": str(n)}) for n in range(count)]
        return [entry.decode() for entry in made]

    async def read(self, group: str, count: int) -> list[str]:
        answer = await self.bus.client.xreadgroup(group, "c", {self.key: ">"}, count=count)
        return [entry.decode() for entry, _ in answer[0][1]]

    async def left(self) -> int:
        return int(await self.bus.client.xlen(self.key))


async def a_desk(bus: Bus, cap: int = 1000) -> Desk:
    desk = Desk(bus, cap)
    await desk.lease.acquire()
    return desk


async def test_without_groups_the_last_entries_stay_for_a_replay(bus: Bus) -> None:
    desk = await a_desk(bus)
    entries = await desk.add(50)
    await desk.retention.run_once()
    assert await desk.left() == 10
    assert (await bus.client.xrange(desk.key))[0][0].decode() == entries[40]


async def test_what_a_group_has_not_read_stays(bus: Bus) -> None:
    desk = await a_desk(bus)
    await bus.ensure_group("inbound", "slow")
    await bus.ensure_group("inbound", "quick")
    entries = await desk.add(50)
    await bus.client.xack(desk.key, "quick", *await desk.read("quick", 50))
    await bus.client.xack(desk.key, "slow", *await desk.read("slow", 20))
    await desk.retention.run_once()
    assert await desk.left() == 30
    assert (await desk.read("slow", 1)) == [entries[20]]


async def test_what_is_pending_stays(bus: Bus) -> None:
    desk = await a_desk(bus)
    await bus.ensure_group("inbound", "g")
    entries = await desk.add(50)
    read = await desk.read("g", 50)
    await bus.client.xack(desk.key, "g", *(entry for entry in read if entry != entries[5]))
    await desk.retention.run_once()
    assert await desk.left() == 45
    await bus.client.xack(desk.key, "g", entries[5])
    await desk.retention.run_once()
    assert await desk.left() == 10


async def test_a_lapsed_group_holds_nothing_back(bus: Bus) -> None:
    desk = await a_desk(bus)
    await bus.ensure_group("inbound", "gone")
    await desk.add(50)
    await desk.retention.run_once()
    assert await desk.left() == 50
    await desk.retention.lapse("gone")
    await desk.retention.run_once()
    assert await desk.left() == 10
    await desk.retention.lapse("gone", lapsed=False)
    await desk.add(50)
    await desk.retention.run_once()
    assert await desk.left() == 60


async def test_the_cap_warns_before_and_counts_what_it_drops(bus: Bus) -> None:
    desk = await a_desk(bus, cap=60)
    await bus.ensure_group("inbound", "stuck")
    await desk.add(50)
    await desk.retention.run_once()
    assert len(desk.alarms) == 1
    assert "'stuck' does not acknowledge" in desk.alarms[0]
    await desk.add(30)
    await desk.retention.run_once()
    assert await desk.left() == 60
    assert desk.retention.dropped == 20
    assert "20 entries of inbound were dropped unread" in desk.alarms[1]
    (gap,) = desk.gaps
    assert 0 < gap.since <= gap.until <= time.time()


async def test_a_loss_that_the_disk_has_no_room_for_is_told_to_the_workers_later(
    bus: Bus, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 64) as disk, Spool(disk / "s") as spool:
        desk = await a_desk(bus, cap=60)
        journal = DurablePublisher(bus, desk.lease, spool, lambda *_: None, quiet)

        async def tell(gap: Gap) -> None:
            journal.append("1", [encode_session_event(gap, RecordContext("1", 1, time.time()))])
            await journal.flush()
            desk.gaps.append(gap)

        desk.retention = Retention(bus, desk.lease, desk.alarms.append, tell, time.time, cap=60, kept=KEPT)
        await bus.ensure_group("inbound", "stuck")
        filler = filled(disk, 0)
        await desk.add(80)
        await desk.retention.run_once()
        await desk.add(5)
        await desk.retention.run_once()
        await desk.retention.run_once()
        assert desk.retention.dropped == 25
        dropped = [words for words in desk.alarms if "dropped unread" in words]
        assert [words.partition(" ")[0] for words in dropped] == ["20", "5"]
        assert desk.gaps == []
        filler.unlink()
        await desk.retention.run_once()
        assert [gap.reason.partition(" ")[0] for gap in desk.gaps] == ["25"]
        newest = (await bus.client.xrevrange(desk.key, count=1))[0][1]
        assert newest[b"type"] == b"session.gap"


async def test_a_loss_is_told_though_redis_went_away_in_the_middle_of_it(bus: Bus) -> None:
    class Interrupted(Retention):
        looks = 0

        async def trim(self, stream: str) -> Trimmed:
            self.looks += 1
            if self.looks == 2:
                raise BusUnavailable("it went away")
            return await super().trim(stream)

    desk = await a_desk(bus)
    desk.retention = Interrupted(bus, desk.lease, desk.alarms.append, desk.gap, time.time, cap=60, kept=KEPT)
    await bus.ensure_group("inbound", "stuck")
    await desk.add(80)
    with pytest.raises(BusUnavailable):
        await desk.retention.run_once()
    assert (desk.alarms, desk.gaps) == ([], [])
    await desk.retention.run_once()
    assert "20 entries of inbound were dropped unread" in desk.alarms[0]
    assert len(desk.gaps) == 1


async def test_the_cap_in_bytes_is_kept_too(bus: Bus) -> None:
    desk = await a_desk(bus)
    desk.retention = Retention(
        bus, desk.lease, desk.alarms.append, desk.gap, time.time, cap_bytes=200_000, kept=KEPT
    )
    await bus.ensure_group("inbound", "stuck")
    for _ in range(100):
        await bus.client.xadd(desk.key, {"body": b"x" * 4000})
    await desk.retention.run_once()
    await desk.retention.run_once()
    assert int(await bus.client.memory_usage(desk.key) or 0) < 260_000
    assert any("dropped unread" in words for words in desk.alarms)


async def test_many_entries_go_in_steps(bus: Bus) -> None:
    desk = await a_desk(bus)
    async with bus.client.pipeline(transaction=False) as pipe:
        for number in range(5000):
            pipe.xadd(desk.key, {"n": str(number)})
        await pipe.execute()
    await desk.retention.run_once()
    assert await desk.left() == 10


async def test_poison_is_buried_with_its_bytes(bus: Bus) -> None:
    desk = await a_desk(bus)
    await bus.ensure_group("inbound", "g")
    body = bytes(range(256)) * 300
    entry = (await bus.client.xadd(desk.key, {"id": "x", "text": "a" * 300, "body": body})).decode()
    await desk.read("g", 1)
    await bus.client.xclaim(desk.key, "g", "c", 0, [entry], idle=120_000, retrycount=10)
    await desk.retention.run_once()
    (dead,) = [fields for _, fields in await bus.client.xrange(bus.keys("dead"))]
    assert dead[b"entry"].decode() == entry
    assert (dead[b"group"], dead[b"consumer"], dead[b"reason"]) == (b"g", b"c", b"poison")
    assert dead[b"attempts"] == b"10"
    assert msgpack.unpackb(dead[b"fields"]) == {"id": b"x", "text": b"a" * 300, "body": body}
    assert (await bus.client.xpending(desk.key, "g"))["pending"] == 0


async def test_what_was_acknowledged_meanwhile_is_not_buried(bus: Bus) -> None:
    desk = await a_desk(bus)
    await bus.ensure_group("inbound", "g")
    (entry,) = await desk.add(1)
    await desk.read("g", 1)
    await bus.client.xack(desk.key, "g", entry)
    assert not await desk.retention.dead_letter(b"g", b"c", entry, 10, "poison", "")
    assert await bus.client.xlen(bus.keys("dead")) == 0


def shown(ident: tuple[int, int]) -> str:
    return f"{ident[0]}-{ident[1]}"


def expected(
    entries: list[tuple[int, int]], needs: list[tuple[int, int]], keep: int, cap: int
) -> tuple[list[tuple[int, int]], int]:
    """What is left of a stream, and how many unread entries are dropped; `needs`: each group's oldest."""
    if len(entries) <= keep:
        return entries, 0
    target = entries[-keep]
    needed = min([*needs, target])
    first = needed
    if needed < target and len(entries) > cap:
        first = max(needed, entries[min(len(entries) - cap, len(entries) - keep)])
    return [entry for entry in entries if entry >= first], sum(needed <= entry < first for entry in entries)


@given(
    entries=st.lists(st.sampled_from(IDS[1:]), min_size=1, max_size=12, unique=True).map(sorted),
    groups=st.lists(st.tuples(st.sampled_from(IDS), st.integers(0, 4), st.integers(0, 4)), max_size=3),
    keep=st.integers(1, 4),
    cap=st.integers(4, 14),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_ids_of_any_size_are_compared_exactly(
    bus: Bus,
    entries: list[tuple[int, int]],
    groups: list[tuple[tuple[int, int], int, int]],
    keep: int,
    cap: int,
) -> None:
    key, needs = bus.keys("inbound"), []
    await bus.client.delete(key, bus.keys("ids:epoch"), bus.keys("lease"))
    for entry in entries:
        await bus.client.xadd(key, {"n": "1"}, id=shown(entry))
    for number, (start, read, acked) in enumerate(groups):
        name = f"g{number}"
        await bus.client.xgroup_create(key, name, id=shown(start))
        unread = [entry for entry in entries if entry > start]
        if read:
            await bus.client.xreadgroup(name, "c", {key: ">"}, count=read)
            for entry in unread[: min(read, acked)]:
                await bus.client.xack(key, name, shown(entry))
            unread = unread[min(read, acked) :]
        needs += unread[:1]
    desk = await a_desk(bus)
    desk.retention = Retention(
        bus, desk.lease, desk.alarms.append, desk.gap, time.time, cap=cap, kept={"inbound": keep}
    )
    left, dropped = expected(entries, needs, keep, cap)
    result = await desk.retention.trim("inbound")
    assert [row[0].decode() for row in await bus.client.xrange(key)] == [shown(entry) for entry in left]
    assert (result.left, result.dropped) == (len(left), dropped)


async def test_a_group_that_begins_now_ends_nothing(bus: Bus) -> None:
    desk = await a_desk(bus)
    entries = await desk.add(50)
    await bus.client.xgroup_create(desk.key, "replay", id=f"{entries[20].partition('-')[0]}-{2**64 - 1}")
    await desk.retention.run_once()
    first = (await bus.client.xrange(desk.key, count=1))[0][0].decode()
    assert int(first.partition("-")[0]) > int(entries[20].partition("-")[0])
    assert (await desk.read("replay", 1)) == [first]


async def test_a_group_name_that_is_not_utf8_stays_its_bytes(bus: Bus) -> None:
    desk = await a_desk(bus, cap=60)
    name: str = b"\xff\xfebot"  # type: ignore[assignment] – redis-py's types know text alone
    await bus.client.xgroup_create(desk.key, name, id="0", mkstream=True)
    await desk.add(50)
    (entry,) = await desk.read(name, 1)
    await bus.client.xclaim(desk.key, name, "c", 0, [entry], idle=120_000, retrycount=10)
    await desk.retention.run_once()
    assert "group '\ufffd\ufffdbot' does not acknowledge" in desk.alarms[0]
    (dead,) = [fields for _, fields in await bus.client.xrange(bus.keys("dead"))]
    assert (dead[b"group"], dead[b"entry"].decode()) == (b"\xff\xfebot", entry)
    await desk.retention.lapse(b"\xff\xfebot")
    await desk.retention.run_once()
    assert await desk.left() == 10
