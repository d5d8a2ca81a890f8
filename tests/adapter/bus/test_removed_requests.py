"""Proof of adapter/bus/removed_requests.py: requests that a worker trims unread are counted and alarmed."""

import time
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from adapter.bus.keys import CONSUMER, GROUP
from adapter.bus.lease import Lease
from adapter.bus.removed_requests import FAULT, RemovedRequests
from adapter.ops.metrics import Metrics
from tests.adapter.outbound.test_pipeline import chat_of_friend
from tests.support.helpers import wait_until
from tests.support.system_harness import system

pytestmark = pytest.mark.anyio


class Desk:
    """A stream of requests, and the part that counts what is gone."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.key = bus.keys("outbound")
        self.lease = Lease(bus, "a", 30.0, time.monotonic)
        self.metrics = Metrics()
        self.removed = RemovedRequests(bus, self.lease, self.metrics)

    async def add(self, count: int, **options: int) -> None:
        for number in range(count):
            await self.bus.client.xadd(self.key, {"n": str(number)}, approximate=False, **options)  # type: ignore[arg-type]

    async def read(self, count: int) -> None:
        answer = await self.bus.client.xreadgroup(GROUP, CONSUMER, {self.key: ">"}, count=count)
        await self.bus.client.xack(self.key, GROUP, *(entry for entry, _ in answer[0][1]))


@pytest.fixture
async def desk(bus: Bus) -> Desk:
    made = Desk(bus)
    await made.lease.acquire()
    await bus.ensure_group("outbound")
    assert await made.removed.look() == 0
    return made


async def test_unread_requests_that_are_trimmed_are_counted_once(desk: Desk) -> None:
    await desk.add(3)
    await desk.read(3)
    await desk.add(5)
    assert await desk.removed.look() == 0
    await desk.add(1, maxlen=1)
    assert await desk.removed.look() == 5
    assert await desk.removed.look() == 0
    assert "5 requests were removed" in desk.metrics.bus_faults()[FAULT]
    assert b'qqbus_dropped_total{stream="outbound"} 5.0' in desk.metrics.expose([], 0, 0, 0)
    await desk.read(1)
    assert await desk.removed.look() == 0
    # All of a stream, also what had been read.
    await desk.add(4)
    await desk.bus.client.xtrim(desk.key, maxlen=0, approximate=False)
    assert await desk.removed.look() == 4


async def test_a_group_that_has_read_nothing_misses_its_first_requests(desk: Desk) -> None:
    await desk.add(5)
    await desk.add(1, maxlen=0)
    assert await desk.removed.look() == 6


async def test_requests_that_were_read_may_be_trimmed(desk: Desk) -> None:
    await desk.add(10)
    await desk.read(6)
    for kept in (8, 4):
        await desk.bus.client.xtrim(desk.key, maxlen=kept, approximate=False)
        assert await desk.removed.look() == 0
    await desk.bus.client.xtrim(desk.key, maxlen=3, approximate=False)
    assert await desk.removed.look() == 1
    await desk.read(3)
    assert await desk.removed.look() == 0


async def test_a_stream_that_is_made_again_misses_nothing(desk: Desk) -> None:
    await desk.add(5)
    await desk.read(5)
    await desk.bus.client.delete(desk.key)
    assert await desk.removed.look() == 0
    await desk.bus.ensure_group("outbound")
    await desk.add(2)
    assert await desk.removed.look() == 0
    assert desk.metrics.bus_faults() == {}


async def test_what_was_trimmed_while_no_adapter_ran_is_an_alarm(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        program = await it.adapter()
        chat = await chat_of_friend(it)
        assert await program.stop() == 0
        for number in range(5):
            await it.ask(chat, f"lost {number}", id=f"a/{number}")
        await bus.client.xadd(bus.keys("outbound"), {"to": chat, "text": "last"}, maxlen=1, approximate=False)
        program = await it.adapter()
        assert (await it.results(1, 60.0))[0]["status"] == "sent"
        await wait_until(lambda: "5 requests were removed" in program.text(), "it says so", 30.0)
