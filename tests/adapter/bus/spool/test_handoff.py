"""Proof of adapter/bus/spool/handoff.py: nothing is lost, and nothing comes twice, between two adapters and their server."""

import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgpack
import pytest

from adapter.bus import bus as bus_module
from adapter.bus.bus import Bus
from adapter.bus.embedded import free_port, run_server
from adapter.bus.lease import Lease
from adapter.bus.spool import checkpoint
from adapter.bus.spool.handoff import LATE, Handoff, publish_handoff
from adapter.bus.spool.log import Spool
from adapter.bus.spool.publisher import DurablePublisher
from adapter.errors import BusError, Fenced
from tests.adapter.bus.spool.test_publisher import Desk, draft, roll_back
from tests.support.helpers import quiet, wait_until

pytestmark = pytest.mark.anyio


def another(bus: Bus, spool: Spool, name: str = "b") -> Desk:
    """The desk of an adapter of another name."""
    desk = Desk(bus, spool)
    desk.lease = Lease(bus, name, 30.0, time.monotonic)
    desk.journal = DurablePublisher(bus, desk.lease, spool, lambda *lost: desk.lost.append(lost), quiet)
    return desk


async def told(bus: Bus) -> list[str]:
    """The texts on the bus."""
    rows: Any = await bus.client.xrange(bus.keys("inbound"))
    return [fields[b"text"].decode() for _, fields in rows]


async def test_what_a_fenced_adapter_still_had_reaches_the_bus_through_its_successor(
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
        leavings = Handoff(bus, first)
        for _ in range(2):
            await leavings.push()
        assert await bus.client.llen(bus.keys(LATE)) == 1, "given once"
        assert first.unpublished == 1, "and kept until it is there"
        await new.journal.drain_handoff()
        await leavings.push()
        assert await new.texts() == ["2", "1"]
        assert first.unpublished == 0


async def test_what_was_given_and_is_lost_on_the_way_is_given_again(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path / "a") as first, Spool(tmp_path / "b") as second:
        old, new = Desk(bus, first), another(bus, second)
        await old.lease.acquire()
        await old.add("1", [draft(0)])
        await bus.client.delete(bus.keys("lease"))
        await new.lease.acquire()
        with pytest.raises(Fenced):
            await old.add("1", [draft(1)])
        leavings = Handoff(bus, first)
        await leavings.push()
        await bus.client.delete(bus.keys(LATE))  # the server came back without its last second
        await leavings.push()
        await new.journal.drain_handoff()
        assert await new.texts() == ["0", "1"]


async def test_what_is_given_twice_comes_once(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        desk = Desk(bus, spool)
        await desk.lease.acquire()
        payload = b"1\n" + bus_module.pack_batch([draft(1)])
        await bus.list_push(bus.keys(LATE), payload, payload)
        await desk.journal.drain_handoff()
        assert await desk.texts() == ["1"]
        assert [*spool._frames(checkpoint.Position(1, 0))] == [(checkpoint.Position(1, 0), payload)]  # noqa: SLF001


STRANGE = b"1\n" + msgpack.packb([[b"\xff", *[b"1"] * 7]], use_bin_type=False)  # an id that is no text


@pytest.mark.parametrize(
    "junk",
    [b"", b"junk", b"1\n", b"1\n\x90\x90", b"1\n\x91\x91\x01", b"\n\x90", b"x\n\x90", b"1\n\x90", STRANGE],
)
async def test_what_nobody_can_read_is_a_gap_and_stands_in_the_way_of_nothing(
    bus: Bus, tmp_path: Path, junk: bytes
) -> None:
    key, gaps = bus.keys(LATE), list[float]()

    async def damaged(since: float) -> None:
        gaps.append(since)

    with Spool(tmp_path) as spool:
        desk = Desk(bus, spool)
        desk.journal = DurablePublisher(bus, desk.lease, spool, lambda *_: None, damaged)
        await desk.lease.acquire()
        await bus.list_push(key, junk, b"1\n" + bus_module.pack_batch([draft(1)]))
        await publish_handoff(bus, desk.lease, anyio.Event())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desk.journal.run, stop := anyio.Event())
            await wait_until(lambda: gaps, "the gap is told")
            stop.set()
            desk.journal.wake()
        assert await desk.texts() == ["1"]
        assert not await bus.list_exists(key)
        assert len(gaps) == 1


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
        leavings = Handoff(holder.bus, spool)
        for _ in range(3):
            await leavings.push()
        assert await holder.bus.client.llen(holder.bus.keys(LATE)) == 2, "what is not there, once"
        await holder.journal.drain_handoff()
        await leavings.push()
        assert await holder.texts() == ["0", "1", "2", *OTHERS, "3", "4"]
        assert await holder.bus.client.llen(holder.bus.keys(LATE)) == 0


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
        await Handoff(holder.bus, spool).push()
        await holder.journal.drain_handoff()
        assert await holder.texts() == ["0", "1", "2", *OTHERS, "3"]


async def test_a_give_that_fails_leaves_no_damage_to_tell(tmp_path: Path) -> None:
    async with after_a_loss(tmp_path) as (holder, spool):
        file = next((tmp_path / "a").glob("*.spool"))
        spool.__exit__()
        file.write_bytes(file.read_bytes().replace(b"1.g5.2.3.3", b"1.g5.2.X.3"))
        spool.__enter__()
        assert spool.damaged == 0, "it had been published"
        await holder.bus.client.set(holder.bus.keys(LATE), "not a list")
        with pytest.raises(BusError):
            await Handoff(holder.bus, spool).push()
        assert spool.damaged == 0


async def test_what_was_held_beside_a_full_spool_is_given_once_there_is_room(
    bus: Bus, tmp_path: Path
) -> None:
    with Spool(tmp_path / "a") as spool:
        desk = Desk(bus, spool)
        desk.journal.append("1", [draft(0)])
        desk.journal.stage("1", [draft(1)])
        size = spool.unsent_bytes()
    with Spool(tmp_path / "a", limit=size + 1) as mine, Spool(tmp_path / "b") as theirs:
        other, leavings = another(bus, theirs), Handoff(bus, mine)
        await other.lease.acquire()
        for _ in range(2):
            await leavings.push()
            await other.journal.drain_handoff()
        assert await other.texts() == ["0", "1"]


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
        await Handoff(bus, mine).push()
        await other.journal.drain_handoff()
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
        leavings = Handoff(bus, mine)
        for _ in range(2):
            await leavings.push()
            await other.journal.drain_handoff()
        assert mine.unpublished == 0 or await bus.client.llen(bus.keys(LATE)) == 0
        assert await other.texts() == ["0", "1", "2", "7", "3"]


async def test_whoever_wakes_late_takes_nothing_off_the_list_but_what_it_has_read(bus: Bus) -> None:
    key = bus.keys(LATE)
    await bus.list_push(key, b"one", b"two")
    read = await bus.list_head(key)
    assert read == b"one"
    await bus.list_remove(key, b"one")  # by its successor
    await bus.list_remove(key, read)
    assert await bus.list_head(key) == b"two"


async def test_a_former_holder_gives_nothing_while_the_server_knows_its_events(
    bus: Bus, tmp_path: Path
) -> None:
    with Spool(tmp_path) as spool:
        desk = Desk(bus, spool)
        await desk.lease.acquire()
        await desk.add("1", [draft(1)])
        await Handoff(bus, spool).push()
        assert await bus.client.llen(bus.keys(LATE)) == 0


async def test_a_former_holder_gives_nothing_that_the_server_could_not_recognise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with after_a_loss(tmp_path) as (holder, spool):
        monkeypatch.setattr(bus_module, "SEEN_WINDOW", bus_module.MAX_BATCH)
        await Handoff(holder.bus, spool).push()
        assert await holder.bus.client.llen(holder.bus.keys(LATE)) == 0


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
        leavings = Handoff(bus, mine)
        for start in range(1000, 3500, 100):
            await other.add("2", [draft(number) for number in range(start, start + 100)])
            await leavings.push()
            await other.journal.drain_handoff()
        texts = await told(bus)
        assert len(texts) == len(set(texts)) == 2510
