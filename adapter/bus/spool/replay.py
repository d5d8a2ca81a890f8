"""Append what Redis lacks: events it lost, and those that a former lease holder left on its disk.

Mechanism. A server that was killed may come back without its last events. The lease holder sees that by the
number of live events (`Counts.live`). An adapter that held the lease earlier cannot: others have counted
on. It asks for the ids of its own newest records (`is_tail_lost`), rewinds its spool to the first record that
Redis lacks, and appends from there. An adapter on standby does so by late appends: these need no lease, take
the current epoch, and may come behind younger events of the same chat.

Invariants.
- A late append never fails for its epoch, and never doubles an event: the script drops known ids.
- Late appends do not count as live events: the holder's check for lost events stays exact. `seq` skips the
  numbers of events that both counts lack: neither those that a standby brought again nor its own lost ones.
- A record that came before is offered only while Redis still knows its ids (`published_total`).

What breaks them.
- The answer to an append is lost, and the record is offered again SEEN_WINDOW events later: it comes twice.
- Redis lost the newest events of a spool, and another adapter has brought only the very newest one again:
  `is_tail_lost` is deceived. So a standby checks all its records after each restart of Redis (`run_id`).
"""

from itertools import chain, islice

from adapter.bus.bus import Appended, Bus, Fence, dedup_horizon, ids_of
from adapter.bus.spool.log import Spool
from adapter.failpoints import Failpoint, hit

# Records whose ids are checked in one round trip; each may hold MAX_BATCH events.
CHECKED_RECORDS = 32
# Records that are appended in one standby tick, about half a second: then the lease is tried again.
RECORDS_PER_TICK = 2_000


def split_record(payload: bytes) -> tuple[str, bytes]:
    """Split a record of the spool into account and packed batch."""
    account, _, packed = payload.partition(b"\n")
    return account.decode(), packed


def event_ids(payload: bytes) -> list[str]:
    """Return all ids of a record. Any one of them may repeat an older event."""
    return ids_of(split_record(payload)[1])


async def append_next(
    bus: Bus, spool: Spool, fence: Fence | None, payload: bytes, *, expected: int = 0, replicas: int = 0
) -> Appended:
    """Append the record that `Spool.peek` gave, and pass it. Raises as `Bus.append` does."""
    account, packed = split_record(payload)
    done = await bus.append(fence, account, packed, expected, spool.published_total())
    if replicas:
        await bus.wait_replicas(replicas)
    hit(Failpoint.APPENDED)
    spool.advance(account, *done.counts, done.total, fresh=done.added > 0)
    hit(Failpoint.ADVANCED)
    return done


async def is_tail_lost(bus: Bus, spool: Spool, total: int) -> bool:
    """Return whether Redis, which counts `total` events, lost the newest ones of this spool.

    Redis forgets from the end: as long as it knows the newest event, it knows all of them.
    """
    marks = {mark for mark in (spool.checkpoint.newest, spool.checkpoint.latest) if mark is not None}
    if all(mark.total <= dedup_horizon(total) for mark in marks):
        return False  # too long ago: Redis would not recognise them
    found = [spool.read(mark.start) for mark in marks]
    intact = [payload for payload in found if payload is not None]
    ids = [*chain.from_iterable(map(event_ids, intact))]
    return len(intact) < len(marks) or bool(await bus.missing_ids(ids))


async def rewind_to_missing(bus: Bus, spool: Spool) -> None:
    """Rewind the spool to the first record that Redis lacks and would recognise."""
    spool.resume()
    spool.rewind(dedup_horizon(sum((await bus.seqs()).values())))
    rewound = spool.rewound()
    while records := [event_ids(payload) for payload in islice(rewound, CHECKED_RECORDS)]:
        missing = {*await bus.missing_ids([*chain.from_iterable(records)])}
        for ids in records:
            if not missing.isdisjoint(ids):
                return
            spool.advance()


async def replay_lost_tail(bus: Bus, spool: Spool) -> None:
    """Rewind the spool if Redis lost its newest events."""
    if await is_tail_lost(bus, spool, sum((await bus.seqs()).values())):
        await rewind_to_missing(bus, spool)


class StandbyPublisher:
    """Late appends of an adapter on standby. One for each time of standing by."""

    def __init__(self, bus: Bus, spool: Spool, replicas: int = 0) -> None:
        self._bus = bus
        self._spool = spool
        self._replicas = replicas
        self._run_id = ""

    async def drain(self) -> None:
        """Append what Redis lacks, RECORDS_PER_TICK at most; call it on each standby tick.

        Raises BusUnavailable: the rest waits for the next tick.
        """
        bus, spool = self._bus, self._spool
        run_id = await bus.run_id()
        if run_id != self._run_id:
            await rewind_to_missing(bus, spool)
            self._run_id = run_id
        elif spool.peek() is None:
            await replay_lost_tail(bus, spool)
        for _ in range(RECORDS_PER_TICK):
            if (payload := spool.peek()) is None:
                return
            await append_next(bus, spool, None, payload, replicas=self._replicas)
