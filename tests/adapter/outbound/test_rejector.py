"""Proof of adapter/outbound/rejector.py: a flood of nonsense costs little, and each entry gets its result."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from adapter.bus.bus import Bus
from adapter.bus.keys import CONSUMER, GROUP
from adapter.errors import SchemaError
from adapter.outbound import rejector
from adapter.outbound.rejector import BATCH, Rejector
from tests.support.helpers import wait_until
from tests.support.intake_harness import make_settlement

pytestmark = pytest.mark.anyio


async def read(bus: Bus, requests: Sequence[dict[str, Any]]) -> list[str]:
    """Add entries and read them as the adapter does; returns their ids."""
    await bus.ensure_group("outbound")
    async with bus.client.pipeline(transaction=False) as pipe:
        for fields in requests:
            pipe.xadd(bus.keys("outbound"), fields)
        entries = await pipe.execute()
    stream = {bus.keys("outbound"): ">"}
    await bus.client.xreadgroup(GROUP, CONSUMER, stream, count=len(requests))  # type: ignore[arg-type]
    return [entry.decode() for entry in entries]


async def calls(bus: Bus) -> int:
    """Return the number of scripts that this server has run."""
    stats: Any = await bus.client.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("evalsha", "eval"))


async def reject_all(bus: Bus, folder: Path, entries: Sequence[str]) -> list[str]:
    """Reject entries; returns their ids in the order of their rejection."""
    _, settlement = await make_settlement(bus, folder)
    done: list[str] = []
    queue, stop = Rejector(settlement, done.extend), anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.run, stop)
        for entry in entries:
            queue.add(entry, SchemaError("to is missing"))
        await wait_until(lambda: len(done) == len(entries), "all are rejected", 60.0)
        stop.set()
        queue.wake()
    assert len(queue) == 0
    return done


async def test_a_flood_is_rejected_in_batches(bus: Bus, tmp_path: Path) -> None:
    number, own = 1_000, bus.keys("results:mine")
    entries = await read(
        bus, [{"id": f"x/{n}", **({"results": own} if n % 2 else {})} for n in range(number)]
    )
    before = await calls(bus)
    assert await reject_all(bus, tmp_path, entries) == entries
    # Two calls for each batch; a few are those of the lease, and of batches that had begun with one entry.
    assert await calls(bus) - before <= 2 * number // BATCH + 10
    assert await bus.pending_count("outbound") == 0
    for stream, expected in (("results", entries[::2]), ("results:mine", entries[1::2]), ("dead", entries)):
        rows: Any = await bus.client.xrange(bus.keys(stream))
        assert [fields[b"entry"].decode() for _, fields in rows] == expected


async def test_large_entries_take_turns_with_small_ones(bus: Bus, tmp_path: Path) -> None:
    large, small = {"body": b"x" * 5_000_000}, {"body": b"x"}
    entries = await read(bus, [large, small, large, large, small, small])
    assert await reject_all(bus, tmp_path, entries) == entries
    rows: Any = await bus.client.xrange(bus.keys("dead"))
    assert [b"clipped" in fields for _, fields in rows] == [True, False, True, True, False, False]
    await bus.client.delete(bus.keys("outbound"))


async def test_what_waits_has_a_bound(bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejector, "MAX_REFUSED", 2)
    _, settlement = await make_settlement(bus, tmp_path)
    queue = Rejector(settlement, lambda _: None)
    for number in range(2):
        assert not queue.is_full
        queue.add(f"1-{number}", SchemaError("x" * 10_000))
    assert queue.is_full
