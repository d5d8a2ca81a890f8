"""Proof of adapter/bus/session_replication.py: the newer session wins, whatever the clocks say."""

import os
import stat
import time
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.bus.session_replication import SessionReplicator

pytestmark = pytest.mark.anyio

SECRET = "a key of sixteen"
DAY = 86_400.0


async def holder(bus: Bus, folder: Path) -> tuple[SessionReplicator, Path]:
    """Return what one machine has while it holds the lease."""
    folder.mkdir(exist_ok=True)
    lease = Lease(bus, folder.name, 60.0, time.monotonic)
    await bus.client.delete(bus.keys("lease"))
    assert await lease.acquire() == 0
    file = folder / "smartqq.json"
    return SessionReplicator(bus, lease, file, SECRET), file


def date(file: Path, seconds: float) -> None:
    """Date a file, as a machine with a wrong clock does."""
    os.utime(file, (time.time() + seconds,) * 2)


async def test_a_machine_whose_clock_is_ahead_takes_over_the_session(bus: Bus, tmp_path: Path) -> None:
    second, old = await holder(bus, tmp_path / "b")
    old.write_text("session of b, dead by now")
    await second.replicate()
    date(old, DAY)
    first, file = await holder(bus, tmp_path / "a")
    assert await first.restore()
    file.write_text("session of a")
    date(file, -DAY)
    await first.replicate()
    again, old = await holder(bus, tmp_path / "b")
    assert await again.restore()
    assert old.read_text() == "session of a"
    assert stat.S_IMODE(old.stat().st_mode) == 0o600


async def test_the_last_holder_keeps_what_it_wrote_after_the_last_copy(bus: Bus, tmp_path: Path) -> None:
    first, file = await holder(bus, tmp_path / "a")
    file.write_text("copied")
    await first.replicate()
    file.write_text("written and not copied")
    date(file, -DAY)
    again, file = await holder(bus, tmp_path / "a")
    assert not await again.restore()
    assert file.read_text() == "written and not copied"
    await again.replicate()
    other, copied = await holder(bus, tmp_path / "c")
    assert await other.restore()
    assert copied.read_text() == "written and not copied"


async def test_each_copy_of_a_holder_is_newer_than_the_one_before(bus: Bus, tmp_path: Path) -> None:
    first, file = await holder(bus, tmp_path / "a")
    second, other = await holder(bus, tmp_path / "b")
    first, file = await holder(bus, tmp_path / "a")
    for text in ("one", "two", "three"):
        file.write_text(text)
        await first.replicate()
        assert await second.restore()
        assert other.read_text() == text
        assert not await second.restore()
