"""Look after the keys that others can spoil: late ids in the streams of workers, keys of another type.

A worker may give an entry any id. After the last one that exists every other XADD fails for ever, also after
a restart; after one of next year all entries bear its time. Redis sets no last id back once an entry behind
it was deleted. So the stream is put aside, and begins again with what is needed; see `scripts/heal_ids.lua`.

A key of another type cannot be healed: it is another program's, or a person's mistake. It is an alarm, and
what needs the key waits.
"""

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

import anyio

from adapter.aio import AutoResetEvent, periodic
from adapter.bus.bus import Bus
from adapter.bus.faults import FaultReporter
from adapter.bus.id_limit import milliseconds_of
from adapter.bus.key_types import TYPES, describe_foreign_key
from adapter.bus.keys import GROUP
from adapter.bus.lease import Lease
from adapter.bus.ledger import LETTERS
from adapter.errors import BusError, BusUnavailable, Fenced

log = logging.getLogger(__name__)

# The streams to which other programs may add an entry with any id.
STREAMS: Final = ("outbound", "dead", "control")
# Those to which only the adapter adds entries, whose ids are those of Redis. If its clock was set back they
# are ahead of it, and stay. An id that is ten years ahead is no clock's: an operator gave it by hand.
OWN_STREAMS: Final = ("inbound", "results", "session")
MAX_CLOCK_AHEAD_MS: Final = 10 * 365 * 86_400_000
# Seconds between two looks.
INTERVAL_SECONDS: Final = 5.0
# Seconds that a stream which was put aside can be looked at.
ASIDE_TTL: Final = 7 * 86_400
# Seconds for which the fault is shown after it was healed: the operator looks for its author.
SHOWN_SECONDS: Final = 600.0
FAULT: Final = "stream.ids"
FOREIGN: Final = "keys.foreign"


class _Key(NamedTuple):
    """A key as it is: `last_id` is that of a stream, empty for none."""

    type: str
    last_id: str


class StreamIds:
    """The service that looks after the last ids. `wall` is the clock of Redis, in seconds since 1970."""

    def __init__(self, bus: Bus, lease: Lease, reporter: FaultReporter, wall: Callable[[], float]) -> None:
        self._bus = bus
        self._lease = lease
        self._reporter = reporter
        self._wall = wall
        self._wakeup = AutoResetEvent()

    async def run(self, stop: anyio.Event) -> None:
        """Look every INTERVAL_SECONDS until stopped. Raises BusUnavailable."""
        await periodic(self.run_once, seconds=INTERVAL_SECONDS, wakeup=self._wakeup, stop=stop)

    def wake(self) -> None:
        """Let `run` notice that it was stopped."""
        self._wakeup.set()

    async def run_once(self) -> None:
        """Look at each key once, and heal the streams that need it."""
        found = await self._survey()
        self._report_foreign(found)
        id_limit, latest = self._bus.id_limit, int(self._wall() * 1000) + MAX_CLOCK_AHEAD_MS
        newest = milliseconds_of(found["inbound"].last_id)
        id_limit.newest_event_ms = newest if newest <= latest else 0
        limits = dict.fromkeys(STREAMS, id_limit.milliseconds(self._wall())) | dict.fromkeys(
            OWN_STREAMS, latest
        )
        for stream, limit in limits.items():
            last = found[stream].last_id
            if milliseconds_of(last) > limit:
                await self._heal(stream, last, limit)

    async def _survey(self) -> dict[str, _Key]:
        rows = await self._bus.run_script("survey", [self._bus.keys(name) for name in TYPES], [])
        return {
            name: _Key(kind.decode(), last.decode()) for name, (kind, last) in zip(TYPES, rows, strict=True)
        }

    def _report_foreign(self, found: dict[str, _Key]) -> None:
        wrong = [
            describe_foreign_key(self._bus.keys(name), key.type, TYPES[name])
            for name, key in found.items()
            if key.type not in {TYPES[name], "none"}
        ]
        if wrong:
            text = (
                f"another program uses keys of the adapter: {'; '.join(wrong)}; delete them, or rename them"
            )
            self._reporter.set_bus_fault(FOREIGN, text, 2 * INTERVAL_SECONDS)

    async def _heal(self, stream: str, last: str, limit: int) -> None:
        key, aside = self._bus.keys(stream), self._bus.keys(f"ids:aside:{stream}")
        letters = [self._bus.keys(LETTERS)] if stream == "dead" else []
        text = f"a program added an entry with the id {last} to {key}: all that follow would bear its time"
        try:
            answer = await self._bus.run_script(
                "heal_ids",
                [self._bus.keys("ids:epoch"), key, aside, *letters],
                [*self._lease.fence, f"{limit}-0", ASIDE_TTL],
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
            if stream in {"outbound", "control"}:  # a stream that vanished has no group
                await self._bus.ensure_group(stream, GROUP)
