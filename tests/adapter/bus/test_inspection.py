"""Proof of adapter/bus/inspection.py: what others did to the bus is found, and looking changes nothing."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis.asyncio as redis

from adapter.bus.bus import Bus
from adapter.bus.connection import connect
from adapter.bus.inspection import BusFindings, inspect_bus
from adapter.contract.acl import ROLES, hash_password, setuser_line

pytestmark = pytest.mark.anyio

LAST = "18446744073709551615-18446744073709551615"


async def look(bus: Bus, client: "redis.Redis | None" = None) -> BusFindings:
    return await inspect_bus(client or bus.client, bus.keys, time.time())


async def test_nothing_is_wrong_with_an_ordinary_bus_and_nothing_is_changed(bus: Bus) -> None:
    entry = await bus.client.xadd(bus.keys("inbound"), {"a": "b"})
    await bus.ensure_group("outbound")
    assert await look(bus) == BusFindings()
    assert [row[0] for row in await bus.client.xrange(bus.keys("inbound"))] == [entry]
    assert [key async for key in bus.client.scan_iter(f"{bus.keys.prefix}:*")] != []


async def test_exhausted_and_future_ids_and_foreign_keys_are_found(bus: Bus) -> None:
    await bus.client.xadd(bus.keys("outbound"), {"a": "b"}, id=LAST)
    await bus.client.xadd(bus.keys("results"), {"a": "b"}, id=f"{int(time.time() * 1000) + 10**9}-0")
    await bus.client.set(bus.keys("dead"), "x", ex=60)
    found = await look(bus)
    assert found.exhausted == (bus.keys("outbound"),)
    assert found.far_ahead == (bus.keys("results"),)
    assert found.foreign_keys == (f"{bus.keys('dead')} is a string, not a stream",)


async def test_a_gateway_that_reads_nothing_is_named_and_other_workers_are_not(bus: Bus) -> None:
    stream = bus.keys("inbound")
    await bus.client.xgroup_create(stream, "onebot", "$", mkstream=True)
    for name in ("host-127.0.0.1:3001", "host-ws://127.0.0.1:8080/ws", "host-4711-0"):
        await bus.client.xgroup_createconsumer(stream, "onebot", name)
    assert (await look(bus)).idle_gateways == ()
    found = await inspect_bus(bus.client, bus.keys, time.time(), max_idle_ms=-1)
    assert sorted(found.idle_gateways) == [
        ("onebot", "host-127.0.0.1:3001"),
        ("onebot", "host-ws://127.0.0.1:8080/ws"),
    ]


@asynccontextmanager
async def user(bus: Bus, url: str, role: str, *more: str) -> AsyncIterator["redis.Redis"]:
    name = f"{bus.keys.prefix}-{role}"
    granted = setuser_line(ROLES[role], bus.keys.prefix, user=name, secret=hash_password("pw"))
    await bus.client.execute_command("ACL", "SETUSER", *granted.split(), *more)  # type: ignore[no-untyped-call]
    client = connect(url.replace("redis://", f"redis://{name}:pw@"))
    try:
        yield client
    finally:
        await client.aclose()
        await bus.client.execute_command("ACL", "DELUSER", name)  # type: ignore[no-untyped-call]


async def test_the_users_of_qqbus_acl_have_their_rights_and_others_lack_them(
    bus: Bus, redis_url: str
) -> None:
    async with user(bus, redis_url, "adapter") as client:
        assert "adapter" not in dict((await look(bus, client)).missing_rights)
    async with user(bus, redis_url, "operator") as client:
        found = await look(bus, client)
        assert [role for role, _ in found.missing_rights] == ["adapter"]
        assert found.user.endswith("-operator")
    async with user(bus, redis_url, "worker") as client:
        missing = dict((await look(bus, client)).missing_rights)
        assert {"adapter", "operator"} == set(missing)
        assert f"EVAL {bus.keys('ids:epoch')}" in missing["adapter"]
