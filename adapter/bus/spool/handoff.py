"""What comes late: left by an adapter that may not publish it, or forgotten by the server."""

from contextlib import suppress
from itertools import islice

import anyio

from adapter.bus.bus import Bus, dedup_horizon, ids_of, readable
from adapter.bus.lease import Lease
from adapter.bus.spool.checkpoint import Position
from adapter.bus.spool.log import Spool
from adapter.errors import SpoolError
from adapter.failpoints import Failpoint, hit

LATE = "ids:late"
# Frames that are looked at and given in one trip; each may hold MAX_BATCH events.
TOGETHER = 32


def event_ids(payload: bytes) -> list[str]:
    """The ids of a frame: any one of them may repeat something older, so the frame is there if all are."""
    return ids_of(payload.partition(b"\n")[2])


def is_valid_record(payload: bytes) -> bool:
    """Whether this is a frame: what stands in Redis somebody else may have written."""
    account, _, packed = payload.partition(b"\n")
    return account.isdigit() and readable(packed)


async def tail_lost(bus: Bus, spool: Spool, total: int) -> bool:
    """Whether the server, which counts so many events, does not have any more what it had confirmed.

    A server that was killed may come back without its last moments. The holder sees that by the numbers;
    whoever has lost the lease since, or died, meets a server on which others have gone on counting. A
    server forgets from the end: as long as it knows the newest event, it knows all of them.
    """
    ends = {end for end in (spool.checkpoint.newest, spool.checkpoint.latest) if end is not None}
    if all(end.total <= dedup_horizon(total) for end in ends):
        return False  # too long ago to tell, and nothing of it would be recognised
    frames = [spool.read(end.start) for end in ends]
    whole = [frame for frame in frames if frame is not None]
    return len(whole) < len(ends) or bool(
        await bus.missing_ids([one for frame in whole for one in event_ids(frame)])
    )


async def replay_lost_tail(bus: Bus, spool: Spool) -> None:
    """Offer again what the server has forgotten, if there is such a thing."""
    total = sum((await bus.seqs()).values())
    if await tail_lost(bus, spool, total):
        spool.rewind(dedup_horizon(total))


class Handoff:
    """What is on this disk and not on the bus, for the present holder: this process may not publish it.

    One for each time of standing by: nothing is written to the spool meanwhile, but what was adopted.
    """

    def __init__(self, bus: Bus, spool: Spool) -> None:
        self._bus = bus
        self._spool = spool
        self._given: tuple[Position, list[str]] | None = None
        self._total = 0
        self._run = ""

    async def push(self) -> None:
        """Called now and again: what was given may be lost on the way, and what was published be forgotten.

        It stays on this disk until the server knows the last of it. At each new run of the server all is
        looked at: the newest may have come back by another hand, and others not.
        """
        bus, spool, key = self._bus, self._spool, self._bus.keys(LATE)
        run = await bus.run_id()
        total = sum((await bus.seqs()).values())
        if self._given is not None:
            if await bus.list_exists(key):
                return  # the holder has not come to all of it yet
            start, last = self._given
            if (
                run == self._run
                and not await bus.missing_ids(last)
                and not await tail_lost(bus, spool, total)
            ):
                spool.mark_published(start, self._total)
            self._given = None
        with suppress(SpoolError):  # no room yet
            spool.admit_recovered()
        spool.resume()  # how far back to go is another question each time
        if run != self._run or await tail_lost(bus, spool, total):
            spool.rewind(dedup_horizon(total))
        if not spool.unpublished:
            self._run = run
            return
        given, rest, since = None, spool.remaining(), total
        newest, unpublished = spool.checkpoint.newest, spool.checkpoint.cursor
        damaged = spool.damaged  # whatever cannot be read here has been told, or had been published
        try:
            while frames := [(start, event_ids(frame), frame) for start, frame in islice(rest, TOGETHER)]:
                lacking = {*await bus.missing_ids([one for _, events, _ in frames for one in events])}
                unknown = [one for one in frames if not lacking.isdisjoint(one[1])]
                await bus.list_push(key, *[frame for *_, frame in unknown])
                if unknown or given is None:
                    given = (unknown or frames)[-1][:2]
                if any(one[0] >= unpublished and lacking.isdisjoint(one[1]) for one in frames):
                    since = 0 if newest is None else newest.total  # it came before, nobody knows when
        finally:
            spool.damaged = damaged
        self._given, self._total, self._run = given, since, run  # not before all of it is given


async def publish_handoff(bus: Bus, lease: Lease, stop: anyio.Event, replicas: int = 0) -> None:
    """At the start of a term, before anything newer: whoever held the lease last may have been ourselves.

    Straight from Redis: a kill on the way leaves the rest where it is, and in its order. Raises
    BusUnavailable, then the journal goes on with it later, and Fenced.
    """
    key = bus.keys(LATE)
    while not stop.is_set() and (payload := await bus.list_head(key)) is not None:
        if not is_valid_record(payload):
            return  # the journal will come to it, and say so
        account, _, packed = payload.partition(b"\n")
        await bus.append(lease.fence, account.decode(), packed, 0)
        if replicas:
            await bus.wait_replicas(replicas)
        hit(Failpoint.APPENDED)
        await bus.list_remove(key, payload)
        hit(Failpoint.ADVANCED)
