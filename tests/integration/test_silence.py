"""A session that looks well and delivers nothing, from the first doubt to the all-clear: all of it real processes.

The watchdog's clock runs sixty times faster; limits, commands and connections are the real ones.
"""

import re
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from adapter.bus.bus import Bus
from tests.support.helpers import BEARER, wait_until
from tests.support.ports import free_port
from tests.support.system_harness import Program, System, system
from tests.support.webhook_server import Hook, webhook

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(120)]

COMMAND = """
import json, sys
alert = json.load(sys.stdin)
assert sys.argv[-1] == alert["text"]
with open(sys.argv[1], "a", encoding="utf-8") as file:
    file.write(f"{alert['event']} {alert['reason']}\\n")
"""
# Seconds of the watchdog's time: four of ours.
SILENCE = "240"
FRIEND = "friend:10001"
PROBED, LINKED = "/channel/get_online_buddies2", "/channel/login2"


@dataclass
class Watched:
    """An adapter that accepts a silence of four minutes, and what its alarms reach."""

    it: System
    adapter: Program
    page: str
    called: Path
    hook: Hook

    async def hears(self, hearing: str) -> None:
        """Wait until the adapter believes this of its line."""

        async def believed() -> bool:
            text = await anyio.to_thread.run_sync(self._metrics)
            return f'qqbus_hearing_state{{state="{hearing}"}} 1.0' in text

        await wait_until(believed, f"hearing is {hearing}", 20.0)

    def _metrics(self) -> str:
        request = urllib.request.Request(f"{self.page}/metrics", headers=BEARER)  # noqa: S310 – our own page
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 – likewise
            return str(answer.read().decode())

    def calls(self) -> list[str]:
        """Return what the command got."""
        return self.called.read_text(encoding="utf-8").splitlines() if self.called.exists() else []

    def posts(self) -> list[str]:
        """Return what the webhook got."""
        return [f"{body['event']} {body['reason']}" for body in self.hook.bodies]

    async def told(self, *calls: str) -> None:
        """Wait until both got exactly this."""
        await wait_until(
            lambda: self.calls() == self.posts() == list(calls),
            f"{calls} but {self.calls()} and {self.posts()}",
            20.0,
        )

    def asked(self, path: str) -> int:
        return self.it.sim.network.journal.by_path[path]

    async def polls(self, count: int) -> None:
        """Let so many polls end as if nothing were wrong."""
        before = self.asked("/channel/poll2")
        await wait_until(lambda: self.asked("/channel/poll2") >= before + count, f"{count} polls", 20.0)

    def said(self) -> list[str]:
        """Return what the adapter did about it, in order."""
        return re.findall(
            r"probing the session|opening the session again(?= *\n|$)|did not help", self.adapter.text()
        )


@asynccontextmanager
async def watched(bus: Bus, redis_url: str, folder: Path) -> AsyncIterator[Watched]:
    script, called, port = folder / "called.py", folder / "called", free_port()
    script.write_text(COMMAND, encoding="utf-8")
    with webhook() as hook:
        async with system(bus, redis_url, folder, poll_seconds=0.2) as it:
            it.settings |= {
                "QQBUS_HTTP": f"127.0.0.1:{port}",
                "QQBUS_ALARM_COMMAND": f"{sys.executable} {script} {called}",
                "QQBUS_ALARM_URL": hook.url,
                "QQBUS_SILENCE_ALARM": SILENCE,
            }
            adapter = it.start("tests.chaos.fast_watchdog", "run")
            await it.online(adapter)
            made = Watched(it, adapter, f"http://127.0.0.1:{port}", called, hook)
            it.sim.say(FRIEND, "before")
            await it.events(1)
            await made.hears("proven")
            yield made


async def test_a_deaf_session_is_probed_and_opened_again_and_hears(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with watched(bus, redis_url, tmp_path) as seen:
        sim, since = seen.it.sim, len(seen.it.sim.requests)
        sim.deafen()
        sim.say(FRIEND, "meanwhile")
        await seen.polls(3)
        assert sim.queued == 1, "polls end empty"
        await seen.hears("suspicious")
        events = await seen.it.events(2)
        assert [event["text"] for event in events] == ["before", "meanwhile"]
        done = [request.path for request in sim.requests[since:] if request.path in {PROBED, LINKED}]
        assert done[0] == PROBED, "first it is only asked"
        assert done.count(LINKED) == 1
        await seen.hears("proven")
        assert seen.said() == ["probing the session", "opening the session again"]
        assert seen.calls() == seen.posts() == [], "no alarm"


async def test_a_person_is_called_once_when_opening_it_again_does_not_help(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with watched(bus, redis_url, tmp_path) as seen:
        sim, links = seen.it.sim, seen.asked(LINKED)
        sim.deafen("login")
        sim.say(FRIEND, "meanwhile")
        await seen.told("alarm deaf")
        assert seen.asked(LINKED) == links + 1
        text = seen.hook.bodies[0]["text"]
        assert re.search(r"no event for \d+ min; opening the session again did not help", text)
        # Some minutes more of its time: it is suspicious still, and there is no second alarm.
        await seen.polls(15)
        await seen.hears("suspicious")
        await seen.told("alarm deaf")
        assert sim.queued == 1
        # The person logs in anew.
        sim.drop_session(cookies=True)
        await seen.it.events(2)
        await seen.told("alarm deaf", "clear online")
        await seen.hears("proven")
        assert "events arrive again" in seen.hook.bodies[1]["text"]
        # A second episode is a second alarm.
        sim.deafen("login")
        await seen.told("alarm deaf", "clear online", "alarm deaf")
        remedies = ["probing the session", "opening the session again", "did not help"]
        assert seen.said() == 2 * remedies
