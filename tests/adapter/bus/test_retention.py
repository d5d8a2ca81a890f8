"""Proof of adapter/bus/retention.py and its scripts: no entry that a group needs is trimmed."""

import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.bus.ledger import OWN_STREAMS
from adapter.bus.retention import Retention, Trimmed
from adapter.bus.spool.log import Spool
from adapter.bus.spool.publisher import DurablePublisher
from adapter.bus.spool.replay import split_record
from adapter.codec.inbound import EventRecord
from adapter.errors import BusUnavailable
from adapter.ops.metrics import Metrics
from tests.support.small_disk import filled, small_disk

pytestmark = pytest.mark.anyio
KEPT = {"inbound": 10}
MB = 1024 * 1024
# Where a double cannot tell neighbours apart, and where the second half of an id ends.
HALVES = (0, 1, 2**53 - 1, 2**53, 2**53 + 1, 2**64 - 2, 2**64 - 1)
IDS = list(itertools.product(HALVES, HALVES))

MakeDesk = Callable[..., Awaitable["Desk"]]


def gap_of(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = msgpack.unpackb(body)
    return found


class Desk:
    """A retention with what it needs. Its gaps stay in the spool: in the stream they would be trimmed too."""

    def __init__(self, bus: Bus, spool: Spool, cap: int) -> None:
        self.bus = bus
        self.spool = spool
        self.key = bus.keys("inbound")
        self.lease = Lease(bus, "a", 30.0, time.monotonic)
        self.publisher = DurablePublisher(bus, self.lease, spool)
        self.publisher.append("1", [])
        self.publisher.disconnected = True
        self.retention = self.made(cap=cap)

    def made(self, kind: type[Retention] = Retention, **options: Any) -> Retention:
        return kind(self.bus, self.lease, self.publisher, time.time, **{"kept": KEPT} | options)

    def gaps(self) -> list[dict[str, Any]]:
        """Take the gaps that wait in the spool."""
        found = []
        while (payload := self.spool.peek()) is not None:
            found += [
                gap_of(EventRecord(*row).body) for row in msgpack.unpackb(split_record(payload)[1], raw=True)
            ]
            self.spool.advance()
        return found

    async def add(self, count: int) -> list[str]:
        made = [await self.bus.client.xadd(self.key, {"n": str(n)}) for n in range(count)]
        return [entry.decode() for entry in made]

    async def read(self, group: str, count: int) -> list[str]:
        answer = await self.bus.client.xreadgroup(group, "c", {self.key: ">"}, count=count)
        return [entry.decode() for entry, _ in answer[0][1]]

    async def left(self) -> int:
        return int(await self.bus.client.xlen(self.key))


@pytest.fixture
def a_desk(bus: Bus, tmp_path: Path) -> Iterator[MakeDesk]:
    """Make a desk that holds the lease."""
    with Spool(tmp_path / "spool") as spool:

        async def make(cap: int = 1000) -> Desk:
            desk = Desk(bus, spool, cap)
            await desk.lease.acquire()
            return desk

        yield make


async def test_without_groups_the_last_entries_stay_for_a_replay(bus: Bus, a_desk: MakeDesk) -> None:
    desk = await a_desk()
    entries = await desk.add(50)
    await desk.retention.run_once()
    assert await desk.left() == 10
    assert (await bus.client.xrange(desk.key))[0][0].decode() == entries[40]


async def test_what_a_group_has_not_read_stays(bus: Bus, a_desk: MakeDesk) -> None:
    desk = await a_desk()
    await bus.ensure_group("inbound", "slow")
    await bus.ensure_group("inbound", "quick")
    entries = await desk.add(50)
    await bus.client.xack(desk.key, "quick", *await desk.read("quick", 50))
    await bus.client.xack(desk.key, "slow", *await desk.read("slow", 20))
    await desk.retention.run_once()
    assert await desk.left() == 30
    assert (await desk.read("slow", 1)) == [entries[20]]


async def test_what_is_pending_stays(bus: Bus, a_desk: MakeDesk) -> None:
    desk = await a_desk()
    await bus.ensure_group("inbound", "g")
    entries = await desk.add(50)
    read = await desk.read("g", 50)
    await bus.client.xack(desk.key, "g", *(entry for entry in read if entry != entries[5]))
    await desk.retention.run_once()
    assert await desk.left() == 45
    await bus.client.xack(desk.key, "g", entries[5])
    await desk.retention.run_once()
    assert await desk.left() == 10


async def test_a_lapsed_group_holds_nothing_back(bus: Bus, a_desk: MakeDesk) -> None:
    desk = await a_desk()
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


async def test_the_cap_warns_before_and_counts_what_it_drops(
    bus: Bus, a_desk: MakeDesk, caplog: pytest.LogCaptureFixture
) -> None:
    desk = await a_desk(cap=60)
    await bus.ensure_group("inbound", "stuck")
    await desk.add(50)
    await desk.retention.run_once()
    (alarm,) = caplog.messages
    assert "'stuck' does not acknowledge" in alarm
    await desk.add(30)
    await desk.retention.run_once()
    assert await desk.left() == 60
    assert desk.retention.dropped == 20
    assert "20 entries of inbound were dropped unread" in caplog.messages[1]
    (gap,) = desk.gaps()
    assert gap["reason"].startswith("20 entries")
    since, until = (datetime.fromisoformat(gap[name]).timestamp() for name in ("since", "until"))
    assert 0 < since <= until <= time.time()


async def test_a_loss_that_the_disk_has_no_room_for_is_told_to_the_workers_later(
    bus: Bus, a_desk: MakeDesk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(tmp_path / "disk", 64) as disk, Spool(disk / "s") as spool:
        desk = await a_desk(cap=60)
        desk.publisher = DurablePublisher(bus, desk.lease, spool)
        desk.publisher.append("1", [])
        desk.retention = desk.made(cap=60)
        await bus.ensure_group("inbound", "stuck")
        filler = filled(disk, 0)
        await desk.add(80)
        await desk.retention.run_once()
        await desk.add(5)
        await desk.retention.run_once()
        await desk.retention.run_once()
        assert desk.retention.dropped == 25
        dropped = [words for words in caplog.messages if "dropped unread" in words]
        assert [words.partition(" ")[0] for words in dropped] == ["20", "5"]
        assert spool.unpublished == 0
        filler.unlink()
        await desk.retention.run_once()
        newest = (await bus.client.xrevrange(desk.key, count=1))[0][1]
        assert newest[b"type"] == b"session.gap"
        assert gap_of(newest[b"body"])["reason"].startswith("25 entries")


async def test_a_loss_is_told_though_redis_went_away_in_the_middle_of_it(
    bus: Bus, a_desk: MakeDesk, caplog: pytest.LogCaptureFixture
) -> None:
    class Interrupted(Retention):
        looks = 0

        async def trim(self, stream: str) -> Trimmed:
            self.looks += 1
            if self.looks == 2:
                raise BusUnavailable("it went away")
            return await super().trim(stream)

    desk = await a_desk()
    desk.retention = desk.made(Interrupted, cap=60)
    await bus.ensure_group("inbound", "stuck")
    await desk.add(80)
    with pytest.raises(BusUnavailable):
        await desk.retention.run_once()
    assert (caplog.messages, desk.gaps()) == ([], [])
    await desk.retention.run_once()
    assert "20 entries of inbound were dropped unread" in caplog.messages[0]
    assert len(desk.gaps()) == 1


async def test_the_cap_in_bytes_is_kept_too(
    bus: Bus, a_desk: MakeDesk, caplog: pytest.LogCaptureFixture
) -> None:
    desk = await a_desk()
    desk.retention = desk.made(cap_bytes=200_000)
    await bus.ensure_group("inbound", "stuck")
    for _ in range(100):
        await bus.client.xadd(desk.key, {"body": b"x" * 4000})
    await desk.retention.run_once()
    await desk.retention.run_once()
    assert int(await bus.client.memory_usage(desk.key) or 0) < 260_000
    assert "dropped unread" in caplog.text


async def test_many_entries_go_in_steps(bus: Bus, a_desk: MakeDesk) -> None:
    desk = await a_desk()
    async with bus.client.pipeline(transaction=False) as pipe:
        for number in range(5000):
            pipe.xadd(desk.key, {"n": str(number)})
        await pipe.execute()
    await desk.retention.run_once()
    assert await desk.left() == 10


async def test_poison_is_buried_with_its_bytes(bus: Bus, a_desk: MakeDesk) -> None:
    desk = await a_desk()
    await bus.ensure_group("inbound", "g")
    body = bytes(range(256)) * 200
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


async def test_what_was_acknowledged_meanwhile_is_not_buried(bus: Bus, a_desk: MakeDesk) -> None:
    desk = await a_desk()
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
    """Return what is left of a stream, and the number of dropped unread entries; `needs`: each group's oldest."""
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
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_ids_of_any_size_are_compared_exactly(
    bus: Bus,
    a_desk: MakeDesk,
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
    desk = await a_desk()
    desk.retention = desk.made(cap=cap, kept={"inbound": keep})
    left, dropped = expected(entries, needs, keep, cap)
    result = await desk.retention.trim("inbound")
    assert [row[0].decode() for row in await bus.client.xrange(key)] == [shown(entry) for entry in left]
    assert (result.left, result.dropped) == (len(left), dropped)


async def test_a_group_that_begins_now_ends_nothing(bus: Bus, a_desk: MakeDesk) -> None:
    desk = await a_desk()
    entries = await desk.add(50)
    await bus.client.xgroup_create(desk.key, "replay", id=f"{entries[20].partition('-')[0]}-{2**64 - 1}")
    await desk.retention.run_once()
    first = (await bus.client.xrange(desk.key, count=1))[0][0].decode()
    assert int(first.partition("-")[0]) > int(entries[20].partition("-")[0])
    assert (await desk.read("replay", 1)) == [first]


async def test_a_group_name_that_is_not_utf8_stays_its_bytes(
    bus: Bus, a_desk: MakeDesk, caplog: pytest.LogCaptureFixture
) -> None:
    desk = await a_desk(cap=60)
    name: str = b"\xff\xfebot"  # type: ignore[assignment] – redis-py's types know text alone
    await bus.client.xgroup_create(desk.key, name, id="0", mkstream=True)
    await desk.add(50)
    (entry,) = await desk.read(name, 1)
    await bus.client.xclaim(desk.key, name, "c", 0, [entry], idle=120_000, retrycount=10)
    await desk.retention.run_once()
    assert "group '\ufffd\ufffdbot' does not acknowledge" in caplog.messages[0]
    (dead,) = [fields for _, fields in await bus.client.xrange(bus.keys("dead"))]
    assert (dead[b"group"], dead[b"entry"].decode()) == (b"\xff\xfebot", entry)
    await desk.retention.lapse(b"\xff\xfebot")
    await desk.retention.run_once()
    assert await desk.left() == 10


async def test_bytes_count_before_what_is_kept_for_a_replay(bus: Bus, a_desk: MakeDesk) -> None:
    desk = await a_desk()
    metrics = Metrics()
    desk.retention = desk.made(cap_bytes=MB, kept={"inbound": 1000, "dead": 1000}, reporter=metrics)
    for _ in range(200):
        await bus.client.xadd(bus.keys("dead"), {"body": b"x" * 50_000})
        await bus.client.xadd(desk.key, {"body": b"x" * 50_000})
    await desk.retention.run_once()
    for stream in ("dead", "inbound"):
        assert int(await bus.client.memory_usage(bus.keys(stream)) or 0) < 1.3 * MB
    assert (desk.retention.dropped, metrics.bus_faults()) == (0, {})


async def test_a_loss_is_counted_and_raises_an_alarm(bus: Bus, a_desk: MakeDesk) -> None:
    desk = await a_desk()
    metrics = Metrics()
    desk.retention = desk.made(cap=60, reporter=metrics)
    await bus.ensure_group("inbound", "stuck")
    await desk.add(80)
    await desk.retention.run_once()
    assert b'qqbus_dropped_total{stream="inbound"} 20.0' in metrics.expose(None, 0, 0, 0)
    assert list(metrics.bus_faults()) == ["retention.dropped.inbound", "retention.full.inbound"]
    assert "'stuck' does not acknowledge" in metrics.bus_faults()["retention.full.inbound"]


async def test_a_stream_takes_a_share_of_the_memory_of_a_small_server(bus: Bus, a_desk: MakeDesk) -> None:
    class Small(Retention):
        async def _maxmemory(self) -> int:
            return 5 * MB

    desk = await a_desk()
    desk.retention = desk.made(Small, kept={"inbound": 1000})
    for _ in range(200):
        await bus.client.xadd(desk.key, {"body": b"x" * 50_000})
    await desk.retention.run_once()
    assert int(await bus.client.memory_usage(desk.key) or 0) < 1.3 * MB


async def test_result_streams_of_workers_have_a_bound_in_bytes(bus: Bus, a_desk: MakeDesk) -> None:
    desk = await a_desk()
    mine = bus.keys("results:mine")
    for _ in range(100):
        await bus.client.xadd(mine, {"data": b"x" * 100_000})
    await bus.client.expire(mine, 60)
    await bus.client.hset(bus.keys(OWN_STREAMS), mapping={mine: "60", bus.keys("results:gone"): "60"})
    await desk.retention.run_once()
    assert await bus.client.xlen(mine) == 50
    assert list(await bus.hgetall(bus.keys(OWN_STREAMS))) == [mine]
    await bus.client.delete(bus.keys(OWN_STREAMS))
