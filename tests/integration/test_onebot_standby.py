"""Kill -9 of the adapter on OneBot: its own lease is taken back, and a standby has heard what it has not."""

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import anyio
import pytest

from adapter.bus.bus import Bus
from tests.support.helpers import wait_until
from tests.support.onebot_system import OneBotSystem, onebot_system
from tests.support.system_harness import Program

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150)]

CHATS = ("group:30001", "friend:10001", "friend:10002")

# Seconds after which two adapters number equal pokes alike.
STEADY = 3.0


class Traffic:
    """Says a numbered line every 20 ms, in turn in three chats, and now and then a poke."""

    def __init__(self, system: OneBotSystem) -> None:
        self._system = system
        self.said: dict[int, float] = {}
        self.pokes = 0

    async def run(self) -> None:
        """Talk until cancelled."""
        while True:
            number = len(self.said)
            event = self._system.server.say(CHATS[number % 3], f"n{number}", sender=10002)["event"]
            self.said[number] = float(event["time"])
            if number % 10 == 0:
                self._system.server.notice("poke", user=10001)
                self.pokes += 1
            await anyio.sleep(0.02)

    async def ask(self) -> None:
        """Ask for an answer every 200 ms until cancelled."""
        number = 0
        while True:
            await self._system.ask("friend:10001", f"answer {number}", id=f"t/{number}")
            number += 1
            await anyio.sleep(0.2)


@asynccontextmanager
async def talking(system: OneBotSystem) -> AsyncIterator[Traffic]:
    """Keep the account busy; at the end wait until the last line is on the bus."""
    traffic = Traffic(system)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(traffic.run)
        tasks.start_soon(traffic.ask)
        await anyio.sleep(0.5)
        yield traffic
        await anyio.sleep(0.5)
        tasks.cancel_scope.cancel()
    last = f"n{len(traffic.said) - 1}"

    async def is_there() -> bool:
        return any(row["text"] == last for row in await system.rows("inbound"))

    await wait_until(is_there, "the last line", 30)


async def kill(program: Program) -> None:
    os.kill(program.process.pid, signal.SIGKILL)
    await program.ended()


async def numbers(system: OneBotSystem) -> list[int]:
    """Return the numbers of the lines on the bus, in their order."""
    rows = await system.rows("inbound")
    return [int(row["text"][1:]) for row in rows if row["type"].startswith("message.")]


async def check_sends(system: OneBotSystem) -> None:
    """Each request has one result, and nothing was sent twice."""
    asked = {row["id"] for row in await system.rows("outbound")}
    results = Counter(row["id"] for row in await system.results(len(asked), 30))
    assert set(results.values()) == {1}
    sent = Counter(str(one.segments) for one in system.server.record.received.entries)
    assert set(sent.values()) == {1}


async def standing_by(system: OneBotSystem, state: str) -> Program:
    """Start an adapter beside another one, and wait until it is connected."""
    program = system.start("adapter", "run", state=state)
    await wait_until(
        lambda: "standing by" in program.text() and "connected as 20001" in program.text(),
        f"{state} stands by",
        30,
    )
    return program


async def test_a_killed_adapter_hears_again_at_once_and_tells_what_it_lost(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with onebot_system("napcat", bus, redis_url, tmp_path) as system:
        system.settings["QQBUS_LEASE"] = "60"
        program = await system.adapter()
        async with talking(system) as traffic:
            for _ in range(2):
                await kill(program)
                program = await system.adapter()
        gaps = await system.bodies("session.gap")
        assert len(gaps) == 2
        spans = [
            [datetime.fromisoformat(gap[name]).timestamp() for name in ("since", "until")] for gap in gaps
        ]
        # Three seconds are the aim; other tests may run beside this one.
        assert max(until - since for since, until in spans) < 15
        heard = await numbers(system)
        assert heard == sorted(set(heard))
        for number in set(traffic.said) - set(heard):
            said = traffic.said[number]
            assert any(since - 1 <= said <= until + 1 for since, until in spans), number
        await check_sends(system)


async def test_with_a_standby_nothing_is_lost_while_one_of_two_is_alive(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with onebot_system("napcat", bus, redis_url, tmp_path) as system:
        system.settings["QQBUS_LEASE"] = "2"
        first = await system.adapter()
        async with talking(system) as traffic:
            second = await standing_by(system, "second")
            await anyio.sleep(STEADY)
            await kill(first)
            await system.online(second)
            first = await standing_by(system, "state")
            await anyio.sleep(STEADY)
            assert await second.stop() == 0
            await system.online(first)
        assert await system.bodies("session.gap") == []
        assert await numbers(system) == list(range(len(traffic.said)))
        rows = await system.rows("inbound")
        assert [row["type"] for row in rows].count("notice.poke") == traffic.pokes
        assert [row["type"] for row in rows].count("session.online") == 3
        await check_sends(system)


async def test_a_standby_asks_for_nothing_and_sends_nothing(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with onebot_system("napcat", bus, redis_url, tmp_path) as system:
        await bus.client.set(bus.keys("lease"), "another", px=60_000)
        await standing_by(system, "second")
        await system.ask("friend:10001", "not from here")
        system.server.say("friend:10001", "hi")
        folder = tmp_path / "second" / "standby"
        await wait_until(
            lambda: any(b"hi" in one.read_bytes() for one in folder.glob("*.spool")), "it is kept"
        )
        asked = {one.action for one in system.server.record.actions.entries}
        assert asked == {"get_login_info", "get_version_info", "get_status"}
        assert await system.rows("inbound") == []
        await bus.client.delete(bus.keys("lease"))
        (event,) = await system.events(1)
        assert event["text"] == "hi"
        await system.results(1)
