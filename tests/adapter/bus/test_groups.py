"""Proof of adapter/bus/groups.py: names that others choose fill no memory of those who look at groups."""

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from adapter.bus.bus import Bus
from adapter.bus.groups import MAX_NAME, Group, read_groups
from adapter.bus.spool.log import Spool
from tests.adapter.bus.test_retention import MB, Desk

pytestmark = pytest.mark.anyio


async def test_a_group_is_known_by_its_bytes_and_its_numbers(bus: Bus) -> None:
    key = bus.keys("inbound")
    assert await read_groups(bus.client, key) == []
    entry = await bus.client.xadd(key, {"n": "1"})
    await bus.client.xadd(key, {"n": "2"})
    await bus.client.xgroup_create(key, b"\xff\xfe", "0")
    await bus.client.xreadgroup(b"\xff\xfe", "me", {key: ">"}, count=1)  # type: ignore[arg-type]
    await bus.client.xgroup_create(key, "late", f"{2**64 - 1}-{2**64 - 1}")
    first, late = sorted(await read_groups(bus.client, key), reverse=True)
    assert first == Group(b"\xff\xfe", 1, 0, 1, entry.decode(), 1, entry.decode())
    assert (late.name, late.consumers, late.pending, late.oldest) == (b"late", 0, 0, "")


async def test_a_user_without_scripts_sees_the_same(bus: Bus, redis_url: str) -> None:
    key, name = bus.keys("inbound"), f"{bus.keys.prefix}-r"
    await bus.client.xadd(key, {"n": "1"})
    await bus.client.xgroup_create(key, "bot", "0")
    await bus.client.xreadgroup("bot", "me", {key: ">"})
    rights = f"reset on >pw +hello +ping +client|setname +client|setinfo +xinfo +xpending ~{key}"
    await bus.client.execute_command("ACL", "SETUSER", name, *rights.split())  # type: ignore[no-untyped-call]
    async with Bus.open(redis_url.replace("redis://", f"redis://{name}:pw@"), bus.keys.prefix) as user:
        assert await read_groups(user.client, key) == await read_groups(bus.client, key)
        assert await read_groups(user.client, key) != []
    await bus.client.execute_command("ACL", "DELUSER", name)  # type: ignore[no-untyped-call]


async def test_long_names_of_groups_and_consumers_fill_no_memory(bus: Bus, tmp_path: Path) -> None:
    key = bus.keys("inbound")
    for number in range(20):
        await bus.client.xadd(key, {"n": str(number)})
    await bus.client.xgroup_create(key, "bot", "0")
    # A consumer with a name of megabytes, and twenty groups with such names.
    await bus.client.xreadgroup("bot", "c" * 2 * MB, {key: ">"})
    for number in range(20):
        await bus.client.xgroup_create(key, f"{number}" * MB, "0")
    names = [row["name"] for row in await bus.client.xinfo_groups(key)]  # type: ignore[no-untyped-call]
    assert sum(map(len, names)) > 20 * MB
    entries = [entry for entry, _ in await bus.client.xrange(key)]
    await bus.client.xclaim(key, "bot", "c" * 2 * MB, 0, entries, idle=600_000, retrycount=20, justid=True)
    with Spool(tmp_path / "spool") as spool:
        desk = Desk(bus, spool, cap=1_000)
        await desk.lease.acquire()
        tracemalloc.start()
        await desk.retention.run_once()
        assert [group.name for group in await read_groups(bus.client, key)] == [b"bot"]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 * MB
    letters: Any = await bus.client.xrange(bus.keys("dead"))
    assert [fields[b"reason"] for _, fields in letters] == [b"poison"] * 20
    assert {len(fields[b"consumer"]) for _, fields in letters} == {MAX_NAME}
    await bus.client.delete(key)
