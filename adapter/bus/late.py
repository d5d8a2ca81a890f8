"""What comes late: left by an adapter that may not publish it, or lost by a server that had confirmed it."""

from typing import NamedTuple, Self

import anyio

from adapter.bus.lease import Lease
from adapter.bus.spool import Spool
from adapter.bus.streams import SEEN_WINDOW, Bus
from adapter.steps import Step, reach

LATE = "ids:late"
# The smallest event takes more bytes than this: how many a spool can hold at most.
SMALLEST = 300


class Confirmed(NamedTuple):
    """The spool's note: the newest event that was published, and the run of the server that took it."""

    account: str
    seq: int
    server: str

    @classmethod
    def read(cls, note: str) -> Self | None:
        """From a spool; None where nothing has been published yet."""
        account, _, rest = note.partition(":")
        seq, _, server = rest.partition(":")
        return cls(account, int(seq), server) if seq.isdecimal() else None

    def __str__(self) -> str:
        return ":".join(map(str, self))


async def recall(bus: Bus, spool: Spool) -> str:
    """Offer again what an earlier run of the server had confirmed; returns the name of this run.

    A server that was killed comes back without what it had not yet written. Whoever held the lease then
    sees that by the numbers; whoever lost it, or died, meets a server on which others have gone on counting.
    What is there is recognised – as long as no more came since than the server remembers ids.
    """
    server = await bus.run_id()
    known = Confirmed.read(spool.note)
    if known is not None and known.server not in ("", server):
        newer = await bus.last_seq(known.account) - known.seq
        if newer + spool.size() // SMALLEST <= SEEN_WINDOW:
            spool.rewind()
        spool.mark(str(known._replace(server=server)))
    return server


async def hand_over(bus: Bus, spool: Spool) -> None:
    """Give what waits on this disk to the present holder: this process may not publish it any more."""
    await recall(bus, spool)
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
