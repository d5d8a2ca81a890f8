"""Prove that a key which turns into another type while the adapter runs is an outage with an alarm."""

from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from tests.support.helpers import wait_until
from tests.support.system_harness import system

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

FRIEND = "friend:10001"


@pytest.mark.parametrize("name", ["inbound", "outbound"])
async def test_a_key_of_another_type_costs_no_event_and_no_request(
    bus: Bus, redis_url: str, tmp_path: Path, name: str
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        adapter = await it.adapter()
        it.sim.say(FRIEND, "before")
        chat = (await it.events(1))[0]["chat"]
        key, kept = bus.keys(name), f"{bus.keys(name)}-kept"
        # What another program does: it takes the name.
        await bus.client.rename(key, kept)
        await bus.client.set(key, "x")
        it.sim.say(FRIEND, "during")
        if name != "outbound":
            await it.ask(chat, "", id="a/empty")
            await it.ask(chat, "hello", id="a/1")
        words = f"{key} is a string, not a stream"
        await wait_until(lambda: words in adapter.text(), "the alarm names it", 60.0)
        assert adapter.process.poll() is None
        await bus.client.rename(kept, key)
        if name == "outbound":
            await it.ask(chat, "", id="a/empty")
            await it.ask(chat, "hello", id="a/1")
        events = await it.events(2, seconds=60.0)
        assert [row["text"] for row in events] == ["before", "during"]
        results = {row["id"]: row["status"] for row in await it.results(2, 60.0)}
        assert results == {"a/empty": "rejected", "a/1": "sent"}
        assert len(await it.rows("dead")) == 1
        assert len(it.sim.received) == 1
        assert await adapter.stop() == 0
