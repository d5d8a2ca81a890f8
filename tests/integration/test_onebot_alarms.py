"""Half-dead connections of OneBot: heartbeats go on, and no event comes, or no send is confirmed. Real processes.

The watchdog's clock runs sixty times faster; limits and connections are the real ones.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from adapter.ops.alerts.mute_monitor import MAX_UNKNOWN
from tests.support.helpers import wait_until
from tests.support.onebot_system import OneBotSystem, onebot_system
from tests.support.system_harness import Program
from tests.support.webhook_server import Hook, webhook

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

# Seconds of the watchdog's time: four of ours.
SILENCE = "240"
FRIEND = "friend:10001"
WAIT = 60.0


@asynccontextmanager
async def watched(
    bus: Bus, redis_url: str, folder: Path
) -> AsyncIterator[tuple[OneBotSystem, Program, Hook]]:
    """Run an adapter that accepts a silence of four minutes, and has heard one event."""
    with webhook() as hook:
        async with onebot_system("napcat", bus, redis_url, folder, heartbeat_ms=200) as it:
            it.settings |= {"QQBUS_ALARM_URL": hook.url, "QQBUS_SILENCE_ALARM": SILENCE}
            program = it.start("tests.chaos.fast_watchdog", "run")
            await it.online(program)
            it.server.say(FRIEND, "before")
            await it.events(1)
            yield it, program, hook


async def posted(hook: Hook, *alerts: str) -> None:
    """Wait until the webhook has got exactly this."""

    def found() -> bool:
        return [f"{body['event']} {body['reason']}" for body in hook.bodies] == list(alerts)

    await wait_until(found, f"{alerts} but {hook.bodies}", WAIT)


async def test_a_silent_connection_is_opened_again_without_an_alarm(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with watched(bus, redis_url, tmp_path) as (it, program, hook):
        it.server.do.silence()
        it.server.say(FRIEND, "withheld")
        await wait_until(lambda: "opening the session again" in program.text(), "the remedy", WAIT)
        await it.events(2, "session.online", WAIT)
        it.server.say(FRIEND, "after")
        rows = await it.events(2, seconds=WAIT)
        assert [row["text"] for row in rows] == ["before", "after"]
        assert len(await it.events(1, "session.gap")) == 1
        assert hook.bodies == []


async def test_a_deaf_account_behind_a_healthy_heartbeat_calls_a_person_once(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with watched(bus, redis_url, tmp_path) as (it, program, hook):
        it.server.do.deaf()
        await posted(hook, "alarm deaf")
        assert "opening the session again" in program.text()
        it.server.do.deaf(on=False)
        it.server.say(FRIEND, "after")
        await posted(hook, "alarm deaf", "clear online")


async def test_an_account_whose_sends_are_not_confirmed_calls_a_person_once(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with watched(bus, redis_url, tmp_path) as (it, _, hook):
        it.server.do.answer("send_private_msg", [{"performs": False, "reply": "timeout"}] * MAX_UNKNOWN)
        for number in range(MAX_UNKNOWN):
            await it.ask(FRIEND, f"unconfirmed {number}")
        results = await it.results(MAX_UNKNOWN, WAIT)
        assert {(row["status"], row["code"]) for row in results} == {("unknown", "upstream.maybe")}
        await posted(hook, "alarm mute")
        await it.ask(FRIEND, "confirmed")
        assert (await it.results(MAX_UNKNOWN + 1))[-1]["status"] == "sent"
        await posted(hook, "alarm mute", "clear mute")
