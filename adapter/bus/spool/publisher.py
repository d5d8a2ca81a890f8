"""Write-ahead publisher: a batch goes to disk, then to `qq:inbound`, in order, once.

Mechanism. `append` writes to the spool before anything that may fail. `sync` puts it on disk, and `publish`
on the bus, in any order. While Redis is away records wait on disk; `run` reconnects and drains them. A server
that came back without its last events is noticed by its number of live events, and is given them again
(replay.py).

Invariants.
- Upstream is asked for more only after `append` and `sync` have succeeded.
- Records leave in the order of the spool; Redis drops ids that it knows. So each event comes once.
- `seq` is given in the append itself: it has no hole but where events are lost for good.
- Every append carries the lease's fence: a former holder gets Fenced, and its records stay on its disk.

What breaks them.
- Redis lost events that the spool no longer keeps: `seq` skips their numbers, and the operator is alarmed.
- Corrupt records on disk: their events are lost, and the workers get a `session.gap`.
- A full disk: `disk_error` is set, SpoolError is raised, and upstream is not asked for more.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime

import anyio

from adapter.aio import AutoResetEvent
from adapter.bus.bus import MAX_BATCH, Bus, Counts, last_of, pack_batch
from adapter.bus.lease import Lease
from adapter.bus.retry import until_served
from adapter.bus.spool.checkpoint import Position
from adapter.bus.spool.legacy import append_handoff
from adapter.bus.spool.log import Spool
from adapter.bus.spool.replay import append_next, replay_lost_tail, rewind_to_missing, split_record
from adapter.codec.inbound import EventRecord, RecordContext, encode_session_event
from adapter.errors import BusUnavailable, SequenceLost, SpoolError
from adapter.events import Gap
from adapter.failpoints import Failpoint, hit

log = logging.getLogger(__name__)

# Seconds between two checks of an idle adapter that Redis still has what it confirmed.
LOOK_EVERY = 5.0


class DurablePublisher:
    """Publishes the events of the lease holder.

    `seq`: number of the newest event. `disk_error`: why the disk takes no more events, "" while it does.
    `disconnected`: events wait on disk for Redis. `lost_events`: those whose numbers stay a hole.
    """

    def __init__(
        self,
        bus: Bus,
        lease: Lease,
        spool: Spool,
        *,
        replicas: int = 0,
    ) -> None:
        self._bus = bus
        self._lease = lease
        self._spool = spool
        self._replicas = replicas
        # `fast_acquire`: the command is on its way to Redis before another task has a turn.
        self._lock = anyio.Lock(fast_acquire=True)
        self._wakeup = AutoResetEvent()
        # Account of the newest record of this process.
        self._account = ""
        # Nothing behind this place of the spool is published.
        self._held_from: Position | None = None
        # What Redis confirmed by account, and during a replay what it had confirmed before.
        self._expected: dict[str, Counts] = {}
        self._confirmed: dict[str, Counts] = {}
        checkpoint = spool.checkpoint
        if checkpoint.account:
            self._expected[checkpoint.account] = Counts(checkpoint.seq, checkpoint.live)
        spool.resume()
        self._recovered = False
        self._reported = spool.corrupt_records
        # Time of the newest published event before which nothing is corrupt; seconds since 1970.
        self._intact_until = self._last_published_at()
        self.seq = checkpoint.seq
        self.disk_error = ""
        self.disconnected = False
        self.lost_events = 0

    def hold(self) -> None:
        """Publish nothing of what is appended from now on, until `release`: it is kept on disk."""
        self._held_from = self._spool.end

    def release(self) -> None:
        """Let the next `publish` take all there is."""
        self._held_from = None

    def append(self, account: str, records: Sequence[EventRecord]) -> None:
        """Write a batch to the spool. Raises SpoolError: repeat it; known ids are dropped later.

        The end of this process loses nothing from here on; `sync` puts it on disk.
        """
        self._account = account
        with self._watch_disk():
            for start in range(0, len(records), MAX_BATCH):
                packed = pack_batch(records[start : start + MAX_BATCH])
                self._spool.write(account.encode() + b"\n" + packed)
                hit(Failpoint.SPOOLED)

    async def sync(self) -> None:
        """Fsync what was written. Raises SpoolError: try again."""
        with self._watch_disk():
            if self._spool.sync():
                if self.disk_error:
                    log.info("there is room on disk again: upstream is asked for more")
                self.disk_error = ""
                hit(Failpoint.SYNCED)

    @contextmanager
    def _watch_disk(self) -> Iterator[None]:
        try:
            yield
        except SpoolError as exc:
            if not self.disk_error:
                log.error("%s; upstream is not asked for more until there is room", exc)  # noqa: TRY400
            self.disk_error = str(exc)
            raise

    async def publish(self) -> None:
        """Put what was written on the bus, unless Redis is away: then it waits on disk. Raises Fenced."""
        if not self.disconnected:
            try:
                await self.drain()
            except BusUnavailable as exc:
                self._on_disconnect(exc)

    async def publish_gap(self, gap: Gap) -> None:
        """Publish a gap to the workers of the account. Raises SpoolError: publish it later."""
        account = self._account or self._spool.checkpoint.account
        if not account:
            raise SpoolError("no account has been online yet whose workers a gap is for")
        context = RecordContext(account, self._lease.fence.epoch, time.time())
        self.append(account, [encode_session_event(gap, context)])
        with suppress(SpoolError):  # the next batch tries again: the record is in the spool
            await self.sync()
        await self.publish()

    def unsent_bytes(self) -> int:
        """Return how many bytes of events wait on disk for Redis."""
        return self._spool.unsent_bytes()

    async def drain(self) -> None:
        """Publish all that is not held. Raises BusUnavailable with the rest still waiting, and Fenced."""
        async with self._lock:
            if not self._recovered:  # other adapters may have gone on without our newest events
                await append_handoff(self._bus)
                await replay_lost_tail(self._bus, self._spool)
                self._recovered = True
            while (payload := self._spool.peek(self._held_from)) is not None:
                await self._append_next(payload)
            await self._raise_sequences()
            if self._spool.peek() is None:
                hit(Failpoint.DRAINED)

    async def _append_next(self, payload: bytes) -> None:
        account, _ = split_record(payload)
        expected, fence = self._expected.get(account, Counts()), self._lease.fence
        try:
            done = await append_next(
                self._bus, self._spool, fence, payload, expected=expected.live, replicas=self._replicas
            )
        except SequenceLost as exc:
            await self._replay(account, expected, exc.live)
        else:
            self._expected[account], self.seq = done.counts, done.counts.seq

    async def run(self, stop: anyio.Event) -> None:
        """Publish what waited for Redis, and check that it still has what it confirmed, until stopped."""
        while not stop.is_set():
            try:
                await self._verify_sequences()
                await self.drain()
                await self._report_corruption()
                self._on_reconnect()
            except BusUnavailable as exc:
                self._on_disconnect(exc)
                await self._reconnect(stop)
            if not stop.is_set():  # it may have been set while reconnecting
                await self._wakeup.wait(LOOK_EVERY)

    def wake(self) -> None:
        """Let `run` notice that it was stopped."""
        self._wakeup.set()

    async def _reconnect(self, stop: anyio.Event) -> None:
        async def reconnect() -> None:
            await self._bus.ping()
            await self.drain()

        with suppress(BusUnavailable):  # stopped while Redis is away
            await until_served(reconnect, give_up=stop.is_set, sleep=self._wakeup.wait)
            self._on_reconnect()

    async def _verify_sequences(self) -> None:
        async with self._lock:
            for account, expected in [*self._expected.items()]:
                try:
                    done = await self._bus.append(self._lease.fence, account, pack_batch([]), expected.live)
                except SequenceLost as exc:
                    await self._replay(account, expected, exc.live)
                else:
                    self.seq = done.counts.seq

    async def _report_corruption(self) -> None:
        """Publish a gap where records on disk are corrupt. Without room on disk it is tried again."""
        if self._spool.corrupt_records > self._reported:
            log.error("the spool was damaged: what could not be read is lost")
            self._reported = self._spool.corrupt_records
        if self._spool.corrupt_records:
            with suppress(SpoolError):
                await self.publish_gap(Gap(self._intact_until, time.time(), "the spool was damaged"))
                self._spool.corrupt_records = self._reported = 0
        if not self._spool.corrupt_records:
            self._intact_until = self._last_published_at()

    def _last_published_at(self) -> float:
        """Return the time of the newest published event, or now if it is not known; in seconds."""
        payload = self._spool.last_published()
        if payload is None:
            return time.time()
        return datetime.fromisoformat(last_of(split_record(payload)[1]).time).timestamp()

    async def _replay(self, account: str, expected: Counts, live: int) -> None:
        log.warning("Redis came back with %d of %d events; giving it again what is kept", live, expected.live)
        before = self._confirmed.get(account, Counts())
        self._confirmed[account] = Counts(max(before.seq, expected.seq), max(before.live, expected.live))
        self._expected[account] = Counts()
        await rewind_to_missing(self._bus, self._spool)

    async def _raise_sequences(self) -> None:
        """After a replay: skip the numbers of the events that are lost for good, and report them."""
        for account, confirmed in [*self._confirmed.items()]:
            lost, counts = await self._bus.raise_sequence(self._lease.fence, account, confirmed)
            self._expected[account], self.seq = counts, counts.seq
            del self._confirmed[account]
            if lost:
                self.lost_events += lost
                log.error("Redis lost %d events of %s that are not kept here: seq has a hole", lost, account)

    def _on_disconnect(self, exc: BusUnavailable) -> None:
        if not self.disconnected:
            log.warning("%s; events wait on disk", exc)
        self.disconnected = True
        self._wakeup.set()

    def _on_reconnect(self) -> None:
        """Also where a single command failed and the next one succeeded."""
        if self.disconnected:
            self.disconnected = False
            log.info("Redis is back; everything that waited is published")
