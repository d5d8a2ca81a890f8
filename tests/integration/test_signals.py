"""Prove what signals do: a closing terminal ends adapter and workers in order, once asked or often."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from tests.simulator import Answer
from tests.support.helpers import wait_until
from tests.support.system_harness import system

pytestmark = pytest.mark.anyio

SEND = "/channel/send_buddy_msg2"


@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGHUP,), (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP), (signal.SIGTERM, signal.SIGTERM)],
    ids=str,
)
async def test_a_send_in_hand_is_finished(
    bus: Bus, redis_url: str, tmp_path: Path, numbers: tuple[signal.Signals, ...]
) -> None:
    async with system(bus, redis_url, tmp_path, poll_seconds=60.0) as it:
        adapter = await it.adapter()
        it.sim.say("friend:10001", "hi")
        chat = (await it.events(1))[0]["chat"]
        it.sim.next_answer(SEND, Answer(delay=1.0))
        await it.ask(chat, "in hand", id="x/1")
        await it.sim.wait_delayed(SEND)
        for count, number in enumerate(numbers, start=1):
            adapter.process.send_signal(number)
            await wait_until(lambda: adapter.text().count(": stopping") == count, f"{number.name} is heard")  # noqa: B023
        assert await adapter.ended(60.0) == 0
        assert [(row["id"], row["status"]) for row in await it.rows("results")] == [("x/1", "sent")]
        status = await bus.hgetall(bus.keys("status"))
        assert (status["state"], status["reason"]) == (b"stopped", numbers[0].name.encode())
        assert not await bus.client.exists(bus.keys("lease"))


async def test_ctrl_c_while_stopping_leaves_at_once(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path, poll_seconds=60.0) as it:
        adapter = await it.adapter()
        it.sim.say("friend:10001", "hi")
        chat = (await it.events(1))[0]["chat"]
        it.sim.next_answer(SEND, Answer(delay=20.0))
        await it.ask(chat, "in hand", id="x/1")
        await it.sim.wait_delayed(SEND)
        adapter.process.send_signal(signal.SIGTERM)
        await wait_until(lambda: "stopping" in adapter.text(), "it stops")
        adapter.process.send_signal(signal.SIGINT)
        assert await adapter.ended(60.0) == 128 + signal.SIGINT


async def test_nohup_keeps_its_meaning(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        code = "import signal; from adapter.aio import stop_signals; print(len(stop_signals()))"
        for action, count in ((signal.SIG_IGN, "2"), (signal.SIG_DFL, "3")):
            done = subprocess.run(  # noqa: ASYNC221 – it ends at once
                [sys.executable, "-c", code],
                preexec_fn=partial(signal.signal, signal.SIGHUP, action),
                capture_output=True,
                text=True,
                check=True,
                env=os.environ.copy(),
            )
            assert done.stdout.strip() == count
        worker = it.start("consumers.echo")
        await wait_until(lambda: "reads" in worker.text(), "the worker reads")
        worker.process.send_signal(signal.SIGHUP)
        assert await worker.ended() == 0
