"""Keep room for new entries in the streams of workers: notice a last id that leaves none, and heal it.

A worker may give an entry any id. After the last one that exists every other XADD fails for ever, also after
a restart. Redis sets no last id back once an entry behind it was deleted. So the stream is put aside, and
begins again with what is needed; see `scripts/heal_ids.lua`.
"""

import logging
from typing import Any, Final

import anyio
from redis.exceptions import ResponseError

from adapter.aio import AutoResetEvent, periodic
from adapter.bus.bus import Bus
from adapter.bus.connection import map_redis_errors
from adapter.bus.faults import FaultReporter
from adapter.bus.keys import GROUP
from adapter.bus.lease import Lease
from adapter.errors import BusError, BusUnavailable, Fenced

log = logging.getLogger(__name__)

# The streams to which other programs may add an entry with any id.
STREAMS: Final = ("outbound", "dead", "control")
# The newest id that is no mistake, in milliseconds: the year 2100. A clock that is wrong is not meant.
LIMIT_MS: Final = 4_102_444_800_000
# Seconds between two looks.
INTERVAL_SECONDS: Final = 5.0
# Seconds that a stream which was put aside can be looked at.
ASIDE_TTL: Final = 7 * 86_400
# Seconds for which the fault is shown after it was healed: the operator looks for its author.
SHOWN_SECONDS: Final = 600.0
FAULT: Final = "stream.ids"


def is_beyond_limit(entry: str) -> bool:
    """Return whether an id of a stream is so late that the stream is healed from it."""
    milliseconds = entry.partition("-")[0]
    return len(milliseconds) > len(str(LIMIT_MS)) or int(milliseconds) > LIMIT_MS


class StreamIds:
    """The service that looks after the last ids."""

    def __init__(self, bus: Bus, lease: Lease, reporter: FaultReporter) -> None:
        self._bus = bus
        self._lease = lease
        self._reporter = reporter
        self._wakeup = AutoResetEvent()

    async def run(self, stop: anyio.Event) -> None:
        """Look every INTERVAL_SECONDS until stopped. Raises BusUnavailable."""
        await periodic(self.run_once, seconds=INTERVAL_SECONDS, wakeup=self._wakeup, stop=stop)

    def wake(self) -> None:
        """Let `run` notice that it was stopped."""
        self._wakeup.set()

    async def run_once(self) -> None:
        """Look at each stream once, and heal those that need it."""
        for stream in STREAMS:
            last = await self._last_id(stream)
            if last and is_beyond_limit(last):
                await self._heal(stream, last)

    async def _last_id(self, stream: str) -> str:
        with map_redis_errors():
            try:
                info: Any = await self._bus.client.xinfo_stream(self._bus.keys(stream))
            except ResponseError as exc:
                if "no such key" not in str(exc):
                    raise
                return ""
        return str(info["last-generated-id"].decode())

    async def _heal(self, stream: str, last: str) -> None:
        key, aside = self._bus.keys(stream), self._bus.keys(f"ids:aside:{stream}")
        text = f"a program added an entry with the id {last} to {key}: no entry can follow it"
        try:
            answer = await self._bus.run_script(
                "heal_ids",
                [self._bus.keys("ids:epoch"), key, aside],
                [*self._lease.fence, f"{LIMIT_MS}-0", ASIDE_TTL],
            )
        except (BusUnavailable, Fenced):
            raise
        except BusError as exc:
            text += f"; it cannot be healed ({exc}): renew the rights of the adapter with `qqbus acl adapter`"
            self._reporter.set_bus_fault(FAULT, text, 2 * INTERVAL_SECONDS)
            raise
        if answer:
            taken, lost = answer
            text += (
                f"; healed: {taken} entries taken over, {lost} lost, the rest stands in {aside} for 7 days"
            )
            log.error("%s", text)
            self._reporter.set_bus_fault(FAULT, text, SHOWN_SECONDS)
            if stream != "dead":  # a stream that vanished has no group
                await self._bus.ensure_group(stream, GROUP)
