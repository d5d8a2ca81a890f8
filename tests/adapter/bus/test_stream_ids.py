"""Proof of adapter/bus/stream_ids.py: no id that a worker gives closes a stream for others."""

import time
from pathlib import Path
from typing import Any

import pytest

from adapter.bus.bus import Bus
from adapter.bus.id_limit import MAX_AHEAD_MS, IdLimit
from adapter.bus.keys import CONSUMER, GROUP
from adapter.bus.lease import Lease
from adapter.bus.ledger import LETTERS
from adapter.bus.stream_ids import FAULT, FOREIGN, StreamIds
from adapter.ops.metrics import Metrics
from tests.adapter.outbound.test_pipeline import chat_of_friend
from tests.support.helpers import wait_until
from tests.support.system_harness import system

pytestmark = pytest.mark.anyio
LAST = f"{2**64 - 1}-{2**64 - 1}"
HOUR_MS, YEAR_MS = 3_600_000, 365 * 86_400_000


def ahead(milliseconds: int) -> int:
    """Return the time of an id that is ahead of the clock."""
    return int(time.time() * 1000) + milliseconds


async def healer(bus: Bus) -> tuple[StreamIds, Metrics]:
    lease, metrics = Lease(bus, "a", 30.0, time.monotonic), Metrics()
    await lease.acquire()
    return StreamIds(bus, lease, metrics, time.time), metrics


async def rows(bus: Bus, stream: str) -> list[tuple[str, dict[bytes, bytes]]]:
    found: Any = await bus.client.xrange(bus.keys(stream))
    return [(entry.decode(), fields) for entry, fields in found]


async def test_what_is_needed_is_taken_over_with_its_place(bus: Bus) -> None:
    stream_ids, metrics = await healer(bus)
    key = bus.keys("outbound")
    await bus.ensure_group("outbound")
    for number in range(4):
        await bus.client.xadd(key, {"n": str(number)}, id=f"{number + 1}-{2**64 - 1}")
    read = {key: ">"}
    await bus.client.xreadgroup(GROUP, CONSUMER, read, count=3)
    await bus.client.xack(key, GROUP, f"1-{2**64 - 1}")
    await bus.client.xadd(key, {"n": "late", "id": "a/1"}, id=f"{ahead(MAX_AHEAD_MS + HOUR_MS)}-0")
    await bus.client.xadd(key, {"n": "last"}, id=LAST)
    await stream_ids.run_once()
    found = await rows(bus, "outbound")
    assert [fields[b"n"] for _, fields in found] == [b"1", b"2", b"3", b"late", b"last"]
    assert [entry for entry, _ in found[:3]] == [f"{number}-{2**64 - 1}" for number in (2, 3, 4)]
    assert [fields.get(b"id") for _, fields in found[3:]] == [b"a/1", f"entry:{LAST}".encode()]
    # What was pending is pending, what was not read is read next.
    assert await bus.group_reader("outbound").pending_ids("0-0", 9) == [entry for entry, _ in found[:2]]
    unread = await bus.group_reader("outbound").read_new(9)
    assert [row.entry for row in unread] == [entry for entry, _ in found[2:]]
    assert await bus.client.xadd(key, {"n": "next"})
    assert LAST in metrics.bus_faults()[FAULT]
    assert await bus.client.ttl(bus.keys("ids:aside:outbound")) > 0
    await stream_ids.run_once()
    assert len(await rows(bus, "outbound")) == 6


async def test_an_empty_stream_is_healed_too(bus: Bus) -> None:
    stream_ids, metrics = await healer(bus)
    await bus.ensure_group("outbound")
    for stream in ("outbound", "dead"):
        await bus.client.xadd(bus.keys(stream), {"n": "1"}, id=LAST, maxlen=0, approximate=False)
    await stream_ids.run_once()
    for stream in ("outbound", "dead"):
        assert await bus.client.xadd(bus.keys(stream), {"n": "2"})
    assert [row.fields for row in await bus.group_reader("outbound").read_new(9)] == [{b"n": b"2"}]
    assert metrics.bus_faults()


async def test_dead_letters_stay(bus: Bus) -> None:
    stream_ids, _ = await healer(bus)
    before = await bus.client.xadd(bus.keys("dead"), {"n": "1"})
    await bus.client.xadd(bus.keys("dead"), {"n": "2"}, id=LAST)
    await stream_ids.run_once()
    found = await rows(bus, "dead")
    assert [fields[b"n"] for _, fields in found] == [b"1", b"2"]
    assert found[0][0] == before.decode()


@pytest.mark.parametrize("stream", ["inbound", "results", "session"])
async def test_streams_of_the_adapter_are_healed_from_ids_that_no_clock_gives(bus: Bus, stream: str) -> None:
    stream_ids, metrics = await healer(bus)
    key, early = bus.keys(stream), f"{ahead(YEAR_MS)}-0"  # the clock of Redis may have been set back
    await bus.client.xadd(key, {"n": "1"}, id=early)
    await bus.client.xgroup_create(key, "bot", "0")
    await stream_ids.run_once()
    assert not metrics.bus_faults()
    await bus.client.xreadgroup("bot", "me", {key: ">"})
    await bus.client.xadd(key, {"n": "2", "id": "x"}, id=LAST)
    await stream_ids.run_once()
    assert await bus.client.xadd(key, {"n": "3"})
    assert [fields[b"n"] for _, fields in await rows(bus, stream)] == [b"1", b"2", b"3"]
    unread: Any = await bus.client.xreadgroup("bot", "me", {key: ">"})
    assert [fields[b"n"] for _, fields in unread[0][1]] == [b"2", b"3"]
    assert LAST in metrics.bus_faults()[FAULT]


async def test_letters_of_the_adapter_stay_its_own_under_their_new_ids(bus: Bus) -> None:
    stream_ids, _ = await healer(bus)
    late = ahead(YEAR_MS)
    entries = [f"{ahead(0)}-1", f"{late}-1", f"{late}-2"]
    for entry in entries:
        await bus.client.xadd(bus.keys("dead"), {"n": entry, "id": "x"}, id=entry)
    await bus.client.hset(bus.keys(LETTERS), mapping={entries[0]: 1, entries[1]: 1, "5-5": 1})
    await stream_ids.run_once()
    found = {fields[b"n"].decode(): entry for entry, fields in await rows(bus, "dead")}
    kept = {entry.decode() for entry in await bus.client.hkeys(bus.keys(LETTERS))}
    assert kept == {found[entries[0]], found[entries[1]]}
    assert found[entries[1]] != entries[1]


@pytest.mark.parametrize("stream", ["outbound", "dead", "control"])
async def test_an_id_of_next_year_dates_no_entry_that_follows(bus: Bus, stream: str) -> None:
    stream_ids, metrics = await healer(bus)
    await bus.client.xadd(bus.keys(stream), {"n": "1"}, id=f"{ahead(YEAR_MS)}-0")
    await stream_ids.run_once()
    following: Any = await bus.client.xadd(bus.keys(stream), {"n": "2"})
    assert int(following.decode().partition("-")[0]) < ahead(HOUR_MS)
    assert [fields[b"n"] for _, fields in await rows(bus, stream)] == [b"1", b"2"]
    assert metrics.bus_faults()[FAULT]


async def test_a_clock_that_was_set_back_heals_nothing(bus: Bus) -> None:
    stream_ids, metrics = await healer(bus)
    for stream in ("inbound", "outbound"):
        await bus.client.xadd(bus.keys(stream), {"n": "1"}, id=f"{ahead(YEAR_MS)}-0")
    await stream_ids.run_once()
    assert metrics.bus_faults() == {}


async def test_a_key_of_another_type_is_an_alarm(bus: Bus) -> None:
    stream_ids, metrics = await healer(bus)
    await bus.client.set(bus.keys("results"), "x", ex=60)
    await stream_ids.run_once()
    assert f"{bus.keys('results')} is a string, not a stream" in metrics.bus_faults()[FOREIGN]


async def test_messages_flow_on_behind_the_last_id(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        program = await it.adapter()
        chat = await chat_of_friend(it)
        for stream in ("dead", "outbound"):
            await bus.client.xadd(bus.keys(stream), {"to": chat, "text": "last", "id": "x/0"}, id=LAST)
        # Its dead letter has no room at first.
        await bus.client.xadd(bus.keys("control"), {"cmd": "refresh"})

        async def has_room() -> bool:
            last: Any = await bus.client.xinfo_stream(bus.keys("outbound"))
            return not IdLimit().is_beyond(last["last-generated-id"].decode(), time.time())

        await wait_until(has_room, "the stream has room", 30.0)
        await it.ask("nobody", "x", id="x/1")
        await it.ask(chat, "hello", id="x/2")
        results = {row["id"]: row["status"] for row in await it.results(3, 30.0)}
        assert results == {"x/0": "sent", "x/1": "rejected", "x/2": "sent"}
        assert program.process.poll() is None
        assert [message.text for message in it.sim.received] == ["last", "hello"]
