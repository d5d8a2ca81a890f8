"""The intake of requests inside the process of a test: a real bus, and an upstream that is not connected."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.bus.spool.log import Spool
from adapter.bus.spool.publisher import DurablePublisher
from adapter.networks.smartqq.upstream import SmartQQUpstream
from adapter.ops.metrics import Metrics
from adapter.ops.status_reporter import StatusReporter
from adapter.outbound.call_guard import CallGuard
from adapter.outbound.intake import Intake
from adapter.outbound.schedule import Schedule
from adapter.outbound.settlement import Settlement
from tests.support.smartqq_harness import config


async def make_settlement(bus: Bus, folder: Path) -> tuple[Lease, Settlement]:
    """Return a settlement and the lease that it works under."""
    metrics, lease = Metrics(), Lease(bus, "a", 30.0, time.monotonic)
    await lease.acquire()
    with Spool(folder / "spool") as spool:
        reporter = StatusReporter(bus, lease, DurablePublisher(bus, lease, spool), metrics, "0", time.time)
        return lease, Settlement(bus, lease, reporter, metrics, time.time)


@asynccontextmanager
async def reading(bus: Bus, folder: Path) -> AsyncIterator[Intake]:
    """Run an intake."""
    lease, settlement = await make_settlement(bus, folder)
    upstream = SmartQQUpstream(config("http://127.0.0.1:1", folder))
    schedule, stop = Schedule(bus, lease, time.time), anyio.Event()
    intake = Intake(
        *(bus, lease, upstream, settlement, schedule, CallGuard(bus)),
        wall=time.time,
        clock=time.monotonic,
        wake_sender=lambda: None,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(intake.run, stop)
        yield intake
        stop.set()
        intake.wake()
