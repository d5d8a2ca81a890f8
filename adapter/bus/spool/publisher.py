"""The journal: a batch goes to disk, then to `qq:inbound`, in order, once; whatever Redis does meanwhile."""

import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime

import anyio
import anyio.lowlevel

from adapter.aio import AutoResetEvent, backoff
from adapter.bus.bus import MAX_BATCH, Bus, dedup_horizon, last_of, pack_batch
from adapter.bus.lease import Lease
from adapter.bus.spool.handoff import LATE, event_ids, is_valid_record, replay_lost_tail
from adapter.bus.spool.log import Spool
from adapter.codec.inbound import EventRecord
from adapter.errors import BusUnavailable, Fenced, SpoolError
from adapter.failpoints import Failpoint, hit

log = logging.getLogger(__name__)

# How often an idle adapter asks whether Redis still has what it confirmed.
LOOK_EVERY = 5.0
RETRY_MOST = 2.0


class DurablePublisher:
    """Events on their way to the bus. `seq` is the number of the newest one published."""

    def __init__(
        self,
        bus: Bus,
        lease: Lease,
        spool: Spool,
        lost: Callable[[str, int], None],
        damaged: Callable[[float], Awaitable[None]],
        *,
        replicas: int = 0,
    ) -> None:
        self._bus = bus
        self._lease = lease
        self._spool = spool
        self._lost = lost
        self._damaged = damaged
        self._replicas = replicas
        # `fast_acquire`: the call to the server is on its way before anybody else has a turn.
        self._lock = anyio.Lock(fast_acquire=True)
        self._wakeup = AutoResetEvent()
        self._floors: dict[str, int] = {}
        self._expected: dict[str, int] = {}
        if spool.checkpoint.seq:
            self._expected[spool.checkpoint.account] = spool.checkpoint.seq
        spool.resume()
        self._recalled = False
        self._noticed = spool.damaged
        # When the newest event was told that is known to be whole, with all before it.
        self._whole = self._last_published_at()
        self.disk_error = ""
        self.disconnected = False

    @property
    def seq(self) -> int:
        """The number of the newest event of the account."""
        return max(self._expected.values(), default=0)

    def append(self, account: str, drafts: Sequence[EventRecord]) -> None:
        """Give a batch to the spool, before anything that may fail. Raises SpoolError; may be repeated.

        From here on the end of this process loses nothing; `flush` or `sync` put it on disk.
        """
        for payload in _payloads(account, drafts):
            self._spool.write(payload)
            hit(Failpoint.SPOOLED)

    def stage(self, account: str, drafts: Sequence[EventRecord]) -> None:
        """Keep a batch that will be written a little later, and better: it is told should this process end.

        On disk when this returns. Raises SpoolError.
        """
        self._spool.stage(_payloads(account, drafts))
        hit(Failpoint.HELD)

    def discard_staged(self) -> None:
        """Hold it no longer: it is written."""
        self._spool.discard_staged()

    async def sync(self) -> None:
        """Wait until what was written is on disk. Raises SpoolError: then it is to be tried again."""
        if self._spool.sync():
            hit(Failpoint.SYNCED)

    async def flush(self) -> None:
        """Put what was written on disk and, unless Redis is away, on the bus.

        Raises SpoolError where it is not on disk, though perhaps on the bus: flush it again. Raises Fenced.
        """
        failed: list[SpoolError | Fenced] = []
        async with anyio.create_task_group() as beside:
            beside.start_soon(self._sync, failed)
            if not self.disconnected:
                try:
                    await self.drain()
                except BusUnavailable as exc:
                    self._on_disconnect(exc)
                except Fenced as exc:
                    failed.append(exc)
        if failed:
            raise failed[0]

    async def _sync(self, failed: list[SpoolError | Fenced]) -> None:
        # redis-py writes to its socket in a task of its own, which has the next turn: the disk is waited
        # for while the server works, and not before it has heard anything.
        await anyio.lowlevel.checkpoint()
        try:
            await self.sync()
        except SpoolError as exc:
            failed.append(exc)

    async def drain(self) -> None:
        """Publish all that waits. Raises BusUnavailable with the rest still waiting, and Fenced."""
        async with self._lock:
            if not self._recalled:  # others may have gone on without what we told
                await replay_lost_tail(self._bus, self._spool)
                self._recalled = True
            while (payload := self._spool.peek()) is not None:
                head, _, packed = payload.partition(b"\n")
                account = head.decode()
                expected = self._expected.get(account, 0)
                done = await self._bus.append(self._lease.fence, account, packed, expected)
                if done.added < 0:
                    self._rewind(account, expected, done.seq, done.total)
                    continue
                if self._replicas:
                    await self._bus.wait_replicas(self._replicas)
                hit(Failpoint.APPENDED)
                self._expected[account] = done.seq
                self._spool.advance(account, done.seq, done.total, fresh=done.added > 0)
                hit(Failpoint.ADVANCED)
            await self._catch_up()
            hit(Failpoint.DRAINED)

    async def run(self, stop: anyio.Event) -> None:
        """Publish what waited for Redis, and look whether it still has what it confirmed."""
        while not stop.is_set():
            try:
                await self._verify_sequences()
                await self.drain()
                await self.drain_handoff()
                await self._report_corruption()
                self._on_reconnect()
            except BusUnavailable as exc:
                self._on_disconnect(exc)
                await self._reconnect(stop)
            if not stop.is_set():  # the bell may have rung on the way back
                await self._wakeup.wait(LOOK_EVERY)

    async def drain_handoff(self) -> None:
        """Publish what was left: held beside a full spool, or by a former holder that was paused."""
        try:
            self._spool.admit_recovered()
        except SpoolError as exc:
            self._full(exc, "what was held waits beside the spool")
            return
        if self._spool.unpublished:
            await self.drain()
        key = self._bus.keys(LATE)
        while (payload := await self._bus.list_head(key)) is not None:
            if not is_valid_record(payload):
                log.error("what a former holder left in %s cannot be read, and is dropped", key)
                self._spool.damaged += 1
                await self._bus.list_remove(key, payload)
                continue
            if not await self._bus.missing_ids(event_ids(payload)):  # given twice, or come by another way
                await self._bus.list_remove(key, payload)
                continue
            try:
                self._spool.write(payload)
                await self.sync()
            except SpoolError as exc:
                self._full(exc, "what a former holder left waits in Redis")
                return
            self.disk_error = ""
            await self.drain()
            await self._bus.list_remove(key, payload)
        self.disk_error = ""

    def _full(self, exc: SpoolError, waits: str) -> None:
        if not self.disk_error:
            log.error("%s; %s", exc, waits)
        self.disk_error = str(exc)

    def wake(self) -> None:
        """Let `keep` notice that it was stopped."""
        self._wakeup.set()

    async def _reconnect(self, stop: anyio.Event) -> None:
        for delay in backoff(random.random, first=0.05, most=RETRY_MOST):
            if stop.is_set():
                return
            await self._wakeup.wait(delay)
            try:
                await self._bus.ping()
                await self.drain()
            except BusUnavailable:
                continue
            self._on_reconnect()
            return

    async def _verify_sequences(self) -> None:
        async with self._lock:
            seqs = await self._bus.seqs()
            for account, expected in self._expected.items():
                if (seq := seqs.get(account, 0)) < expected:
                    self._rewind(account, expected, seq, sum(seqs.values()))

    async def _report_corruption(self) -> None:
        """Whatever is damaged on disk is a gap for the workers. If that cannot be said now, then later."""
        if self._spool.damaged > self._noticed:
            log.error("the spool was damaged: what could not be read is lost")
            self._noticed = self._spool.damaged
        if self._spool.damaged:
            with suppress(SpoolError):
                await self._damaged(self._whole)
                self._spool.damaged = self._noticed = 0
        if not self._spool.damaged:
            self._whole = self._last_published_at()

    def _last_published_at(self) -> float:
        """The time of the newest event that was published; now, where that is not known."""
        payload = self._spool.last_published()
        if payload is None:
            return time.time()
        return datetime.fromisoformat(last_of(payload.partition(b"\n")[2]).time).timestamp()

    def _rewind(self, account: str, expected: int, seq: int, total: int) -> None:
        log.warning("Redis came back with %d of %d events; giving it again what is kept", seq, expected)
        self._floors[account] = max(expected, self._floors.get(account, 0))
        self._expected[account] = 0
        self._spool.rewind(dedup_horizon(total))

    async def _catch_up(self) -> None:
        for account, floor in list(self._floors.items()):
            seq = await self._bus.raise_sequence(self._lease.fence, account, floor)
            self._expected[account] = max(seq, floor)
            del self._floors[account]
            if seq < floor:
                self._lost(account, floor - seq)

    def _on_disconnect(self, exc: BusUnavailable) -> None:
        if not self.disconnected:
            log.warning("%s; events wait on disk", exc)
        self.disconnected = True
        self._wakeup.set()

    def _on_reconnect(self) -> None:
        """Also where only the one call failed, and the next one found all well again."""
        if self.disconnected:
            self.disconnected = False
            log.info("Redis is back; everything that waited is published")


def _payloads(account: str, drafts: Sequence[EventRecord]) -> list[bytes]:
    pieces = (drafts[start : start + MAX_BATCH] for start in range(0, len(drafts), MAX_BATCH))
    return [account.encode() + b"\n" + pack_batch(piece) for piece in pieces]
