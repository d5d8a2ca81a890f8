"""Proof of adapter/inbound.py: what upstream has told is on disk before anything can go wrong."""

import errno
import os
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from adapter.bus.bus import Bus, Fence
from adapter.bus.lease import Lease
from adapter.bus.spool import log as spools
from adapter.bus.spool.log import Spool
from adapter.bus.spool.publisher import DurablePublisher
from adapter.contact_store import ContactStore
from adapter.directory import Directory
from adapter.errors import Fenced
from adapter.events import (
    Address,
    Batch,
    ChatKind,
    Contact,
    ContactList,
    ListKind,
    Message,
    SessionChange,
    SessionState,
    Text,
    UnresolvedBatch,
)
from adapter.failpoints import Failpoint
from adapter.inbound import InboundPipeline
from adapter.ops.metrics import Metrics
from adapter.ops.status_reporter import StatusReporter
from adapter.outbound.pacing import Pacer
from tests.support.helpers import quiet, wait_until

pytestmark = pytest.mark.anyio

CHAT = Address(ChatKind.FRIEND, "11")
SAID = Message(CHAT, "11", 1445653507, (Text("hello"),), "1")
FRIENDS = ContactList(ListKind.FRIENDS, (Contact("11", "Tom", nick="Tom"),))
ONLINE = SessionChange(SessionState.ONLINE, account="305419896", ids_changed=True)


class Told:
    """A network that tells some batches and falls silent. `asked`: how often it was asked for one."""

    network = "told"

    def __init__(self, *batches: Batch | UnresolvedBatch) -> None:
        self._batches = batches
        self._ended = anyio.Event()
        self.asked = 0

    async def events(self) -> AsyncGenerator[Batch | UnresolvedBatch, None]:
        for batch in self._batches:
            self.asked += 1
            yield batch
        self.asked += 1
        await self._ended.wait()

    def hang_up(self) -> None:
        self._ended.set()


def an_inbound(bus: Bus, lease: Lease, spool: Spool, told: Told) -> InboundPipeline:
    journal = DurablePublisher(bus, lease, spool, lambda *_: None, quiet)
    watch = StatusReporter(bus, lease, journal, "0", time.time)
    directory = Directory()
    registry = ContactStore(bus, lease, directory)
    return InboundPipeline(
        told,  # type: ignore[arg-type]
        directory,
        journal,
        registry,
        lease,
        watch,
        Pacer(0.0),
        Metrics("0"),
        wall=time.time,
        raw=False,
    )


async def taken_over(bus: Bus) -> None:
    await bus.write_status(Fence(2, "b"), {"state": "online"})
    await bus.client.set(bus.keys("lease"), "b", px=30_000)


@pytest.mark.parametrize("beside", [FRIENDS, ONLINE], ids=["contacts", "session"])
async def test_a_holder_that_was_fenced_keeps_the_messages_beside_what_it_may_not_write(
    bus: Bus, tmp_path: Path, beside: object
) -> None:
    with Spool(tmp_path) as spool:
        lease = Lease(bus, "a", 30.0, time.monotonic)
        await lease.acquire()
        inbound = an_inbound(bus, lease, spool, Told((beside, SAID)))  # type: ignore[arg-type]
        await taken_over(bus)
        with anyio.fail_after(10), pytest.raises(Fenced):
            await inbound.run()
        waiting = spool.peek()
        assert waiting is not None
        assert b"hello" in waiting
        assert await bus.client.xlen(bus.keys("inbound")) == 0


async def test_a_holder_whose_time_is_up_does_not_ask_upstream_for_more(bus: Bus, tmp_path: Path) -> None:
    clock = [0.0]
    with Spool(tmp_path) as spool:
        lease = Lease(bus, "a", 30.0, lambda: clock[0])
        await lease.acquire()
        told = Told((), (SAID,))
        inbound = an_inbound(bus, lease, spool, told)
        await taken_over(bus)
        clock[0] = 31.0  # it was paused in an empty poll: nothing it publishes tells it so
        with anyio.fail_after(10), pytest.raises(Fenced):
            await inbound.run()
        assert told.asked == 1
        assert spool.peek() is None


async def test_a_holder_whose_time_is_up_goes_on_if_nobody_took_over(bus: Bus, tmp_path: Path) -> None:
    clock = [0.0]
    with Spool(tmp_path) as spool:
        lease = Lease(bus, "a", 30.0, lambda: clock[0])
        await lease.acquire()
        await bus.client.delete(bus.keys("lease"))
        clock[0] = 31.0
        told = Told((), (SAID,))
        inbound = an_inbound(bus, lease, spool, told)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(inbound.run)
            await wait_until(lambda: told.asked == 3, "all was asked for")
            inbound.stop()
        assert lease.valid()
        assert await bus.client.xlen(bus.keys("inbound")) == 1


async def test_what_is_told_provisionally_is_on_disk_until_it_is_told_for_good(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[Failpoint, bool]] = []
    with Spool(tmp_path) as spool, monkeypatch.context() as patch:
        patch.setattr(
            "adapter.failpoints.handler",
            lambda step: steps.append((step, (tmp_path / "held").stat().st_size > 0)),
        )
        lease = Lease(bus, "a", 30.0, time.monotonic)
        await lease.acquire()
        told = Told((ONLINE,), UnresolvedBatch((SAID,)), (FRIENDS, SAID), (SAID,))
        inbound = an_inbound(bus, lease, spool, told)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(inbound.run)
            await wait_until(lambda: told.asked == 5, "all was asked for")
            inbound.stop()
    since = [step for step, _ in steps].index(Failpoint.HELD)
    assert [step for step, _ in steps[since:]][:5] == [
        Failpoint.HELD,
        Failpoint.RECEIVED,
        Failpoint.HELD,
        Failpoint.SPOOLED,
        Failpoint.SYNCED,
    ]
    assert [held for _, held in steps[since:]][:5] == [True] * 5
    assert not any(held for step, held in steps if step is Failpoint.APPENDED)
    assert await bus.client.xlen(bus.keys("inbound")) == 2  # that it is online, and what was said


async def test_a_holder_that_was_fenced_while_it_learnt_keeps_what_it_learnt(
    bus: Bus, tmp_path: Path
) -> None:
    with Spool(tmp_path) as spool:
        lease = Lease(bus, "a", 30.0, time.monotonic)
        await lease.acquire()
        inbound = an_inbound(bus, lease, spool, Told(UnresolvedBatch((SAID,)), (FRIENDS, SAID)))
        await taken_over(bus)
        with anyio.fail_after(10), pytest.raises(Fenced):
            await inbound.run()
        assert spool.unpublished == 1
    with Spool(tmp_path) as spool:
        assert spool.unpublished == 1


@pytest.mark.parametrize("way", ["stopped", "fenced"])
async def test_what_is_held_and_has_no_room_is_kept_for_the_next_start(
    bus: Bus, tmp_path: Path, way: str
) -> None:
    lease = Lease(bus, "a", 30.0, time.monotonic)
    await lease.acquire()
    if way == "fenced":
        await taken_over(bus)
    with Spool(tmp_path, limit=100) as spool:
        inbound = an_inbound(bus, lease, spool, Told(UnresolvedBatch((SAID,)), (FRIENDS, SAID)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(inbound.run)
            await wait_until(lambda: inbound.disk_error, "it waits for room")
            inbound.stop()
        assert spool.unpublished == 0
    with Spool(tmp_path) as spool:
        assert spool.unpublished == 1
        waiting = spool.peek()
    assert waiting is not None
    assert b"hello" in waiting


async def test_what_is_held_is_let_go_when_the_disk_has_it_and_not_before(bus: Bus, tmp_path: Path) -> None:
    def refuse(_file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    lease = Lease(bus, "a", 30.0, time.monotonic)
    await lease.acquire()
    with Spool(tmp_path) as spool:
        inbound = an_inbound(bus, lease, spool, Told(UnresolvedBatch((SAID,)), (FRIENDS, SAID)))
        async with anyio.create_task_group() as tasks:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(spools, "_sync", refuse)
                tasks.start_soon(inbound.run)
                await wait_until(lambda: inbound.disk_error, "the disk refuses")
                inbound.stop()
                await wait_until(
                    lambda: bus.client.xlen(bus.keys("inbound")), "it is on the bus all the same"
                )
        assert (tmp_path / "held").stat().st_size
    with Spool(tmp_path) as spool:
        await DurablePublisher(bus, lease, spool, lambda *_: None, quiet).drain()
    assert await bus.client.xlen(bus.keys("inbound")) == 1
