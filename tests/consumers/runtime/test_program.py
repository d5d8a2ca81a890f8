"""Proof of consumers/runtime/program.py: help, and signals that say what they do."""

import signal

import pytest

from tests.support.bus_events import desk_at, message, program
from tests.support.helpers import wait_until

pytestmark = pytest.mark.anyio

SLOW = """
import asyncio
from qqbus import Event, Worker

worker = Worker("slow")

@worker.on("message.group", text="wait")
async def wait(event: Event) -> None:
    \"\"\"Take a minute.\"\"\"
    print("took it", flush=True)
    await asyncio.sleep(60)

worker.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_the_first_signal_says_what_it_does_and_ctrl_c_then_leaves_at_once(
    redis_url: str, prefix: str, number: int
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await desk.publish(message("wait"))
        async with program(desk, "-c", SLOW) as worker:
            await worker.says("took it")
            worker.process.send_signal(number)
            await worker.says("stopping: 1 events in hand get 20 s; Ctrl-C leaves at once")
            # The same wish once more: a closing terminal and its shell send several.
            worker.process.send_signal(signal.SIGTERM)
            worker.process.send_signal(signal.SIGHUP)
            worker.process.send_signal(signal.SIGINT)
            assert await worker.ended(10) == 128 + signal.SIGINT
            assert "leaving at once" in worker.output
        assert await desk.pending("slow") == 1


async def test_help_of_a_bot_explains_it_and_does_not_start_it(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        async with program(desk, "-c", SLOW, "--help") as worker:
            assert await worker.ended() == 0
            for words in ("The worker slow", "message.group  Take a minute.", "REDIS_URL"):
                assert words in worker.output
        assert not await desk.client.exists(desk.key("inbound"))


async def test_a_worker_without_handlers_says_so(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        bare = "from qqbus import Worker; Worker('bare').main()"
        async with program(desk, "-c", bare) as worker:
            await worker.says("bare has no handlers")
            await wait_until(lambda: desk.has_group("bare"), "it runs")
            worker.terminate()
            assert await worker.ended() == 0
