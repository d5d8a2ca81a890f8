"""The clock of Redis, by which relative times are measured.

Entry ids hold the server's time: an age that is taken from this machine's clock is wrong by the difference of
both, and the clocks of virtual machines drift by minutes. `now` is this machine's time plus that difference.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

import anyio

from adapter.aio import AutoResetEvent, periodic
from adapter.bus.bus import Bus
from adapter.bus.connection import map_redis_errors

log = logging.getLogger(__name__)

# Seconds between two looks.
INTERVAL: Final = 30.0
# Seconds of difference from which it is logged: network and scheduling explain less.
MAX_OFFSET: Final = 2.0
# Seconds of a round trip from which a measurement says nothing.
MAX_ROUND_TRIP: Final = 1.0


class ServerClock:
    """The service that follows the server's clock. `report` gets each new offset in seconds."""

    def __init__(
        self, bus: Bus, report: Callable[[float], None], wall: Callable[[], float] = time.time
    ) -> None:
        self._bus = bus
        self._report = report
        self._wall = wall
        self._wakeup = AutoResetEvent()
        self._is_logged = False
        self.offset_seconds = 0.0

    def now(self) -> float:
        """Return the server's time, in seconds since 1970."""
        return self._wall() + self.offset_seconds

    async def run(self, stop: anyio.Event) -> None:
        """Measure every INTERVAL seconds until stopped. Raises BusUnavailable."""
        await periodic(self.measure, seconds=INTERVAL, wakeup=self._wakeup, stop=stop)

    def wake(self) -> None:
        """Let `run` notice that it was stopped."""
        self._wakeup.set()

    async def measure(self) -> None:
        """Ask the server for its time. Raises BusUnavailable."""
        before = self._wall()
        with map_redis_errors():
            seconds, microseconds = await self._bus.client.time()
        after = self._wall()
        if not 0 <= after - before <= MAX_ROUND_TRIP:
            return
        self.offset_seconds = float(seconds) + float(microseconds) / 1e6 - (before + after) / 2
        self._report(self.offset_seconds)
        self._log()

    def _log(self) -> None:
        is_apart = abs(self.offset_seconds) > MAX_OFFSET
        if is_apart and not self._is_logged:
            log.warning(
                "the clock of Redis is %.0f s %s this machine's: `expires` and the age of commands go by the "
                "clock of Redis; let both follow a time server",
                abs(self.offset_seconds),
                "ahead of" if self.offset_seconds > 0 else "behind",
            )
        elif self._is_logged and not is_apart:
            log.info("the clocks of Redis and of this machine agree again")
        self._is_logged = is_apart
