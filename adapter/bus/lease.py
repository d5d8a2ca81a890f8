"""One holder of the connection, with an epoch that rises by one: acquire, keep, raise, release."""

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio

from adapter.aio import AutoResetEvent, backoff
from adapter.bus.bus import Bus, Fence
from adapter.errors import BusUnavailable, Fenced

log = logging.getLogger(__name__)

RENEWALS = 3  # renew at a third of the time: two may fail
RETRY_MOST = 1.0


class Lease:
    """The right to be the sole connection. `fence` is what every write is checked by.

    Scripts check the epoch, so a holder that was paused for longer than its lease and woke late can
    neither append nor settle; `valid()` lets it notice by its own clock before it speaks upstream.
    """

    def __init__(self, bus: Bus, holder: str, seconds: float, clock: Callable[[], float]) -> None:
        self._bus = bus
        self._seconds = seconds
        self._clock = clock
        self._until = -math.inf
        self._wakeup = AutoResetEvent()
        self.fence = Fence(0, holder)

    def valid(self) -> bool:
        """Whether nobody else can have taken over yet, by this machine's monotonic clock."""
        return self._clock() < self._until

    async def acquire(self) -> float:
        """Try once. Returns 0 when held, else the seconds until the other holder's lease ends."""
        began = self._clock()
        answer = await self._call("acquire")
        if answer < 0:
            return -answer / 1000
        self._hold(answer, began)
        return 0.0

    async def run(self, stop: anyio.Event) -> None:
        """Renew until stopped. Raises Fenced when somebody else took over.

        While Redis is away the holder stays: nobody can take over through a Redis that is away.
        """
        while not stop.is_set():
            await self._wakeup.wait(self._seconds / RENEWALS)
            if stop.is_set():
                return
            await self._renew()

    def wake(self) -> None:
        """Let `keep` notice that it was stopped."""
        self._wakeup.set()

    async def verify(self) -> None:
        """Ask, if the lease may have ended by this machine's clock. Raises Fenced when somebody took over.

        For what no script refuses, such as asking upstream for messages. Through a Redis that is away
        nobody can have taken over.
        """
        if not self.valid():
            await self._renew()

    async def bump_epoch(self) -> None:
        """A new login: the next epoch."""
        began = self._clock()
        answer = await self._call("raise")
        if answer < 0:
            raise Fenced("another adapter has taken over the connection")
        self._hold(answer, began)

    async def release(self) -> None:
        """Let the next one in at once."""
        self._until = -math.inf
        await self._call("release")

    async def _renew(self) -> None:
        began = self._clock()
        try:
            answer = await self._call("renew")
        except BusUnavailable:
            return
        if answer < 0:
            raise Fenced("another adapter has taken over the connection")
        self._hold(max(answer, self.fence.epoch), began)

    def _hold(self, epoch: int, began: float) -> None:
        self.fence = Fence(epoch, self.fence.holder)
        self._until = began + self._seconds

    async def _call(self, action: str) -> int:
        keys = self._bus.keys
        names = [keys("ids:epoch"), keys("lease")]
        return int(
            await self._bus.run_script("lease", names, [action, self.fence.holder, int(self._seconds * 1000)])
        )


@asynccontextmanager
async def hold_lease(
    lease: Lease, stop: anyio.Event, waiting: Callable[[float], Awaitable[None]]
) -> AsyncIterator[bool]:
    """Wait for the lease, hold it, release it. Yields whether it is held: False where `stop` came first.

    `waiting` is told the seconds that the other holder has left, each time it is asked. A Redis that is
    away is waited for: it will be back, and so will whoever held the lease.
    """
    delays = backoff(lambda: 0.0, first=0.1, most=RETRY_MOST)
    owned = away = False
    while not stop.is_set():
        try:
            left = await lease.acquire()
        except BusUnavailable as exc:
            if not away:
                log.warning("%s; waiting for it", exc)
            left, away = RETRY_MOST, True
        else:
            away = False
            if owned := left == 0:
                break
            await waiting(left)
        with anyio.move_on_after(min(left, next(delays))):
            await stop.wait()
    try:
        yield owned
    finally:
        if owned:
            # Where Redis is away the lease ends by itself.
            with anyio.move_on_after(1.0, shield=True), suppress(BusUnavailable):
                await lease.release()
