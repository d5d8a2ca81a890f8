"""One worker file on every network: it does not know which one it is on."""

from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from tests.support.helpers import wait_until
from tests.support.networks import NETWORKS, NetworkStage

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

# Seconds for an answer; a process may have to start first.
ANSWER = 45.0


async def answered(stage: NetworkStage, chat: str, text: str) -> str:
    """Let a person write, and return the answer."""
    before = len(stage.received())
    stage.say(chat, text)
    await wait_until(lambda: len(stage.received()) > before, f"an answer to {text!r}", ANSWER)
    where, answer = stage.received()[before]
    assert where == chat
    return answer


@pytest.mark.parametrize("network", NETWORKS)
async def test_the_same_worker_runs_on_every_network_through_restarts(
    bus: Bus, redis_url: str, tmp_path: Path, network: str
) -> None:
    async with NETWORKS[network](bus, redis_url, tmp_path) as stage:
        programs = stage.programs
        programs.start("tests.support.everywhere_worker")
        adapter = await programs.adapter()
        assert await answered(stage, stage.friend, "hello [微笑] you") == "hello [微笑] you"
        assert await answered(stage, stage.group, "[呲牙][微笑]") == "[呲牙][微笑]"

        assert await adapter.stop() == 0
        await programs.adapter()
        assert await answered(stage, stage.friend, "count") == "1 messages"
        assert await answered(stage, stage.group, "first") == "that was the first"

        # An answer has arrived before its result is written: a restart in between would leave it unknown.
        await programs.results(4)
        await stage.restart()
        assert await answered(stage, stage.friend, 'still <&> "here" [呲牙]') == 'still <&> "here" [呲牙]'
        assert await answered(stage, stage.group, "first") == "that was the first"
        assert await answered(stage, stage.friend, "count") == "3 messages"

        results = await programs.results(7)
        assert [(row["status"], row["code"]) for row in results] == [("sent", "ok")] * 7
        events = [row["text"] for row in await programs.events(7)]
        assert events == [
            *("hello [微笑] you", "[呲牙][微笑]", "count", "first"),
            *('still <&> "here" [呲牙]', "first", "count"),
        ]
