"""Bound the streams: trim what every group has acknowledged, and dead-letter what no worker can handle.

A stream keeps its newest entries for a replay, and all entries that a consumer group still needs. A group
whose workers are gone would therefore fill Redis. Near the cap the operator is warned, at the cap the
oldest unread entries are dropped, counted and reported as a gap. A group that the operator declares
lapsed holds no entry back.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import anyio

from adapter.aio import AutoResetEvent, periodic
from adapter.bus.adapter_letters import prune
from adapter.bus.bus import Bus
from adapter.bus.connection import map_redis_errors
from adapter.bus.faults import FaultReporter, SilentReporter
from adapter.bus.groups import MAX_NAME, read_groups
from adapter.bus.keys import GROUP
from adapter.bus.lease import Lease
from adapter.bus.ledger import LETTERS, OWN_STREAMS
from adapter.bus.spool.publisher import DurablePublisher
from adapter.codec.dead_letters import DeadLetter, encode_dead_letter
from adapter.errors import SpoolError
from adapter.events import Gap
from adapter.failpoints import Failpoint, inject

log = logging.getLogger(__name__)

# Seconds between two runs: a busy account fills less than one batch in them.
INTERVAL_SECONDS: Final = 5.0
# Entries that one call of the trim script may look at: about a millisecond of the server's time.
TRIM_BATCH: Final = 1_000
# Calls a run and stream: 50,000 entries of backlog a run leave Redis time for others.
MAX_TRIM_CALLS: Final = 50
# Acknowledged entries that stay for a replay: about three weeks of a busy account.
KEPT_ENTRIES: Final = {
    "inbound": 100_000,
    "results": 10_000,
    "outbound": 10_000,
    "dead": 10_000,
    "control": 1_000,  # commands: programs with the role `commands` may add them as well
}
# Unread entries are dropped only above these: entries, and bytes by MEMORY USAGE. Bytes count first, also
# for what is kept for a replay.
CAP: Final = 1_000_000
CAP_BYTES: Final = 1 << 30
# Share of the server's maxmemory for each of the four streams: a fifth is left for everything else.
MEMORY_SHARE: Final = 0.2
# Bytes of the result stream of one worker, and seconds between two looks at all of them.
OWN_RESULTS_BYTES: Final = 4 * 1024 * 1024
OWN_STREAMS_SECONDS: Final = 60.0
# Share of the cap from which the operator is warned.
WARN_AT: Final = 0.8
# An entry with this number of deliveries that then stays idle for this time is poison. The worker
# runtimes give up earlier; this is for workers without a runtime.
MAX_DELIVERIES: Final = 10
POISON_IDLE_MS: Final = 60_000
# Pending entries of a group looked at for poison, a run.
POISON_SCAN: Final = 100
# Reasons of the alarms, before the name of the stream: unread entries near the cap, and dropped ones.
# A loss is shown for a while, in seconds.
FULL: Final = "retention.full"
DROPPED: Final = "retention.dropped"
LOSS_SHOWN_SECONDS: Final = 3600.0
# The set of lapsed groups.
LAPSED: Final = "ids:lapsed"


@dataclass(frozen=True, slots=True)
class Trimmed:
    """Result of one trim call on a stream.

    `dropped` entries, from `since` to `until` in seconds since 1970, were unread by `slowest_group`, a
    name to show.
    """

    stream: str
    left: int
    trimmed: int
    dropped: int
    slowest_group: str
    since: float = 0.0
    until: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.dropped} entries of {self.stream} were dropped unread: "
            f"group {self.slowest_group!r} has not acknowledged them"
        )

    def after(self, earlier: "Trimmed | None") -> "Trimmed":
        """Return the loss of this call and of an earlier one together."""
        if earlier is None:
            return self
        return replace(self, dropped=earlier.dropped + self.dropped, since=earlier.since)


class Retention:
    """The service that keeps the streams bounded.

    The workers get a gap for entries of `qq:inbound` that were dropped unread. Group names are bytes of
    other programs: they are decoded only to be shown.
    """

    def __init__(
        self,
        bus: Bus,
        lease: Lease,
        publisher: DurablePublisher,
        wall: Callable[[], float],
        *,
        cap: int = CAP,
        cap_bytes: int = CAP_BYTES,
        kept: dict[str, int] | None = None,
        reporter: FaultReporter | None = None,
    ) -> None:
        self._bus = bus
        self._lease = lease
        self._publisher = publisher
        self._wall = wall
        self._cap = cap
        self._cap_bytes = cap_bytes
        # Entries at most by stream: what fits into both caps.
        self._caps: dict[str, int] = {}
        self._kept = kept or KEPT_ENTRIES
        self._reporter = reporter or SilentReporter()
        self._own_streams_at = 0.0
        self._wakeup = AutoResetEvent()
        self._warned: set[str] = set()
        # Losses not reported yet, by stream: Redis may go away between the drop and the report.
        self._unreported: dict[str, Trimmed] = {}
        # The loss in `qq:inbound` of which the workers have no gap yet.
        self._unpublished: Trimmed | None = None
        self.dropped = 0

    async def run(self, stop: anyio.Event) -> None:
        """Run every INTERVAL_SECONDS until stopped. Raises BusUnavailable."""
        await periodic(self.run_once, seconds=INTERVAL_SECONDS, wakeup=self._wakeup, stop=stop)

    def wake(self) -> None:
        """Let `run` notice that it was stopped."""
        self._wakeup.set()

    async def run_once(self) -> None:
        """Trim all streams, report losses, dead-letter poison."""
        await inject(Failpoint.RETENTION)
        cap_bytes = await self._bytes_of_a_stream()
        for stream in self._kept:
            self._caps[stream] = await self._cap_entries(stream, cap_bytes)
            for _ in range(MAX_TRIM_CALLS):
                result = await self.trim(stream)
                if result.dropped:
                    self._unreported[stream] = result.after(self._unreported.get(stream))
                if result.trimmed == 0:
                    break
            self._report_loss(stream)
            self._check_capacity(result)
        await self._publish_loss()
        if self._wall() - self._own_streams_at >= OWN_STREAMS_SECONDS:
            self._own_streams_at = self._wall()
            await self._bound_own_streams()
            await prune(self._bus, self._lease.fence)
        for group in await self._groups_with_pending("inbound"):
            await self._dead_letter_poison(group)

    async def trim(self, stream: str) -> Trimmed:
        """Run the trim script once: at most TRIM_BATCH entries of one stream."""
        names = [self._bus.keys("ids:epoch"), self._bus.keys(stream)]
        cap = self._caps.get(stream, self._cap)
        # Below the cap by bytes nothing is kept for a replay: there the operator is warned.
        keep = self._kept[stream] if cap >= self._cap else min(self._kept[stream], int(cap * WARN_AT))
        args = [*self._lease.fence, keep, cap, TRIM_BATCH, *await self.lapsed()]
        left, trimmed, dropped, slowest, since, until = await self._bus.run_script("trim", names, args)
        self.dropped += int(dropped)
        if dropped:
            self._reporter.count_dropped(stream, int(dropped))
        group = slowest.decode("utf-8", "replace")
        return Trimmed(stream, int(left), int(trimmed), int(dropped), group, _seconds(since), _seconds(until))

    async def _bytes_of_a_stream(self) -> int:
        limit = await self._maxmemory()
        return min(self._cap_bytes, int(limit * MEMORY_SHARE)) if limit else self._cap_bytes

    async def _maxmemory(self) -> int:
        with map_redis_errors():
            memory: Any = await self._bus.client.info("memory")
        return int(memory.get("maxmemory", 0))

    async def _bound_own_streams(self) -> None:
        """Halve result streams of workers that are too large; forget those that have ended."""
        names = await self._bus.hgetall(self._bus.keys(OWN_STREAMS))
        for name in names:
            with map_redis_errors():
                used = int(await self._bus.client.memory_usage(name, samples=0) or 0)
                if used > OWN_RESULTS_BYTES:
                    length = int(await self._bus.client.xlen(name))
                    await self._bus.client.xtrim(name, maxlen=length // 2, approximate=False)
            if not used:
                await self._bus.hdel(self._bus.keys(OWN_STREAMS), [name])

    async def _cap_entries(self, stream: str, cap_bytes: int) -> int:
        """Return how many entries of this stream's average size are within both caps."""
        key = self._bus.keys(stream)
        with map_redis_errors():
            length = int(await self._bus.client.xlen(key))
            used = int(await self._bus.client.memory_usage(key, samples=0) or 0) if length else 0
        if used <= cap_bytes * WARN_AT:
            return self._cap
        return min(self._cap, max(1, cap_bytes * length // used))

    async def lapsed(self) -> list[bytes]:
        """Return the groups that the operator declared lapsed."""
        with map_redis_errors():
            names: Any = await self._bus.client.smembers(self._bus.keys(LAPSED))
        return sorted(names)

    async def lapse(self, group: str | bytes, *, lapsed: bool = True) -> None:
        """Declare a group lapsed, or take that back."""
        with map_redis_errors():
            change = self._bus.client.sadd if lapsed else self._bus.client.srem
            await change(self._bus.keys(LAPSED), group)

    def _report_loss(self, stream: str) -> None:
        if loss := self._unreported.pop(stream, None):
            log.error("%s", loss)
            self._reporter.set_bus_fault(f"{DROPPED}.{stream}", str(loss), LOSS_SHOWN_SECONDS)
            if stream == "inbound":
                self._unpublished = loss.after(self._unpublished)

    async def _publish_loss(self) -> None:
        if (loss := self._unpublished) is None:
            return
        try:
            await self._publisher.publish_gap(Gap(loss.since, loss.until, str(loss)))
        except SpoolError as exc:
            log.debug("retention: the gap is published later: %s", exc)
        else:
            self._unpublished = None

    def _check_capacity(self, result: Trimmed) -> None:
        cap = self._caps.get(result.stream, self._cap)
        if result.left < cap * WARN_AT or not result.slowest_group:
            self._warned.discard(result.stream)
            return
        text = (
            f"{result.stream} holds {result.left} of {cap} entries: group {result.slowest_group!r} does not "
            "acknowledge; start its workers, or declare it lapsed"
        )
        self._reporter.set_bus_fault(f"{FULL}.{result.stream}", text, 2 * INTERVAL_SECONDS)
        if result.stream not in self._warned:
            self._warned.add(result.stream)
            log.error("%s", text)

    async def _groups_with_pending(self, stream: str) -> list[bytes]:
        groups = await read_groups(self._bus.client, self._bus.keys(stream))
        return [group.name for group in groups if group.pending]

    async def _dead_letter_poison(self, group: bytes) -> None:
        if group == GROUP.encode():
            return
        bounds = [POISON_IDLE_MS, MAX_DELIVERIES, POISON_SCAN, MAX_NAME]
        rows = await self._bus.run_script("poison", [self._bus.keys("inbound")], [group, *bounds])
        for entry, consumer, deliveries in rows:
            detail = f"delivered {deliveries} times, never acknowledged"
            await self.dead_letter(group, consumer, entry.decode(), deliveries, "poison", detail)

    async def dead_letter(
        self, group: bytes, consumer: bytes, entry: str, deliveries: int, reason: str, detail: str
    ) -> bool:
        """Move one pending entry of `qq:inbound` to `qq:dead`; False if it is not pending any more."""
        stream = self._bus.keys("inbound")
        fields = await self._bus.get_entry("inbound", entry)
        letter: list[str | bytes] = []
        if fields is not None:
            record = DeadLetter(stream, entry, fields, group, consumer, reason, detail, deliveries)
            letter = encode_dead_letter(record, self._wall())
        names = [self._bus.keys("ids:epoch"), stream, self._bus.keys("dead"), self._bus.keys(LETTERS)]
        return bool(
            await self._bus.run_script("dead_letter", names, [*self._lease.fence, group, entry, *letter])
        )


def _seconds(entry: bytes) -> float:
    return int(entry.partition(b"-")[0] or b"0") / 1000
