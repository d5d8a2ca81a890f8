"""Prove adapter/inbound.py: events are on disk before anything can go wrong."""

import errno
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import msgpack
import pytest
import redis

from adapter import failpoints
from adapter.bus.bus import Bus, Fence
from adapter.bus.lease import Lease
from adapter.bus.spool import log as spools
from adapter.bus.spool.log import Spool
from adapter.bus.spool.publisher import DurablePublisher
from adapter.contact_store import ContactStore
from adapter.content import Text
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
)
from adapter.failpoints import Failpoint
from adapter.inbound import MAX_AHEAD, InboundPipeline
from adapter.ops.metrics import Metrics
from adapter.ops.status_reporter import StatusReporter
from adapter.ops.supervisor import Supervisor
from adapter.outbound.pacing import Pacer
from tests.support.helpers import wait_until

pytestmark = pytest.mark.anyio

CHAT = Address(ChatKind.FRIEND, "11")
SAID = Message(CHAT, "11", 1445653507, (Text("hello"),), "1")
FRIENDS = ContactList(ListKind.FRIENDS, (Contact("11", "Tom", nick="Tom"),))
ONLINE = SessionChange(SessionState.ONLINE, account="305419896", ids_changed=True)


class Told:
    """A network that tells some batches and falls silent. `asked`: how often it was asked for one."""

    network = "told"

    def __init__(self, *batches: Batch) -> None:
        self._batches = batches
        self._ended = anyio.Event()
        self.asked = 0

    async def events(self) -> AsyncGenerator[Batch, None]:
        for batch in self._batches:
            self.asked += 1
            yield batch
        self.asked += 1
        await self._ended.wait()

    def stop_receiving(self) -> None:
        self._ended.set()


def an_inbound(
    bus: Bus, lease: Lease, spool: Spool, told: Told, publisher: DurablePublisher | None = None
) -> InboundPipeline:
    publisher = publisher or DurablePublisher(bus, lease, spool)
    metrics, directory = Metrics("0"), Directory()
    return InboundPipeline(
        told,  # type: ignore[arg-type]
        directory,
        publisher,
        ContactStore(bus, lease, directory),
        lease,
        StatusReporter(bus, lease, publisher, metrics, "0", time.time),
        Pacer(0.0),
        metrics,
        supervisor=Supervisor(metrics),
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


async def test_what_has_no_room_is_lost_only_if_it_is_stopped_and_the_log_says_so(
    bus: Bus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lease = Lease(bus, "a", 30.0, time.monotonic)
    await lease.acquire()
    with Spool(tmp_path, limit=100) as spool:
        publisher = DurablePublisher(bus, lease, spool)
        inbound = an_inbound(bus, lease, spool, Told((SAID,)), publisher)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(inbound.run)
            await wait_until(lambda: publisher.disk_error, "it waits for room")
            inbound.stop()
        assert spool.unpublished == 0
    assert "stopped with 1 events that could not be put on disk" in caplog.text
    assert caplog.text.count("upstream is not asked for more until there is room") == 1


async def test_a_disk_that_refuses_to_sync_keeps_nothing_from_the_bus(bus: Bus, tmp_path: Path) -> None:
    def refuse(_file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    lease = Lease(bus, "a", 30.0, time.monotonic)
    await lease.acquire()
    with Spool(tmp_path) as spool:
        publisher = DurablePublisher(bus, lease, spool)
        inbound = an_inbound(bus, lease, spool, told := Told((SAID,)), publisher)
        async with anyio.create_task_group() as tasks:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(spools, "_sync", refuse)
                tasks.start_soon(inbound.run)
                await wait_until(lambda: publisher.disk_error, "the disk refuses")
                await wait_until(
                    lambda: bus.client.xlen(bus.keys("inbound")), "it is on the bus all the same"
                )
                assert told.asked == 1
            await wait_until(lambda: told.asked == 2, "upstream is asked again")
            assert publisher.disk_error == ""
            inbound.stop()


@asynccontextmanager
async def paused_writes(bus: Bus) -> AsyncIterator[None]:
    """Let Redis hold every write back."""
    await bus.client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        await bus.client.execute_command("CLIENT", "UNPAUSE")  # type: ignore[no-untyped-call]


async def test_what_upstream_gives_is_on_disk_while_redis_is_slow_up_to_a_bound(
    bus: Bus, tmp_path: Path
) -> None:
    said = [replace(SAID, message_id=str(number)) for number in range(20)]
    lease = Lease(bus, "a", 30.0, time.monotonic)
    await lease.acquire()
    with Spool(tmp_path) as spool:
        inbound = an_inbound(bus, lease, spool, told := Told(*((one,) for one in said)))
        async with anyio.create_task_group() as tasks:
            async with paused_writes(bus):
                tasks.start_soon(inbound.run)
                await wait_until(lambda: told.asked > MAX_AHEAD, "batches are ahead of Redis")
                await anyio.wait_all_tasks_blocked()
                assert told.asked == MAX_AHEAD + 1
                assert spool.unpublished == told.asked
            await wait_until(lambda: told.asked == len(said) + 1, "all was asked for")
            inbound.stop()
        rows = await bus.client.xrange(bus.keys("inbound"))
        bodies = [msgpack.unpackb(fields[b"body"]) for _, fields in rows]
        assert [body["message_id"] for body in bodies] == [one.message_id for one in said]


async def test_contacts_are_in_redis_behind_what_came_before_and_before_their_own_batch(
    bus: Bus, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease(bus, "a", 30.0, time.monotonic)
    await lease.acquire()
    seen: list[tuple[object, object]] = []
    with Spool(tmp_path) as spool, redis.Redis.from_url(redis_url) as client:

        def look(step: Failpoint) -> None:
            if step is Failpoint.APPENDED:
                seen.append((client.xlen(bus.keys("inbound")), client.exists(bus.keys("friends"))))

        monkeypatch.setattr(failpoints, "handler", look)
        later = replace(SAID, message_id="2")
        inbound = an_inbound(bus, lease, spool, told := Told((SAID,), (FRIENDS, later)))
        async with anyio.create_task_group() as tasks:
            async with paused_writes(bus):
                tasks.start_soon(inbound.run)
                await wait_until(lambda: spool.unpublished == 2, "both are on disk")
            await wait_until(lambda: told.asked == 3, "all was asked for")
            inbound.stop()
    assert seen == [(1, 0), (2, 1)]


async def test_a_batch_is_applied_in_its_order(bus: Bus, tmp_path: Path) -> None:
    lease = Lease(bus, "a", 30.0, time.monotonic)
    await lease.acquire()
    with Spool(tmp_path) as spool:
        inbound = an_inbound(bus, lease, spool, Told())
        applied = inbound.apply((SAID, ONLINE, FRIENDS, SAID), 1.0)
        # Its session-scoped id is that of another contact after the login.
        assert [one.event for one in applied] == [SAID, ONLINE, SAID]
        assert [one.context.account for one in applied] == ["", "305419896", "305419896"]
        assert [one.context.ordinal for one in applied] == [0, 1, 3]
        names = [one.participants.sender.name for one in applied if one.participants.sender]
        assert names == ["", "Tom"]
