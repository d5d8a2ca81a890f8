"""The journal: a batch goes to disk, then to `qq:inbound`, in order, once; whatever Redis does meanwhile."""

import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime

import anyio
import anyio.lowlevel

from adapter.aio import Wakeup, backoff
from adapter.bus.bus import MAX_BATCH, Bus, last_of, pack_batch, recognised
from adapter.bus.lease import Lease
from adapter.bus.spool.handoff import LATE, names, recall, sound
from adapter.bus.spool.log import Spool
from adapter.codec.inbound import Draft
from adapter.errors import BusUnavailable, Fenced, SpoolError
from adapter.failpoints import Step, reach

log = logging.getLogger(__name__)

# How often an idle adapter asks whether Redis still has what it confirmed.
LOOK_EVERY = 5.0
RETRY_MOST = 2.0


class Journal:
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
        self._wakeup = Wakeup()
        self._floors: dict[str, int] = {}
        self._expected: dict[str, int] = {}
        if spool.bookmark.seq:
            self._expected[spool.bookmark.account] = spool.bookmark.seq
        spool.resume()
        self._recalled = False
        self._noticed = spool.damaged
        # When the newest event was told that is known to be whole, with all before it.
        self._whole = self._told()
        self.stuck = ""
        self.away = False

    @property
    def seq(self) -> int:
        """The number of the newest event of the account."""
        return max(self._expected.values(), default=0)

    def write(self, account: str, drafts: Sequence[Draft]) -> None:
        """Give a batch to the spool, before anything that may fail. Raises SpoolError; may be repeated.

        From here on the end of this process loses nothing; `flush` or `sync` put it on disk.
        """
        for payload in _payloads(account, drafts):
            self._spool.write(payload)
            reach(Step.SPOOLED)

    def hold(self, account: str, drafts: Sequence[Draft]) -> None:
        """Keep a batch that will be written a little later, and better: it is told should this process end.

        On disk when this returns. Raises SpoolError.
        """
        self._spool.hold(_payloads(account, drafts))
        reach(Step.HELD)

    def release(self) -> None:
        """Hold it no longer: it is written."""
        self._spool.release()

    async def sync(self) -> None:
        """Wait until what was written is on disk. Raises SpoolError: then it is to be tried again."""
        if self._spool.sync():
            reach(Step.SYNCED)

    async def flush(self) -> None:
        """Put what was written on disk and, unless Redis is away, on the bus.

        Raises SpoolError where it is not on disk, though perhaps on the bus: flush it again. Raises Fenced.
        """
        failed: list[SpoolError | Fenced] = []
        async with anyio.create_task_group() as beside:
            beside.start_soon(self._sync, failed)
            if not self.away:
                try:
                    await self.publish()
                except BusUnavailable as exc:
                    self._gone(exc)
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

    async def publish(self) -> None:
        """Publish all that waits. Raises BusUnavailable with the rest still waiting, and Fenced."""
        async with self._lock:
            if not self._recalled:  # others may have gone on without what we told
                await recall(self._bus, self._spool)
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
                    await self._bus.replicated(self._replicas)
                reach(Step.APPENDED)
                self._expected[account] = done.seq
                self._spool.advance(account, done.seq, done.total, fresh=done.added > 0)
                reach(Step.ADVANCED)
            await self._catch_up()
            reach(Step.DRAINED)

    async def keep(self, stop: anyio.Event) -> None:
        """Publish what waited for Redis, and look whether it still has what it confirmed."""
        while not stop.is_set():
            try:
                await self._look()
                await self.publish()
                await self.collect()
                await self._check()
                self._back()
            except BusUnavailable as exc:
                self._gone(exc)
                await self._return(stop)
            if not stop.is_set():  # the bell may have rung on the way back
                await self._wakeup.wait(LOOK_EVERY)

    async def collect(self) -> None:
        """Publish what was left: held beside a full spool, or by a former holder that was paused."""
        try:
            self._spool.take_in()
        except SpoolError as exc:
            self._full(exc, "what was held waits beside the spool")
            return
        if self._spool.waiting:
            await self.publish()
        key = self._bus.keys(LATE)
        while (payload := await self._bus.first(key)) is not None:
            if not sound(payload):
                log.error("what a former holder left in %s cannot be read, and is dropped", key)
                self._spool.damaged += 1
                await self._bus.shift(key, payload)
                continue
            if not await self._bus.unknown(names(payload)):  # given twice, or come by another way
                await self._bus.shift(key, payload)
                continue
            try:
                self._spool.write(payload)
                await self.sync()
            except SpoolError as exc:
                self._full(exc, "what a former holder left waits in Redis")
                return
            self.stuck = ""
            await self.publish()
            await self._bus.shift(key, payload)
        self.stuck = ""

    def _full(self, exc: SpoolError, waits: str) -> None:
        if not self.stuck:
            log.error("%s; %s", exc, waits)
        self.stuck = str(exc)

    def wake(self) -> None:
        """Let `keep` notice that it was stopped."""
        self._wakeup.ring()

    async def _return(self, stop: anyio.Event) -> None:
        for delay in backoff(random.random, first=0.05, most=RETRY_MOST):
            if stop.is_set():
                return
            await self._wakeup.wait(delay)
            try:
                await self._bus.ping()
                await self.publish()
            except BusUnavailable:
                continue
            self._back()
            return

    async def _look(self) -> None:
        async with self._lock:
            seqs = await self._bus.seqs()
            for account, expected in self._expected.items():
                if (seq := seqs.get(account, 0)) < expected:
                    self._rewind(account, expected, seq, sum(seqs.values()))

    async def _check(self) -> None:
        """Whatever is damaged on disk is a gap for the workers. If that cannot be said now, then later."""
        if self._spool.damaged > self._noticed:
            log.error("the spool was damaged: what could not be read is lost")
            self._noticed = self._spool.damaged
        if self._spool.damaged:
            with suppress(SpoolError):
                await self._damaged(self._whole)
                self._spool.damaged = self._noticed = 0
        if not self._spool.damaged:
            self._whole = self._told()

    def _told(self) -> float:
        """The time of the newest event that was published; now, where that is not known."""
        payload = self._spool.newest()
        if payload is None:
            return time.time()
        return datetime.fromisoformat(last_of(payload.partition(b"\n")[2]).time).timestamp()

    def _rewind(self, account: str, expected: int, seq: int, total: int) -> None:
        log.warning("Redis came back with %d of %d events; giving it again what is kept", seq, expected)
        self._floors[account] = max(expected, self._floors.get(account, 0))
        self._expected[account] = 0
        self._spool.rewind(recognised(total))

    async def _catch_up(self) -> None:
        for account, floor in list(self._floors.items()):
            seq = await self._bus.resume(self._lease.fence, account, floor)
            self._expected[account] = max(seq, floor)
            del self._floors[account]
            if seq < floor:
                self._lost(account, floor - seq)

    def _gone(self, exc: BusUnavailable) -> None:
        if not self.away:
            log.warning("%s; events wait on disk", exc)
        self.away = True
        self._wakeup.ring()

    def _back(self) -> None:
        """Also where only the one call failed, and the next one found all well again."""
        if self.away:
            self.away = False
            log.info("Redis is back; everything that waited is published")


def _payloads(account: str, drafts: Sequence[Draft]) -> list[bytes]:
    pieces = (drafts[start : start + MAX_BATCH] for start in range(0, len(drafts), MAX_BATCH))
    return [account.encode() + b"\n" + pack_batch(piece) for piece in pieces]
