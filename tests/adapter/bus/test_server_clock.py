"""Proof of adapter/bus/server_clock.py: relative times go by the clock of Redis, and a difference is said."""

import time
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from adapter.bus.server_clock import ServerClock
from tests.support.helpers import wait_until
from tests.support.system_harness import system

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("drift", [60.0, -60.0, 0.0])
async def test_now_is_the_servers_time_whatever_this_machines_is(
    bus: Bus, caplog: pytest.LogCaptureFixture, drift: float
) -> None:
    caplog.set_level("INFO")
    offsets: list[float] = []
    wall = [drift]
    clock = ServerClock(bus, offsets.append, lambda: time.time() + wall[0])
    await clock.measure()
    await clock.measure()
    assert abs(clock.now() - time.time()) < 1.0
    assert abs(offsets[-1] + drift) < 1.0
    warnings = [
        record.getMessage() for record in caplog.records if "the clock of Redis is" in record.getMessage()
    ]
    assert len(warnings) == (1 if drift else 0)
    assert not drift or ("60 s behind" if drift > 0 else "60 s ahead of") in warnings[0]
    wall[0] = 0.0
    await clock.measure()
    assert ("agree again" in caplog.text) == bool(drift)


@pytest.mark.parametrize("drift", ["3600", "-3600"])
async def test_an_adapter_whose_clock_is_wrong_keeps_the_times_of_requests_and_commands(
    bus: Bus, redis_url: str, tmp_path: Path, drift: str
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        adapter = it.start("tests.chaos.drifting_clock", drift, "run")
        await it.online(adapter)
        it.sim.say("friend:10001", "hi")
        chat = (await it.events(1))[0]["chat"]
        await it.ask(chat, "in time", id="x/1", expires="30")
        [result] = await it.results(1)
        assert (result["id"], result["status"]) == ("x/1", "sent")
        await bus.client.xadd(bus.keys("control"), {"cmd": "pause"})
        await wait_until(lambda: "command pause" in adapter.text(), "the command is obeyed")
        await it.ask(chat, "too late", id="x/2", expires="0.5")
        expired = (await it.results(2))[-1]
        assert (expired["id"], expired["status"]) == ("x/2", "expired")

        async def shown() -> bool:
            offset = (await bus.hgetall(bus.keys("status"))).get("clock_offset", b"")
            return offset == (b"-3600" if drift == "3600" else b"3600")

        await wait_until(shown, "the difference stands in qq:status")
        assert "the clock of Redis is 3600 s" in adapter.text()
