"""Proof of adapter/bus/key_types.py: keys of other programs are named before they are used."""

from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from adapter.bus.key_types import find_foreign_keys
from tests.support.system_harness import system

pytestmark = pytest.mark.anyio


async def test_the_keys_of_an_adapter_are_of_their_types(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    assert await find_foreign_keys(bus.client, bus.keys) == []
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        assert await find_foreign_keys(bus.client, bus.keys) == []


@pytest.mark.parametrize("name", ["results", "outbound", "inbound", "status"])
async def test_a_key_of_another_program_is_named_in_one_line(
    bus: Bus, redis_url: str, tmp_path: Path, name: str
) -> None:
    await bus.client.set(bus.keys(name), "of another program", ex=60)
    async with system(bus, redis_url, tmp_path) as it:
        adapter = it.start("adapter", "run")
        assert await adapter.ended(60.0) == 2
        [line] = adapter.text().splitlines()
        assert f"{bus.keys(name)} is a string, not a" in line
        assert "QQBUS_PREFIX" in line
    await bus.client.delete(bus.keys(name))
