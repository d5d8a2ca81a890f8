"""A kill -9 at every step of an append and of a send: what the next process makes of it."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from adapter.failpoints import Failpoint
from tests.support.helpers import wait_until
from tests.support.system_harness import Program, System, system

pytestmark = pytest.mark.anyio

FRIEND = "friend:10001"
LONG = " ".join(f"{number}中文" for number in range(250))  # three parts or more


async def doomed(it: System, step: Failpoint, count: int = 1) -> Program:
    """Start an adapter that is online and dies at a failpoint."""
    it.settings["QQBUS_LEASE"] = "1"
    program = it.start("tests.chaos.crash", step.value, str(count), "run")
    await it.online(program)
    return program


async def arm(program: Program) -> None:
    os.kill(program.process.pid, signal.SIGUSR1)
    await wait_until(lambda: "armed" in program.text(), "the hook is armed")


@pytest.mark.parametrize(
    "step", [Failpoint.RECEIVED, Failpoint.SPOOLED, Failpoint.SYNCED, Failpoint.APPENDED, Failpoint.ADVANCED]
)
async def test_a_kill_at_a_step_of_the_append_loses_nothing_that_was_on_disk(
    bus: Bus, redis_url: str, tmp_path: Path, step: Failpoint
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        program = await doomed(it, step)
        await arm(program)
        it.sim.say(FRIEND, "in the way")
        assert await program.ended() == -9
        await bus.client.delete(bus.keys("lease"))  # rather than wait for its end
        await it.adapter()
        it.sim.say(FRIEND, "after it")
        lost = step is Failpoint.RECEIVED  # the window that SmartQQ leaves
        rows = await it.events(1 if lost else 2)
        assert [row["text"] for row in rows] == (["after it"] if lost else ["in the way", "after it"])
        seqs = [int(row["seq"]) for row in await it.rows("inbound")]
        assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.parametrize("delivery", ["at-most-once", pytest.param("at-least-once", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("step", "count"),
    [
        (Failpoint.READ, 1),
        (Failpoint.BEGUN, 1),
        (Failpoint.BEGUN, 2),
        (Failpoint.ANSWERED, 1),
        (Failpoint.ANSWERED, 2),
        (Failpoint.STEPPED, 1),
        (Failpoint.SETTLED, 1),
    ],
)
async def test_a_kill_at_a_step_of_a_send_doubles_nothing_and_is_told(
    bus: Bus, redis_url: str, tmp_path: Path, step: Failpoint, count: int, delivery: str
) -> None:
    # A network that drops a repeated message id: only there is at-least-once also at most once.
    async with system(bus, redis_url, tmp_path, drop_repeats=True) as it:
        program = await doomed(it, step, count)
        it.sim.say(FRIEND, "hi")
        chat = (await it.events(1))[0]["chat"]
        await arm(program)
        await it.ask(chat, LONG, id="x/1", delivery=delivery)
        assert await program.ended() == -9
        await bus.client.delete(bus.keys("lease"))  # rather than wait for its end
        await it.adapter()
        await it.ask(chat, "behind it", id="x/2")
        first, second = await it.results(2)
        assert (first["id"], second["id"], second["status"]) == ("x/1", "x/2", "sent")
        parts = [message.text for message in it.sim.received if message.text != "behind it"]
        assert set(Counter(parts).values()) <= {1}
        sent, total = (int(part) for part in first["parts"].split("/"))
        if first["status"] == "sent":
            assert sent == total == len(parts)
            assert "".join(parts).replace(" ", "") == LONG.replace(" ", "")
        else:
            # Begun and cut short: never more than told, and at most one part more was under way.
            assert (delivery, first["status"], first["code"]) == ("at-most-once", "unknown", "crash")
            assert sent <= len(parts) <= sent + 1
        assert step not in {Failpoint.READ, Failpoint.SETTLED} or first["status"] == "sent"
        assert delivery == "at-most-once" or first["status"] == "sent"
