"""Proof of adapter/bus/group_reader.py: what others write is looked at before it is read."""

import hashlib
import tracemalloc

import anyio
import pytest

from adapter.bus.bus import Bus, Fence
from adapter.bus.group_reader import HEAD_BYTES, LOOK_BYTES, PIECE_BYTES, WHOLE_BYTES, Clipped, Row
from adapter.bus.keys import GROUP
from adapter.codec.dead_letters import MAX_FIELD, Cut
from adapter.errors import Fenced
from tests.support.helpers import wait_until

pytestmark = pytest.mark.anyio
LARGE = 3 * 1024 * 1024


async def add(bus: Bus, fields: dict[str, bytes | str]) -> str:
    entry: bytes = await bus.client.xadd(bus.keys("outbound"), fields)
    return entry.decode()


async def test_a_large_entry_comes_without_its_weight(bus: Bus) -> None:
    await bus.ensure_group("outbound")
    reader = bus.group_reader("outbound")
    small = await add(bus, {"to": "group:5", "text": "hello"})
    large = await add(bus, {"to": "g" * 5_000, "id": "a/1", "body": b"x" * LARGE})
    rows = await reader.read_new(10)
    assert rows[0] == Row(small, {b"to": b"group:5", b"text": b"hello"}, 18, is_whole=True)
    assert rows[1].fields == {b"to": b"g" * HEAD_BYTES, b"id": b"a/1"}
    assert (rows[1].entry, rows[1].is_whole) == (large, False)
    assert rows[1].size == LARGE + 5_000 + len("toidbodya/1")
    assert await reader.pending_ids("0-0", 10) == [small, large]
    assert await reader.read([small, large]) == rows


async def test_one_look_ends_at_its_bytes(bus: Bus) -> None:
    await bus.ensure_group("outbound")
    reader = bus.group_reader("outbound")
    entries = [await add(bus, {"body": b"x" * LARGE}) for _ in range(5)]
    found: list[str] = []
    while len(found) < 5:
        rows = await reader.read_new(100)
        assert 0 < sum(row.size for row in rows) < LOOK_BYTES + LARGE + 10
        found += [row.entry for row in rows]
    assert found == entries
    assert len(await reader.read(entries)) == 2


async def test_an_entry_that_comes_while_the_reader_waits_is_looked_at_as_well(bus: Bus) -> None:
    await bus.ensure_group("outbound")
    reader = bus.group_reader("outbound")
    first = await add(bus, {"n": "1"})
    assert [row.entry for row in await reader.read_new(10)] == [first]
    await bus.xack("outbound", first)
    found: list[Row] = []
    async with anyio.create_task_group() as tasks:

        async def read() -> None:
            while not found:
                found.extend(await reader.read_new(10))

        tasks.start_soon(read)
        await wait_until(lambda: is_blocked(bus), "the reader waits")
        large = await add(bus, {"id": "a/1", "body": b"x" * LARGE})
    assert found == [Row(large, {b"id": b"a/1"}, LARGE + 9, is_whole=False)]
    assert await reader.read_new(10) == []


async def is_blocked(bus: Bus) -> bool:
    return any("b" in one["flags"] and one["cmd"] == "xread" for one in await bus.client.client_list())


async def test_a_former_holder_of_the_lease_reads_nothing(bus: Bus) -> None:
    await bus.ensure_group("outbound")
    reader = bus.group_reader("outbound")
    first = await add(bus, {"n": "1"})
    assert [row.entry for row in await reader.read_new(10, Fence(1, "former"))] == [first]
    second = await add(bus, {"n": "2"})
    await bus.client.hset(bus.keys("ids:epoch"), mapping={"epoch": 2, "holder": "successor"})
    with pytest.raises(Fenced):
        await reader.read_new(10, Fence(1, "former"))
    assert await reader.pending_ids("0-0", 10) == [first]
    assert [row.entry for row in await reader.read_new(10, Fence(2, "successor"))] == [second]


async def test_a_deleted_entry_has_no_fields(bus: Bus) -> None:
    await bus.ensure_group("outbound")
    reader = bus.group_reader("outbound")
    entry = await add(bus, {"n": "1"})
    await reader.read_new(10)
    await bus.client.xdel(bus.keys("outbound"), entry)
    assert await reader.read(await reader.pending_ids("0-0", 10)) == [Row(entry, {}, 0, is_whole=True)]


async def test_a_field_of_any_size_is_known_by_its_start_its_length_and_its_digest(bus: Bus) -> None:
    reader = bus.group_reader("outbound")
    body = bytes(range(256)) * (2 * PIECE_BYTES // 256 + 40)
    entry = await add(bus, {"to": "x", "body": body})
    tracemalloc.start()
    ((_, fields, cuts),) = await reader.read_clipped([entry, entry])  # the second is beyond one look
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert fields == {b"to": b"x", b"body": body[:MAX_FIELD]}
    digest = hashlib.sha256(body[MAX_FIELD:]).hexdigest()
    assert cuts == {b"body": Cut(len(body) - MAX_FIELD, digest)}
    assert peak < 4 * PIECE_BYTES
    assert await reader.read_clipped(["1-1"]) == [Clipped("1-1", {}, {})]
    assert await reader.read_clipped([]) == []


async def test_a_name_that_stands_in_an_entry_many_times_comes_a_few_times(bus: Bus) -> None:
    await bus.ensure_group("outbound")
    flat = [item for _ in range(WHOLE_BYTES) for item in ("to", "x")]
    await bus.client.execute_command("XADD", bus.keys("outbound"), "*", *flat)  # type: ignore[no-untyped-call]
    (row,) = await bus.group_reader("outbound").read_new(10)
    assert row.fields == {b"to": b"x"}


async def test_behind_the_last_id_there_is_nothing(bus: Bus) -> None:
    reader, last = bus.group_reader("outbound"), f"{2**64 - 1}-{2**64 - 1}"
    await bus.ensure_group("outbound")
    await bus.client.xadd(bus.keys("outbound"), {"n": "1"}, id=last)
    assert [row.entry for row in await reader.read_new(10)] == [last]
    assert await reader.pending_ids("0-0", 10) == [last]
    assert await reader.pending_ids(last, 10) == []
    assert await reader.read_new(10) == []


async def test_a_group_that_was_set_back_while_the_reader_waits_is_read_again(bus: Bus) -> None:
    await bus.ensure_group("outbound")
    reader = bus.group_reader("outbound")
    first = await add(bus, {"n": "1"})
    assert [row.entry for row in await reader.read_new(10)] == [first]
    await bus.client.xgroup_setid(bus.keys("outbound"), GROUP, "0-0")
    found = await reader.read_new(10) or await reader.read_new(10)
    assert [row.entry for row in found] == [first]
