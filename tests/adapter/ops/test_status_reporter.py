"""Proof of adapter/ops/status_reporter.py: what stands in `qq:status`. test_inbound proves the sessions."""

import time
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.bus.spool.log import Spool
from adapter.bus.spool.publisher import DurablePublisher
from adapter.events import SessionChange, SessionState
from adapter.ops.status_reporter import StatusReporter
from tests.support.helpers import quiet

pytestmark = pytest.mark.anyio


async def test_why_events_cannot_be_put_on_disk_stands_there_until_they_can(bus: Bus, tmp_path: Path) -> None:
    lease = Lease(bus, "a", 30.0, time.monotonic)
    await lease.acquire()
    with Spool(tmp_path) as spool:
        publisher = DurablePublisher(bus, lease, spool, lambda *_: None, quiet)
        stuck = ""
        reporter = StatusReporter(bus, lease, publisher, "0", time.time, stuck=lambda: stuck)

        async def told() -> str:
            await reporter.flush()
            return (await bus.hash(bus.keys("status")))["disk"].decode()

        await reporter.report(SessionChange(SessionState.ONLINE, account="1"), time.time())
        assert await told() == ""
        stuck = "No space left on device"
        assert await told() == stuck
        stuck = ""
        assert await told() == ""
