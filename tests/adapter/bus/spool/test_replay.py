"""Prove adapter/bus/spool/replay.py: two adapters and their server lose no event, and double none."""

import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapter.bus import bus as bus_module
from adapter.bus.bus import Bus
from adapter.bus.embedded import run_server
from adapter.bus.lease import Lease
from adapter.bus.spool import replay
from adapter.bus.spool.log import Spool
from adapter.bus.spool.publisher import DurablePublisher
from adapter.bus.spool.replay import StandbyPublisher
from adapter.errors import Fenced
from tests.adapter.bus.spool.test_publisher import Desk, draft, roll_back
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


def another(bus: Bus, spool: Spool, name: str = "b") -> Desk:
    """Open the publisher of an adapter of another name."""
    desk = Desk(bus, spool)
    desk.lease = Lease(bus, name, 30.0, time.monotonic)
    desk.journal = DurablePublisher(bus, desk.lease, spool)
    return desk


async def told(bus: Bus) -> list[str]:
    """Return the texts on the bus."""
    rows: Any = await bus.client.xrange(bus.keys("inbound"))
    return [fields[b"text"].decode() for _, fields in rows]


async def test_a_fenced_adapter_appends_what_it_still_has_with_the_current_epoch(
    bus: Bus, tmp_path: Path
) -> None:
    with Spool(tmp_path / "a") as first, Spool(tmp_path / "b") as second:
        old, new = Desk(bus, first), another(bus, second)
        await old.lease.acquire()
        await bus.client.delete(bus.keys("lease"))
        await new.lease.acquire()
        with pytest.raises(Fenced):
            await old.add("1", [draft(1)])
        await new.add("1", [draft(2)])
        standby = StandbyPublisher(bus, first)
        for _ in range(2):
            await standby.drain()
        assert await new.texts() == ["2", "1"]
        rows: Any = await bus.client.xrange(bus.keys("inbound"))
        assert [fields[b"epoch"] for _, fields in rows] == [str(new.lease.fence.epoch).encode()] * 2
        assert first.unpublished == 0


async def test_a_tick_of_a_standby_ends_so_that_the_lease_is_tried(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "RECORDS_PER_TICK", 3)
    with Spool(tmp_path) as spool:
        desk, standby = Desk(bus, spool), StandbyPublisher(bus, spool)
        for number in range(5):
            desk.journal.append("1", [draft(number)])
        await standby.drain()
        assert await desk.texts() == ["0", "1", "2"]
        await standby.drain()
        assert await desk.texts() == ["0", "1", "2", "3", "4"]


async def test_late_appends_do_not_hide_from_the_holder_that_events_are_lost(
    bus: Bus, tmp_path: Path
) -> None:
    with Spool(tmp_path / "a") as mine, Spool(tmp_path / "b") as theirs:
        holder, other = Desk(bus, mine), another(bus, theirs)
        await holder.lease.acquire()
        for number in range(4):
            await holder.add("1", [draft(number)])
        for number in range(100, 108):
            other.journal.append("1", [draft(number)])
        await roll_back(bus, keep=2)
        await StandbyPublisher(bus, theirs).drain()  # before the holder notices, and more than were lost
        await holder.add("1", [draft(4)])
        await StandbyPublisher(bus, theirs).drain()
        assert await holder.texts() == ["0", "1", *map(str, range(100, 108)), "2", "3", "4"]
        assert holder.journal.seq == 13
        assert holder.journal.lost_events == 0


async def test_the_loss_of_late_events_is_no_hole_of_the_holder(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path / "a") as mine, Spool(tmp_path / "b") as theirs:
        holder, other = Desk(bus, mine), another(bus, theirs)
        await holder.lease.acquire()
        await holder.add("1", [draft(0)])
        other.journal.append("1", [draft(100), draft(101)])
        standby = StandbyPublisher(bus, theirs)
        await standby.drain()
        await holder.add("1", [draft(1)])
        await roll_back(bus, keep=1)
        await bus.client.delete(bus.keys("ids:seq:late"))
        await holder.add("1", [draft(2)])
        await standby.drain()
        assert await holder.texts() == ["0", "1", "2", "100", "101"]
        rows: Any = await bus.client.xrange(bus.keys("inbound"))
        assert [int(fields[b"seq"]) for _, fields in rows] == [1, 2, 3, 4, 5]
        assert holder.journal.lost_events == 0


async def test_what_a_standby_brought_again_is_no_hole_when_it_takes_over(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path / "a") as mine:
        holder = Desk(bus, mine)
        await holder.lease.acquire()
        for number in range(4):
            await holder.add("1", [draft(number)])
        await holder.lease.release()
        await roll_back(bus, keep=2)
        await StandbyPublisher(bus, mine).drain()
        again = Desk(bus, mine)
        await again.lease.acquire()
        await again.add("1", [draft(4)])
        assert await again.texts() == ["0", "1", "2", "3", "4"]
        assert again.journal.seq == 5
        assert again.journal.lost_events == 0


async def test_a_record_that_waited_until_redis_may_have_forgotten_it_is_not_offered_again(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.bus.bus.SEEN_WINDOW", 20)
    monkeypatch.setattr("adapter.bus.bus.MAX_BATCH", 5)
    with Spool(tmp_path / "a") as mine, Spool(tmp_path / "b") as theirs:
        holder, other = Desk(bus, mine), another(bus, theirs)
        await holder.lease.acquire()
        for number in range(3):
            await holder.add("1", [draft(number)])
        mine.rewind(0)  # it is about to offer them again, and sleeps
        for number in range(100, 160):
            other.journal.append("1", [draft(number)])
        await StandbyPublisher(bus, theirs).drain()
        await holder.journal.drain()
        texts = await holder.texts()
        assert len(texts) == len(set(texts)) == 63


@asynccontextmanager
async def after_a_loss(folder: Path) -> AsyncIterator[tuple[Desk, Spool]]:
    """Who went on, with 100 …, on a server that came back without 3 and 4; the spool of who had told them."""
    port, data = free_port(), folder / "redis"
    with Spool(folder / "a") as mine, Spool(folder / "b") as theirs:
        async with Bus.open(f"redis://127.0.0.1:{port}", "qq") as bus:
            async with run_server(data, port):
                desk = Desk(bus, mine)
                await desk.lease.acquire()
                await desk.add("1", [draft(number) for number in range(3)])
            shutil.copytree(data, folder / "copy")
            async with run_server(data, port):
                for number in (3, 4):
                    await desk.add("1", [draft(number)])
            shutil.rmtree(data)
            shutil.copytree(folder / "copy", data)
            async with run_server(data, port):
                await bus.client.delete(bus.keys("lease"))
                other = another(bus, theirs)
                await other.lease.acquire()
                for number in range(100, 104):  # more than were lost: the numbers do not show it
                    await other.add("1", [draft(number)])
                yield other, mine


OTHERS = ["100", "101", "102", "103"]


async def test_what_a_server_has_forgotten_comes_from_a_former_holder_that_stands_by(tmp_path: Path) -> None:
    async with after_a_loss(tmp_path) as (holder, spool):
        standby = StandbyPublisher(holder.bus, spool)
        for _ in range(3):
            await standby.drain()
        assert await holder.texts() == ["0", "1", "2", *OTHERS, "3", "4"]


async def test_what_a_server_has_forgotten_comes_from_a_former_holder_that_takes_over(tmp_path: Path) -> None:
    async with after_a_loss(tmp_path) as (holder, spool):
        await holder.lease.release()
        desk = Desk(holder.bus, spool)
        await desk.lease.acquire()
        await desk.add("1", [draft(5)])
        assert await desk.texts() == ["0", "1", "2", *OTHERS, "3", "4", "5"]


async def test_where_the_newest_batch_cannot_be_read_the_others_come_all_the_same(tmp_path: Path) -> None:
    async with after_a_loss(tmp_path) as (holder, spool):
        file = next((tmp_path / "a").glob("*.spool"))
        spool.__exit__()
        file.write_bytes(file.read_bytes().replace(b"1.g5.2.4.3", b"1.g5.2.X.3"))
        spool.__enter__()
        await StandbyPublisher(holder.bus, spool).drain()
        assert await holder.texts() == ["0", "1", "2", *OTHERS, "3"]


async def test_published_records_that_are_corrupt_are_no_damage(tmp_path: Path) -> None:
    async with after_a_loss(tmp_path) as (holder, spool):
        file = next((tmp_path / "a").glob("*.spool"))
        spool.__exit__()
        file.write_bytes(file.read_bytes().replace(b"1.g5.2.3.3", b"1.g5.2.X.3"))
        with Spool(tmp_path / "a") as again:  # another process: it has nothing in memory
            await StandbyPublisher(holder.bus, again).drain()
            assert again.corrupt_records == 0
        spool.__enter__()
        assert await holder.texts() == ["0", "1", "2", *OTHERS, "4"]


async def test_a_batch_that_was_there_before_does_not_hide_that_others_are_gone(
    bus: Bus, tmp_path: Path
) -> None:
    with Spool(tmp_path / "a") as mine, Spool(tmp_path / "b") as theirs:
        desk, other = Desk(bus, mine), another(bus, theirs)
        await desk.lease.acquire()
        for number in (0, 1, 2, 3):
            await desk.add("1", [draft(number)])
        await roll_back(bus, keep=2)
        await desk.lease.release()
        await other.lease.acquire()
        await other.add("1", [draft(100)])
        await StandbyPublisher(bus, mine).drain()
        assert await other.texts() == ["0", "1", "100", "2", "3"]


async def test_a_copy_as_the_last_batch_does_not_hide_it_either(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path / "a") as mine, Spool(tmp_path / "b") as theirs:
        desk, other = Desk(bus, mine), another(bus, theirs)
        await desk.lease.acquire()
        for number in (0, 1, 2, 3, 0):  # upstream repeats itself
            await desk.add("1", [draft(number)])
        await desk.lease.release()
        await roll_back(bus, keep=2)
        await other.lease.acquire()
        await other.add("1", [draft(number) for number in range(100, 105)])
        await other.lease.release()
        again = Desk(bus, mine)
        await again.lease.acquire()
        await again.add("1", [draft(5)])
        assert (await again.texts())[-3:] == ["2", "3", "5"]


async def test_a_batch_that_ends_in_a_repetition_is_not_taken_for_known(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path / "a") as mine, Spool(tmp_path / "b") as theirs:
        desk, other = Desk(bus, mine), another(bus, theirs)
        await desk.lease.acquire()
        await desk.add("1", [draft(0)])
        await bus.client.delete(bus.keys("lease"))
        await other.lease.acquire()
        for batch in ([1, 0], [2, 7], [3, 7]):
            with pytest.raises(Fenced):
                await desk.add("1", [draft(number) for number in batch])
        await StandbyPublisher(bus, mine).drain()
        assert mine.unpublished == 0
        assert await other.texts() == ["0", "1", "2", "7", "3"]


async def test_a_former_holder_offers_nothing_that_the_server_could_not_recognise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with after_a_loss(tmp_path) as (holder, spool):
        monkeypatch.setattr(bus_module, "SEEN_WINDOW", bus_module.MAX_BATCH)
        await StandbyPublisher(holder.bus, spool).drain()
        assert await holder.texts() == ["0", "1", "2", *OTHERS]


async def test_the_events_of_another_account_count_as_well(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_module, "SEEN_WINDOW", 1000)
    with Spool(tmp_path / "a") as mine, Spool(tmp_path / "b") as theirs:
        desk, other = Desk(bus, mine), another(bus, theirs)
        await desk.lease.acquire()
        for number in range(10):
            await desk.add("1", [draft(number)])
        await desk.lease.release()
        await other.lease.acquire()
        standby = StandbyPublisher(bus, mine)
        for start in range(1000, 3500, 100):
            await other.add("2", [draft(number) for number in range(start, start + 100)])
            await standby.drain()
        texts = await told(bus)
        assert len(texts) == len(set(texts)) == 2510
