"""What comes late: left by an adapter that may not publish it, or forgotten by the server."""

import anyio

from adapter.bus.lease import Lease
from adapter.bus.spool import Spool
from adapter.bus.streams import Bus, last_of, recognised
from adapter.steps import Step, reach

LATE = "ids:late"


async def recall(bus: Bus, spool: Spool) -> bool:
    """Offer again what the server had confirmed and does not have any more; whether there is such a thing.

    A server that was killed may come back without its last moments. The holder sees that by the numbers;
    whoever has lost the lease since, or died, meets a server on which others have gone on counting. A
    server forgets from the end: as long as it knows the newest event, it knows all of them.
    """
    bookmark = spool.bookmark
    if bookmark.newest is None or (payload := spool.newest()) is None:
        return False
    account, _, packed = payload.partition(b"\n")
    seq = await bus.last_seq(account.decode())
    if bookmark.newest.seq <= recognised(seq) or await bus.knows(last_of(packed).id):
        return False
    spool.rewind(recognised(seq))
    return True


async def hand_over(bus: Bus, spool: Spool) -> None:
    """Give what waits on this disk to the present holder: this process may not publish it any more.

    Called now and again, for the server may forget what this process had published too.
    """
    forgotten = await recall(bus, spool)
    while (payload := spool.peek()) is not None:
        await bus.push(bus.keys(LATE), payload)
        spool.advance()
    if forgotten:
        spool.disown()


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
