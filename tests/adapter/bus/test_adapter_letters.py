"""Proof of adapter/bus/adapter_letters.py: what the adapter wrote is known, and no worker can claim it."""

import time
from typing import Any

import pytest

from adapter.bus import adapter_letters
from adapter.bus.adapter_letters import prune, written_by_adapter
from adapter.bus.bus import Bus
from adapter.bus.keys import CONSUMER, GROUP
from adapter.bus.lease import Lease
from adapter.bus.ledger import LETTERS, Ledger, Rejection

pytestmark = pytest.mark.anyio


async def lease_of(bus: Bus) -> Lease:
    lease = Lease(bus, "a", 30.0, time.monotonic)
    await lease.acquire()
    return lease


async def rejected(bus: Bus, lease: Lease) -> str:
    """Reject a request; returns its dead letter."""
    await bus.ensure_group("outbound")
    entry = (await bus.client.xadd(bus.keys("outbound"), {"to": "x"})).decode()
    await bus.client.xreadgroup(GROUP, CONSUMER, {bus.keys("outbound"): ">"})
    letter = ["v", "1", "reason", "schema.invalid"]
    await Ledger(bus).reject(lease.fence, [Rejection(entry, bus.keys("results"), ["v", "1"], letter)])
    newest: Any = await bus.client.xrevrange(bus.keys("dead"), count=1)
    return str(newest[0][0].decode())


async def test_letters_of_workers_are_told_apart(bus: Bus) -> None:
    own = await rejected(bus, await lease_of(bus))
    foreign = (await bus.client.xadd(bus.keys("dead"), {"v": "1", "by": "adapter"})).decode()
    found = await written_by_adapter(bus.client, bus.keys, [own, foreign, "1-1"])
    assert found == {own: True, foreign: False, "1-1": False}
    assert await written_by_adapter(bus.client, bus.keys, []) == {}


async def test_letters_that_are_gone_are_forgotten(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter_letters, "SLACK", 1)
    lease = await lease_of(bus)
    letters = [await rejected(bus, lease) for _ in range(5)]
    key = bus.keys(LETTERS)
    await bus.client.xdel(bus.keys("dead"), letters[0])
    await prune(bus, lease.fence)
    assert await bus.client.hlen(key) == 5  # within the slack
    await bus.client.xdel(bus.keys("dead"), letters[2])
    await prune(bus, lease.fence)
    assert sorted(name.decode() for name in await bus.client.hkeys(key)) == [letters[1], *letters[3:]]
    await bus.client.delete(bus.keys("dead"))
    await prune(bus, lease.fence)
    assert not await bus.client.exists(key)
