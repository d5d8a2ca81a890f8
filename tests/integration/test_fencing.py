"""A holder that is paused for longer than its lease: what it believes is worth nothing when it wakes."""

import os
import signal
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from tests.simulator import Answer
from tests.support.helpers import wait_until
from tests.support.system_harness import system

pytestmark = pytest.mark.anyio
BUDDY = "/channel/send_buddy_msg2"


async def test_a_paused_holder_can_neither_append_nor_send_nor_settle(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        it.settings["QQBUS_LEASE"] = "1"
        first = await it.adapter()
        it.sim.say("friend:10001", "hi")
        chat = (await it.events(1))[0]["chat"]
        it.sim.next_answer(BUDDY, Answer(delay=0.3))
        await it.ask(chat, "in hand", id="x/1")
        await it.sim.wait_delayed(BUDDY)
        os.kill(first.process.pid, signal.SIGSTOP)
        second = it.start("adapter", "run", state="second")
        await it.online(second)
        epoch = int((await bus.hgetall(bus.keys("status")))["epoch"])
        (told,) = await it.results(1)
        assert (told["id"], told["status"], told["code"]) == ("x/1", "unknown", "crash")
        os.kill(first.process.pid, signal.SIGCONT)
        await wait_until(lambda: "standing by" in first.text(), "the first one stands by")
        # It has had the answer to its send in hand, and may not tell it.
        assert len(await it.rows("results")) == 1
        assert int((await bus.hgetall(bus.keys("status")))["epoch"]) == epoch
        await it.ask((await it.events(1))[0]["chat"], "from the second", id="x/2")
        answer = (await it.results(2))[1]
        assert (answer["id"], answer["epoch"]) == ("x/2", str(epoch))
        epochs = [int(row["epoch"]) for row in await it.rows("inbound")]
        assert epochs == sorted(epochs)
        assert [m.text for m in it.sim.received if m.text == "in hand"] in ([], ["in hand"])
