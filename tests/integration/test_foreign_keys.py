"""Prove that a key which turns into another type while the adapter runs is an outage with an alarm."""

from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from adapter.bus.key_types import TYPES
from tests.support.helpers import wait_until
from tests.support.system_harness import system

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

FRIEND = "friend:10001"


async def take(bus: Bus, key: str, kind: str) -> None:
    """Make a key of another type."""
    if kind == "string":
        await bus.client.rpush(key, "x")
    else:
        await bus.client.set(key, "x")


# One of each kind of use; the others are long.
QUICK = ("inbound", "outbound", "seen:new", "ids:letters")


@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.long) for name in TYPES if name not in QUICK)]
)
async def test_a_key_of_another_type_costs_no_event_and_no_request(
    bus: Bus, redis_url: str, tmp_path: Path, name: str
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        adapter = await it.adapter()
        it.sim.say(FRIEND, "before")
        chat = (await it.events(1))[0]["chat"]
        key, kept = bus.keys(name), f"{bus.keys(name)}-kept"
        # What another program does: it takes the name.
        had_key = bool(await bus.client.exists(key))
        if had_key:
            await bus.client.rename(key, kept)
        await take(bus, key, TYPES[name])
        it.sim.say(FRIEND, "during")
        if name != "outbound":
            await it.ask(chat, "", id="a/empty")
            await it.ask(chat, "hello", id="a/1")
        words = f"{key} is a {'list' if TYPES[name] == 'string' else 'string'}, not a {TYPES[name]}"
        await wait_until(lambda: words in adapter.text(), "the alarm names it", 60.0)
        assert adapter.process.poll() is None
        await bus.client.delete(key)
        if had_key and name != "lease":  # it was that of a moment
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


async def test_a_ledger_entry_of_another_type_is_named_and_holds_back_its_chat_alone(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        adapter = await it.adapter()
        for sender in (FRIEND, "friend:20002"):
            it.sim.say(sender, "before")
        one, other = (row["chat"] for row in await it.events(2))
        await bus.client.set(bus.keys.ledger("a/1"), "x")
        await it.ask(one, "hello", id="a/1")
        await wait_until(
            lambda: f"{bus.keys.ledger('a/1')} is a string, not a hash" in adapter.text(),
            "the alarm names it",
            60.0,
        )
        await it.ask(other, "hi", id="a/2")
        assert [row["id"] for row in await it.results(1, 60.0)] == ["a/2"]
        await bus.client.delete(bus.keys.ledger("a/1"))
        assert [row["status"] for row in await it.results(2, 60.0)] == ["sent", "sent"]
        assert len(it.sim.received) == 2
        assert await adapter.stop() == 0
