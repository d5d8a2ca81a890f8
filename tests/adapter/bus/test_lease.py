"""Test adapter/bus/lease.py."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from adapter.bus.bus import Bus
from adapter.bus.lease import Lease, hold_lease
from adapter.errors import Fenced
from adapter.events import Coverage

pytestmark = pytest.mark.anyio


def lease(bus: Bus, holder: str, seconds: float = 30.0, **options: Any) -> Lease:
    return Lease(bus, holder, seconds, time.monotonic, **options)


@asynccontextmanager
async def held(lease: Lease) -> AsyncIterator[None]:
    """Hold a lease as soon as it is free."""
    async for _ in lease.acquire_attempts(anyio.Event()):
        pass
    async with hold_lease(lease):
        yield


async def test_one_holds_and_the_other_is_told_how_long(bus: Bus) -> None:
    a, b = lease(bus, "a"), lease(bus, "b")
    assert await a.acquire() == 0
    assert (a.fence.epoch, a.valid(), b.valid()) == (1, True, False)
    assert 29 < await b.acquire() <= 30
    await a.release()
    assert await b.acquire() == 0
    assert b.fence.epoch == 2


async def test_the_epoch_rises_by_one_at_each_login(bus: Bus) -> None:
    a = lease(bus, "a")
    await a.acquire()
    await a.bump_epoch()
    await a.bump_epoch()
    assert a.fence.epoch == 3


async def test_what_was_on_its_way_while_the_holder_raised_the_epoch_is_its_own(bus: Bus) -> None:
    a, b = lease(bus, "a", 0.05), lease(bus, "b")
    await a.acquire()
    before = a.fence
    await a.bump_epoch()
    await bus.write_status(before, {"state": "online"})
    async with held(b):
        for fence in (before, a.fence):
            with pytest.raises(Fenced):
                await bus.write_status(fence, {"state": "online"})
    assert (await bus.hgetall(bus.keys("status"))) == {"state": b"online"}


async def test_a_holder_that_slept_too_long_is_fenced(bus: Bus) -> None:
    a, b = lease(bus, "a", 0.05), lease(bus, "b")
    await a.acquire()
    async with held(b):
        assert b.valid()
        assert not a.valid()
        with pytest.raises(Fenced):
            await a.run(anyio.Event())
        with pytest.raises(Fenced):
            await a.bump_epoch()


async def test_a_lease_is_renewed_for_as_long_as_it_is_kept(bus: Bus) -> None:
    a, stop = lease(bus, "a", 0.3), anyio.Event()
    async with held(a), anyio.create_task_group() as tasks:
        tasks.start_soon(a.run, stop)
        with anyio.move_on_after(0.9):
            # Longer than the lease by itself: another one asks all the while.
            while await lease(bus, "b").acquire() > 0:
                await anyio.lowlevel.checkpoint()
            pytest.fail("the lease was lost")
        stop.set()
        a.wake()
    assert await lease(bus, "b").acquire() == 0


async def test_a_flushed_server_learns_the_epoch_again(bus: Bus) -> None:
    a = lease(bus, "a")
    await a.acquire()
    await a.bump_epoch()
    await bus.client.delete(bus.keys("lease"), bus.keys("ids:epoch"))
    stop = anyio.Event()
    async with anyio.create_task_group() as tasks:
        short = Lease(bus, "a", 0.03, time.monotonic)
        short.fence = a.fence
        tasks.start_soon(short.run, stop)
        with anyio.fail_after(5):
            while not await bus.client.exists(bus.keys("lease")):
                await anyio.lowlevel.checkpoint()
        stop.set()
    assert short.fence.epoch == 2
    await bus.write_status(short.fence, {"state": "online"})
    assert (await bus.hgetall(bus.keys("ids:epoch")))["epoch"] == b"2"


async def test_waiting_ends_with_a_stop(bus: Bus) -> None:
    a, b, stop = lease(bus, "a"), lease(bus, "b"), anyio.Event()
    await a.acquire()
    attempts = 0
    async for seconds_left in b.acquire_attempts(stop):
        assert 0 < seconds_left <= 30
        attempts += 1
        stop.set()
    assert (attempts, b.valid()) == (1, False)


async def test_a_process_takes_back_the_lease_of_its_own_folder_and_no_other(bus: Bus) -> None:
    dead = lease(bus, "host:1:cafe-1", folder="cafe")
    await dead.acquire()
    assert await lease(bus, "host:2:beef-2", folder="beef").acquire() > 0
    assert await lease(bus, "host:2:beef-2").acquire() > 0
    alive = lease(bus, "host:3:cafe-3", folder="cafe")
    assert await alive.acquire() == 0
    assert alive.fence.epoch == dead.fence.epoch + 1
    with pytest.raises(Fenced):
        await bus.write_status(dead.fence, {"state": "online"})
    with pytest.raises(Fenced):
        await dead.run(anyio.Event())


async def test_a_holder_says_what_it_has_heard(bus: Bus) -> None:
    said = [None, Coverage(20.0, 2.0), Coverage(10.0, 1.0)]
    a = lease(bus, "a", coverage=lambda: said.pop(0))
    b = lease(bus, "b")
    await a.acquire()
    assert await b.read_coverage() is None
    await a.bump_epoch()
    known = await b.read_coverage()
    assert known is not None
    assert (int(known.complete_seconds), int(known.connected_seconds)) == (20, 2)
    await a.release()
    # Who takes over has heard nothing yet: what the former holder said stays.
    await b.acquire()
    known = await b.read_coverage()
    assert known is not None
    assert (int(known.complete_seconds), int(known.connected_seconds)) == (10, 1)


async def test_a_slow_redis_makes_what_was_heard_no_younger(bus: Bus) -> None:
    a, b = lease(bus, "a", coverage=lambda: Coverage(2.0, 2.0)), lease(bus, "b")
    await a.acquire()
    await bus.client.execute_command("CLIENT", "PAUSE", "600")
    await a.bump_epoch()
    await bus.client.execute_command("CLIENT", "PAUSE", "600")
    known = await b.read_coverage()
    assert known is not None
    # The server took it after 0.6 s, and the answer to the question was under way for another 0.6 s.
    assert 3.2 <= min(known.complete_seconds, known.connected_seconds) < 30
