"""Proof of adapter/bus/groups.py: names that others choose fill no memory of those who look at groups."""

import pytest

from adapter.bus.bus import Bus
from adapter.bus.groups import Group, read_groups

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
