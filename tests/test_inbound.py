"""Proof of adapter/inbound.py: what upstream has told is on disk before anything can go wrong."""

import time
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from adapter.bus.journal import Journal
from adapter.bus.lease import Lease
from adapter.bus.spool import Spool
from adapter.bus.streams import Bus, Fence
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
)
from adapter.inbound import Inbound
from adapter.ops.metrics import Metrics
from adapter.ops.status import Watch
from adapter.pacing import Pacer
from adapter.registry import Registry

pytestmark = pytest.mark.anyio

CHAT = Address(ChatKind.FRIEND, "11")
SAID = Message(CHAT, "11", 1445653507, (Text("hello"),), "1")
FRIENDS = ContactList(ListKind.FRIENDS, (Contact("11", "Tom", nick="Tom"),))
ONLINE = SessionChange(SessionState.ONLINE, account="305419896", renewed=True)


class Told:
    """A network that tells one batch and falls silent."""

    network = "told"

    def __init__(self, *batch: object) -> None:
        self._batch: Batch = tuple(batch)  # type: ignore[assignment]

    async def events(self) -> AsyncGenerator[Batch, None]:
        yield self._batch
        await anyio.sleep_forever()


@pytest.mark.parametrize("beside", [FRIENDS, ONLINE], ids=["contacts", "session"])
async def test_a_holder_that_was_fenced_keeps_the_messages_beside_what_it_may_not_write(
    bus: Bus, tmp_path: Path, beside: object
) -> None:
    with Spool(tmp_path) as spool:
        lease = Lease(bus, "a", 30.0, time.monotonic)
        await lease.acquire()
        journal = Journal(bus, lease, spool, lambda *_: None)
        watch = Watch(bus, lease, journal, "0", time.time)
        directory = Directory()
        inbound = Inbound(
            Told(beside, SAID),  # type: ignore[arg-type]
            directory,
            journal,
            Registry(bus, lease, directory),
            lease,
            watch,
            Pacer(0.0),
            Metrics("0"),
            wall=time.time,
            raw=False,
        )
        # Somebody else has taken over since the poll was asked.
        await bus.announce(Fence(2, "b"), {"state": "online"})
        await bus.client.set(bus.keys("lease"), "b", px=30_000)
        with anyio.fail_after(10), pytest.raises(Fenced):
            await inbound.run()
        waiting = spool.peek()
        assert waiting is not None
        assert b"hello" in waiting
        assert await bus.client.xlen(bus.keys("inbound")) == 0
