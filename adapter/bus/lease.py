"""The lease: one adapter is the sole connection, with an epoch that each acquisition and login raises.

Fencing: every script compares the caller's epoch with the newest one in Redis. A holder that was paused for
longer than its lease and wakes late can neither append nor settle; `valid` lets it notice by its own clock
before it talks to upstream. While Redis is away the holder stays: no standby can take over without Redis.

The own lease: its value names the state folder. One process at a time has the lock of that folder, so a lease
that names it belongs to a process that has ended, and is taken back at once.

What the holder has heard: on a network that keeps nothing for a client that is away, each renewal says up to
when the holder lacks no event. A standby that takes over compares this with what it has heard itself. The
time is one of the server's clock, and rather too early: a slow Redis makes what was heard no younger.
"""

import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio

from adapter.aio import AutoResetEvent, backoff, periodic
from adapter.bus.bus import Bus, Fence
from adapter.errors import AccessRefused, BusUnavailable, Fenced
from adapter.events import Coverage

log = logging.getLogger(__name__)

# Renewals within the lifetime of the lease: two in a row may fail.
RENEWALS = 3
# Seconds between two tries at most, while another adapter holds the lease or Redis is away.
MAX_RETRY_SECONDS = 1.0
# Seconds between two renewals at most where the holder says up to when it has heard all.
HEARD_SECONDS = 0.5
# Seconds that a release may take: without it the lease ends by itself.
RELEASE_SECONDS = 1.0


class Lease:
    """The right to be the sole connection. `fence` is what every write is checked by.

    `folder`: the id of the state folder whose lock this process has, "" if its own lease is not to be taken
    back. `coverage`: what this process has heard, None if nothing yet.
    """

    def __init__(
        self,
        bus: Bus,
        holder: str,
        lease_seconds: float,
        clock: Callable[[], float],
        *,
        folder: str = "",
        coverage: Callable[[], Coverage | None] | None = None,
    ) -> None:
        self._bus = bus
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._folder = folder
        self._coverage = coverage
        self._valid_until = -math.inf
        # The server's clock less this machine's monotonic one in seconds, at the least; None if not known.
        self._offset_seconds: float | None = None
        self._wakeup = AutoResetEvent()
        # Why the last renewal failed; "" if it did not.
        self.error = ""
        self.fence = Fence(0, holder)

    def valid(self) -> bool:
        """Tell whether no other adapter can hold the lease yet, by this machine's monotonic clock."""
        return self._clock() < self._valid_until

    async def acquire(self) -> float:
        """Try once. Returns 0 if held, else the seconds until the other holder's lease ends."""
        began = self._clock()
        answer = await self._call("acquire")
        if answer < 0:
            return -answer / 1000
        self._extend(answer, began)
        return 0.0

    async def acquire_attempts(self, stop: anyio.Event) -> AsyncIterator[float]:
        """Try until the lease is held or `stop` is set; see `valid` afterwards.

        Yields after each attempt in vain: the seconds until the other holder's lease ends. Raises
        AccessRefused if the first attempt is refused.
        """
        delays = backoff(lambda: 0.0, first=0.1, most=MAX_RETRY_SECONDS)
        is_away = has_answered = False
        while not stop.is_set():
            try:
                left = await self.acquire()
            except BusUnavailable as exc:
                if isinstance(exc, AccessRefused) and not has_answered:
                    raise
                if not is_away:
                    log.warning("%s; waiting for it", exc)
                left, is_away = MAX_RETRY_SECONDS, True
            else:
                is_away, has_answered = False, True
                if left == 0:
                    return
                yield left
            with anyio.move_on_after(min(left, next(delays))):
                await stop.wait()

    async def run(self, stop: anyio.Event) -> None:
        """Renew until stopped. Raises Fenced if another adapter has taken over."""
        seconds = self._lease_seconds / RENEWALS
        if self._coverage is not None:
            seconds = min(seconds, HEARD_SECONDS)
        await periodic(self._renew, seconds=seconds, wakeup=self._wakeup, stop=stop)

    def wake(self) -> None:
        """Let `run` notice that it was stopped."""
        self._wakeup.set()

    async def verify(self) -> None:
        """Renew if the lease may have ended by this machine's clock. Raises Fenced.

        Call it before what no script refuses, such as a poll of upstream.
        """
        if not self.valid():
            await self._renew()

    async def bump_epoch(self) -> None:
        """Raise the epoch for a new login. Raises Fenced."""
        began = self._clock()
        self._extend(self._refuse_fenced(await self._call("raise")), began)

    async def read_coverage(self) -> Coverage | None:
        """Return what the last holder has heard; None if no holder has said it."""
        began = self._clock()
        times = await self._run("heard")
        waited = self._clock() - began
        return Coverage(*(int(age) / 1000 + waited for age in times)) if times else None

    async def release(self) -> None:
        """End the lease, so that a standby acquires it at once."""
        self._valid_until = -math.inf
        await self._call("release")

    async def _renew(self) -> None:
        began = self._clock()
        try:
            answer = await self._call("renew")
        except BusUnavailable as exc:
            if not self.error:
                log.warning("the lease cannot be renewed: %s", exc)
            self.error = str(exc)
            return
        self.error = ""
        self._extend(max(self._refuse_fenced(answer), self.fence.epoch), began)

    def _refuse_fenced(self, answer: int) -> int:
        if answer < 0:
            raise Fenced("another adapter has taken over the connection")
        return answer

    def _extend(self, epoch: int, began: float) -> None:
        self.fence = Fence(epoch, self.fence.holder)
        self._valid_until = began + self._lease_seconds

    async def _call(self, action: str) -> int:
        answer, server_ms = await self._run(action)
        # The script has run before now: the server's clock was that far at least.
        self._offset_seconds = int(server_ms) / 1000 - self._clock()
        return int(answer)

    async def _run(self, action: str) -> Any:
        names = [self._bus.keys("ids:epoch"), self._bus.keys("lease")]
        args = [action, self.fence.holder, int(self._lease_seconds * 1000), self._folder, *self._heard()]
        return await self._bus.run_script("lease", names, args)

    def _heard(self) -> tuple[int | str, int | str]:
        """Return what this process has heard as times of the server's clock, "" if that is not known."""
        heard = None if self._coverage is None else self._coverage()
        if heard is None or self._offset_seconds is None:
            return "", ""
        now = self._clock() + self._offset_seconds
        return int((now - heard.complete_seconds) * 1000), int((now - heard.connected_seconds) * 1000)


@asynccontextmanager
async def hold_lease(lease: Lease) -> AsyncIterator[None]:
    """Release an acquired lease at the end."""
    try:
        yield
    finally:
        with anyio.move_on_after(RELEASE_SECONDS, shield=True), suppress(BusUnavailable):
            await lease.release()
