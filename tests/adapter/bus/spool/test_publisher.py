"""Prove adapter/bus/spool/publisher.py: whatever Redis does, events come in order, once."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgpack
import pytest

from adapter.bus.bus import Bus, pack_batch
from adapter.bus.embedded import run_server
from adapter.bus.lease import Lease
from adapter.bus.spool import checkpoint
from adapter.bus.spool.log import Spool
from adapter.bus.spool.publisher import LOOK_EVERY, DurablePublisher
from adapter.codec.inbound import EventRecord
from tests.support.helpers import wait_until
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


def draft(number: int) -> EventRecord:
    return EventRecord(
        f"1.g5.2.{number}.3.ab",
        "message.group",
        "2015-10-24T02:25:07.000Z",
        "group:5",
        "2",
        "0",
        str(number),
        b"\x80",
    )


class Desk:
    """A journal with what it needs."""

    def __init__(self, bus: Bus, spool: Spool) -> None:
        self.bus = bus
        self.lease = Lease(bus, "a", 30.0, time.monotonic)
        self.journal = DurablePublisher(bus, self.lease, spool)

    async def add(self, account: str, drafts: list[EventRecord]) -> None:
        """Store a batch: it is on disk when this returns, and on the bus unless Redis is away."""
        self.journal.append(account, drafts)
        await self.journal.sync()
        await self.journal.publish()

    async def texts(self) -> list[str]:
        rows = await self.bus.client.xrange(self.bus.keys("inbound"))
        assert [int(fields[b"seq"]) for _, fields in rows] == sorted({int(f[b"seq"]) for _, f in rows})
        return [fields[b"text"].decode() for _, fields in rows]


async def test_a_batch_is_on_the_bus_when_add_returns(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        desk = Desk(bus, spool)
        await desk.lease.acquire()
        await desk.add("1", [draft(n) for n in range(1200)])
        assert await desk.texts() == [str(n) for n in range(1200)]
        assert desk.journal.seq == 1200


async def test_a_repeated_batch_adds_nothing(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        desk = Desk(bus, spool)
        await desk.lease.acquire()
        await desk.add("1", [draft(1)])
        await desk.add("1", [draft(1), draft(2)])
        assert await desk.texts() == ["1", "2"]


async def test_while_redis_is_away_batches_wait_on_disk_and_come_in_order(tmp_path: Path) -> None:
    port = free_port()
    with Spool(tmp_path / "spool") as spool:
        async with Bus.open(f"redis://127.0.0.1:{port}", "qq") as bus:
            desk, stop = Desk(bus, spool), anyio.Event()
            async with run_server(tmp_path / "redis", port):
                await desk.lease.acquire()
                await desk.add("1", [draft(0)])
            for number in range(1, 300):
                await desk.add("1", [draft(number)])
            assert desk.journal.disconnected
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(desk.journal.run, stop)
                async with run_server(tmp_path / "redis", port):
                    await wait_until(lambda: not desk.journal.disconnected, "the journal is drained")
                    await desk.add("1", [draft(300)])
                    assert await desk.texts() == [str(n) for n in range(301)]
                    stop.set()
                    desk.journal.wake()


async def test_a_server_that_lost_its_tail_is_given_it_again(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        desk = Desk(bus, spool)
        await desk.lease.acquire()
        for number in range(20):
            await desk.add("1", [draft(number)])
        await roll_back(bus, keep=12)
        await desk.add("1", [draft(20)])
        assert await desk.texts() == [str(n) for n in range(21)]
        assert desk.journal.lost_events == 0


async def test_an_idle_adapter_notices_the_loss_too(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        desk, stop = Desk(bus, spool), anyio.Event()
        await desk.lease.acquire()
        for number in range(5):
            await desk.add("1", [draft(number)])
        await roll_back(bus, keep=2)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desk.journal.run, stop)

            async def whole() -> bool:
                return len(await desk.texts()) == 5

            await wait_until(whole, "the tail is back")
            stop.set()
            desk.journal.wake()


async def test_what_is_not_kept_any_more_shows_as_a_hole(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path / "old") as spool:
        desk = Desk(bus, spool)
        await desk.lease.acquire()
        await desk.add("1", [draft(n) for n in range(10)])
    with Spool(tmp_path / "new") as spool:
        spool.checkpoint.account, spool.checkpoint.seq, spool.checkpoint.live = "1", 10, 10
        later = Desk(bus, spool)
        later.lease = desk.lease
        later.journal = DurablePublisher(bus, desk.lease, spool)
        await roll_back(bus, keep=4)
        await later.add("1", [draft(10)])
        await later.add("1", [draft(11)])
        assert later.journal.lost_events == 5
        rows = await bus.client.xrange(bus.keys("inbound"))
        assert [fields[b"seq"] for _, fields in rows] == [b"1", b"2", b"3", b"4", b"5", b"11"]


async def test_of_what_adapters_told_in_turns_nothing_older_comes_again_than_the_server_would_recognise(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.bus.bus.SEEN_WINDOW", 1000)
    monkeypatch.setattr(checkpoint, "MARK_INTERVAL", 50)
    with Spool(tmp_path / "a") as first, Spool(tmp_path / "b") as second:
        number = 0
        for spool, count in ((first, 1500), (second, 1500), (first, 200)):
            desk = Desk(bus, spool)
            await desk.lease.acquire()
            for _ in range(0, count, 20):
                await desk.add("1", [draft(number + n) for n in range(20)])
                number += 20
            if number < 3200:
                await desk.lease.release()
        await roll_back(bus, keep=3150)
        await desk.journal.drain()
        await desk.add("1", [draft(number)])
        assert await desk.texts() == [str(n) for n in range(number + 1)]
        assert desk.journal.lost_events == 0


async def roll_back(bus: Bus, keep: int) -> None:
    """Truncate like an append-only file: stream, numbers and seen ids are those of an earlier moment."""
    rows = await bus.client.xrange(bus.keys("inbound"))
    for entry, fields in rows[keep:]:
        await bus.client.xdel(bus.keys("inbound"), entry)
        await bus.client.srem(bus.keys("seen:new"), fields[b"id"])
        await bus.client.srem(bus.keys("seen:old"), fields[b"id"])
    await bus.client.hset(bus.keys("ids:seq"), "1", keep)


async def test_after_a_kill_the_next_process_publishes_what_was_on_disk(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        desk = Desk(bus, spool)
        await desk.lease.acquire()
        await desk.add("1", [draft(0)])
        desk.journal.disconnected = True  # killed before Redis was asked
        await desk.add("1", [draft(1)])
    with Spool(tmp_path) as spool:
        later = Desk(bus, spool)
        await desk.lease.release()
        await later.lease.acquire()
        await later.journal.drain()
        assert await later.texts() == ["0", "1"]


async def test_a_batch_whose_answer_was_lost_is_given_again_like_any_other(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        desk = Desk(bus, spool)
        await desk.lease.acquire()
        await bus.append(desk.lease.fence, "1", pack_batch([draft(0)]), 0)
        await desk.add("1", [draft(0)])
        await desk.add("1", [draft(1)])
        await roll_back(bus, keep=0)
        await desk.add("1", [draft(2)])
        assert await desk.texts() == ["0", "1", "2"]
        assert desk.journal.lost_events == 0


async def test_what_another_account_told_before_is_given_again_too(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        desk = Desk(bus, spool)
        await desk.lease.acquire()
        for number in range(10):
            await desk.add("1", [draft(number)])
        await desk.add("2", [draft(100)])
        await roll_back(bus, keep=5)
        await bus.client.hdel(bus.keys("ids:seq"), "2")
        await desk.add("2", [draft(101)])
        rows = await bus.client.xrange(bus.keys("inbound"))
        assert [f[b"text"].decode() for _, f in rows] == [*map(str, range(10)), "100", "101"]
        assert desk.journal.lost_events == 0


async def test_a_spool_that_lost_its_end_knows_what_had_been_told(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        desk = Desk(bus, spool)
        await desk.lease.acquire()
        for number in range(10):
            await desk.add("1", [draft(number)])
    file = next(tmp_path.glob("*.spool"))
    file.write_bytes(file.read_bytes()[:-4])  # a power cut, here and there
    await roll_back(bus, keep=5)
    with Spool(tmp_path) as spool:
        later = Desk(bus, spool)
        later.lease = desk.lease
        later.journal = DurablePublisher(bus, desk.lease, spool)
        await later.add("1", [draft(10)])
        assert await later.texts() == [*map(str, range(9)), "10"]
        assert later.journal.lost_events == 0


async def test_damage_is_published_once_from_the_last_intact_event_on(bus: Bus, tmp_path: Path) -> None:
    stop = anyio.Event()
    with Spool(tmp_path) as spool:
        desk = Desk(bus, spool)
        await desk.lease.acquire()
        await desk.add("1", [draft(0)._replace(time="2015-01-01T00:00:00.000Z")])
        desk.journal.disconnected = True
        for number in (1, 2):
            await desk.add("1", [draft(number)])
    file = next(tmp_path.glob("*.spool"))
    file.write_bytes(file.read_bytes().replace(b"1.g5.2.1.3", b"1.g5.2.X.3"))
    with Spool(tmp_path) as spool:
        assert spool.corrupt_records
        journal = DurablePublisher(bus, desk.lease, spool)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.run, stop)
            await wait_until(lambda: not spool.corrupt_records, "it is published")
            stop.set()
            journal.wake()
    rows = [fields for _, fields in await bus.client.xrange(bus.keys("inbound"))]
    (gap,) = [fields for fields in rows if fields[b"type"] == b"session.gap"]
    assert msgpack.unpackb(gap[b"body"])["since"] == "2015-01-01T00:00:00.000Z"
    with Spool(tmp_path) as spool:
        assert not spool.corrupt_records


@pytest.mark.long
# Each batch is synced on its own: 18 s alone, and other tests share the disk.
@pytest.mark.timeout(180)
async def test_ten_thousand_batches_wait_for_redis_and_come_in_order(tmp_path: Path) -> None:
    port = free_port()
    with Spool(tmp_path / "spool") as spool:
        async with Bus.open(f"redis://127.0.0.1:{port}", "qq") as bus:
            desk = Desk(bus, spool)
            async with run_server(tmp_path / "redis", port):
                await desk.lease.acquire()
            desk.journal.disconnected = True
            for number in range(10_000):
                await desk.add("1", [draft(number)])
    # Another process finds them, with a byte flipped in the middle.
    middle = min((tmp_path / "spool").glob("*.spool"))
    data = bytearray(middle.read_bytes())
    data[len(data) // 2] ^= 0xFF
    middle.write_bytes(data)
    with Spool(tmp_path / "spool") as spool:
        async with run_server(tmp_path / "redis", port), Bus.open(f"redis://127.0.0.1:{port}", "qq") as bus:
            desk = Desk(bus, spool)
            await desk.lease.acquire()
            await desk.journal.drain()
            texts = [int(text) for text in await desk.texts()]
            assert texts == sorted(texts)
            assert len(texts) == 9_999
            assert spool.corrupt_records > 0


@asynccontextmanager
async def refusing() -> AsyncIterator[tuple[str, list[int]]]:
    """Listen at an address that ends each connection of a Redis client; yield it and its count."""
    tries: list[int] = []

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tries.append(1)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as nobody:
        yield f"redis://127.0.0.1:{nobody.sockets[0].getsockname()[1]}", tries


async def test_redis_is_back_when_it_has_answered_and_not_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "adapter.bus.spool.publisher")
    with Spool(tmp_path / "spool") as spool:
        spool.checkpoint.account, spool.checkpoint.live = "1", 5  # it has published before
        async with refusing() as (url, tries), Bus.open(url, "qq") as bus:
            desk, stop = Desk(bus, spool), anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(desk.journal.run, stop)
                await wait_until(lambda: len(tries) > 3, "Redis was asked again and again", 4)
                assert desk.journal.disconnected
                assert "Redis is back" not in caplog.text
                stop.set()
                desk.journal.wake()


async def test_a_stop_does_not_wait_for_a_redis_that_is_away(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool") as spool:
        async with refusing() as (url, tries), Bus.open(url, "qq") as bus:
            desk, stop = Desk(bus, spool), anyio.Event()
            await desk.add("1", [draft(1)])
            with anyio.fail_after(LOOK_EVERY - 1):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(desk.journal.run, stop)
                    await wait_until(lambda: len(tries) > 3, "Redis was asked again", 2)
                    stop.set()
                    desk.journal.wake()
