"""Proof of adapter/ops/status_reporter.py: what stands in `qq:status`. test_inbound proves the sessions."""

import time
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.bus.spool.log import Spool
from adapter.bus.spool.publisher import DurablePublisher
from adapter.events import SessionChange, SessionState
from adapter.ops.metrics import Metrics
from adapter.ops.status_reporter import StatusReporter

pytestmark = pytest.mark.anyio


async def test_why_events_cannot_be_put_on_disk_stands_there_until_they_can(bus: Bus, tmp_path: Path) -> None:
    lease = Lease(bus, "a", 30.0, time.monotonic)
    await lease.acquire()
    with Spool(tmp_path) as spool:
        publisher = DurablePublisher(bus, lease, spool)
        reporter = StatusReporter(bus, lease, publisher, Metrics(), "0", time.time)

        async def told() -> str:
            await reporter.flush()
            return (await bus.hgetall(bus.keys("status")))["disk"].decode()

        reporter.record(SessionChange(SessionState.ONLINE, account="1"), time.time())
        assert await told() == ""
        publisher.disk_error = "No space left on device"
        assert await told() == "No space left on device"
        publisher.disk_error = ""
        assert await told() == ""
