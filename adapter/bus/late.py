"""What an adapter that may not publish leaves to the one that may: a list in Redis, oldest first."""

import anyio

from adapter.bus.lease import Lease
from adapter.bus.spool import Spool
from adapter.bus.streams import Bus
from adapter.steps import Step, reach

LATE = "ids:late"


async def hand_over(bus: Bus, spool: Spool) -> None:
    """Give what waits on this disk to the present holder: this process may not publish it any more."""
    while (payload := spool.peek()) is not None:
        await bus.push(bus.keys(LATE), payload)
        spool.advance()


async def publish_late(bus: Bus, lease: Lease, stop: anyio.Event, replicas: int = 0) -> None:
    """At the start of a term, before anything newer: whoever held the lease last may have been ourselves.

    Straight from Redis: a kill on the way leaves the rest where it is, and in its order. Raises
    BusUnavailable, then the journal goes on with it later, and Fenced.
    """
    key = bus.keys(LATE)
    while not stop.is_set() and (payload := await bus.first(key)) is not None:
        account, _, packed = payload.partition(b"\n")
        await bus.append(lease.fence, account.decode(), packed, 0)
        if replicas:
            await bus.replicated(replicas)
        reach(Step.APPENDED)
        await bus.shift(key)
        reach(Step.ADVANCED)
