"""An unattended night: the session is lost, no code is scanned, one alarm, and in the morning all goes on."""

import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from tests.simulator import RequestLog, Simulator
from tests.support.helpers import wait_until
from tests.support.system_harness import system

pytestmark = [pytest.mark.anyio, pytest.mark.long]

ALARM = """
import json, sys
with open(sys.argv[1], "a", encoding="utf-8") as file:
    file.write(json.loads(sys.stdin.read())["event"] + "\\n")
"""
INTERVAL = 0.2


async def test_nobody_scans_until_the_morning(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    program, called = tmp_path / "alarm.py", tmp_path / "called"
    program.write_text(ALARM, encoding="utf-8")
    async with system(bus, redis_url, tmp_path) as it:
        it.settings |= {
            "QQBUS_SEND_INTERVAL": str(INTERVAL),
            "QQBUS_ALARM_COMMAND": f"{sys.executable} {program} {called}",
        }
        adapter = it.start("tests.chaos.night", "run")
        await it.online(adapter)
        it.sim.say("friend:10001", "good night")
        chat = (await it.events(1))[0]["chat"]
        before = len(_codes(it.sim))
        it.sim.set(auto_scan=False, qr_seconds=0.3)
        it.sim.drop_session(cookies=True)
        await wait_until(lambda: len(_codes(it.sim)) >= before + 3, "three codes were shown")
        await it.ask(chat, "too late by then", id="n/late", expires="1")
        for number in range(5):
            await it.ask(chat, f"waits {number}", id=f"n/{number}")
        await wait_until(called.exists, "the alarm was raised")
        assert [row["id"] for row in await it.results(1)] == ["n/late"]
        # A "twenty minutes" more: one code more, and no second alarm.
        asleep = time.monotonic()
        await wait_until(lambda: len(_codes(it.sim)) >= before + 4, "another code was shown")
        assert time.monotonic() - asleep > 1
        assert called.read_text().split() == ["alarm"]
        assert it.sim.received == []
        it.sim.set(qr_seconds=120.0)
        it.sim.scan()
        it.sim.confirm()
        received = await it.sim.wait_received(5, 20.0)
        assert [message.text for message in received] == [f"waits {number}" for number in range(5)]
        gaps = [b.time - a.time for a, b in pairwise(received)]
        assert min(gaps) > INTERVAL * 0.9
        assert gaps[0] > gaps[-1]  # it starts slowly
        await wait_until(lambda: called.read_text().split() == ["alarm", "clear"], "the all-clear")
        statuses = {row["id"]: row["status"] for row in await it.results(6)}
        assert statuses == {"n/late": "expired"} | {f"n/{number}": "sent" for number in range(5)}
        states = [row["state"] for row in await it.rows("session")]
        assert states.count("online") == 2
        assert len(_codes(it.sim)) <= before + 5


def _codes(sim: Simulator) -> list[RequestLog]:
    return [one for one in sim.requests if one.path == "/ptqrshow"]
