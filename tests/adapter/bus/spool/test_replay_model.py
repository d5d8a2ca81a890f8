"""Prove adapter/bus/spool/replay.py on a model: two adapters and a server that forgets."""

import random
import time
from pathlib import Path

import anyio
import pytest

from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.bus.spool import checkpoint
from adapter.bus.spool import log as spools
from adapter.bus.spool import publisher as journals
from adapter.bus.spool.log import Spool
from adapter.bus.spool.publisher import DurablePublisher
from adapter.bus.spool.replay import StandbyPublisher
from tests.adapter.bus.spool.test_publisher import draft
from tests.adapter.bus.spool.test_replay import told

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_two_adapters_and_a_forgetful_server_do_each_event_comes_once(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("adapter.bus.bus.SEEN_WINDOW", 200)
    monkeypatch.setattr("adapter.bus.bus.MAX_BATCH", 5)
    monkeypatch.setattr(journals, "MAX_BATCH", 5)
    monkeypatch.setattr(checkpoint, "MARK_INTERVAL", 17)
    monkeypatch.setattr(spools, "SEGMENT", 20_000)
    pair = Pair(bus, tmp_path, random.Random(seed))
    try:
        await pair.live(150)
    finally:
        pair.close()
    texts = await told(bus)
    assert sorted(map(int, texts)) == list(range(pair.number))


class Pair:
    """Two adapters, of which one holds the lease, and a server that comes back without its tail at times."""

    KEYS = ("inbound", "seen:new", "seen:old", "ids:seq", "ids:seq:late")

    def __init__(self, bus: Bus, folder: Path, chance: random.Random) -> None:
        self._bus, self._folder, self._chance = bus, folder, chance
        self._copies: list[dict[str, bytes | None]] = []
        self._spools = [Spool(folder / name).__enter__() for name in "ab"]
        self._holder = 0
        self.number = 0

    def close(self) -> None:
        for spool in self._spools:
            spool.__exit__()

    async def live(self, steps: int) -> None:
        await self._take_over()
        for _ in range(steps):
            match self._chance.choices("wWbsck", [10, 4, 1, 1, 1, 4])[0]:
                case "w":
                    await self._write(self._chance.randrange(1, 12), publish=True)
                case "W":
                    await self._write(self._chance.randrange(1, 12), publish=False)
                case "b":
                    await self._forget(self._chance.randrange(1, 6))
                case "s":
                    self._holder = 1 - self._holder
                    await self._take_over()
                case "c":
                    await self._crash(self._chance.randrange(2))
                case _:
                    await self._keep()
        for _ in range(3):
            await self._keep()

    async def _take_over(self) -> None:
        await self._bus.client.delete(self._bus.keys("lease"))
        lease = Lease(self._bus, "ab"[self._holder], 60.0, time.monotonic)
        await lease.acquire()
        self._journal = DurablePublisher(self._bus, lease, self._spools[self._holder])
        self._standby = StandbyPublisher(self._bus, self._spools[1 - self._holder])

    async def _write(self, count: int, *, publish: bool) -> None:
        self._journal.append("1", [draft(self.number + one) for one in range(count)])
        self.number += count
        if publish:
            await self._journal.sync()
            await self._journal.publish()
        await self._copy()

    async def _crash(self, which: int) -> None:
        name = "ab"[which]
        self._spools[which].__exit__()
        self._spools[which] = Spool(self._folder / name).__enter__()
        if which == self._holder:
            await self._take_over()
        else:
            self._standby = StandbyPublisher(self._bus, self._spools[which])

    async def _keep(self) -> None:
        await self._standby.drain()
        stop = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._journal.run, stop)
            await anyio.lowlevel.checkpoint()
            stop.set()
            self._journal.wake()
        await self._copy()

    async def _copy(self) -> None:
        client, keys = self._bus.client, self._bus.keys
        self._copies.append({name: await client.dump(keys(name)) for name in self.KEYS})
        del self._copies[:-60]

    async def _forget(self, steps: int) -> None:
        if len(self._copies) <= steps:
            return
        del self._copies[-steps:]
        for name, value in self._copies[-1].items():
            await self._bus.client.delete(self._bus.keys(name))
            if value is not None:
                await self._bus.client.restore(self._bus.keys(name), 0, value)
        # It would have another name now.
        self._standby = StandbyPublisher(self._bus, self._spools[1 - self._holder])
