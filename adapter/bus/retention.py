"""Retention: trims what every group has acknowledged, buries what nobody can handle, names who holds back."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import anyio
from redis.exceptions import ResponseError

from adapter.aio import AutoResetEvent
from adapter.bus.bus import Bus
from adapter.bus.connection import map_redis_errors
from adapter.bus.keys import GROUP
from adapter.bus.lease import Lease
from adapter.codec.inbound import timestamp
from adapter.errors import BusUnavailable, SpoolError
from adapter.events import Gap

log = logging.getLogger(__name__)

EVERY: Final = 5.0
# One call looks at so many entries: about a millisecond of the server's time.
STEP: Final = 1_000
STEPS: Final = 50
# Acknowledged entries stay for a replay: about three weeks of a busy account.
KEPT_ENTRIES: Final = {"inbound": 100_000, "results": 10_000, "outbound": 10_000, "dead": 10_000}
# Nothing unread is dropped below these: entries, and bytes as the server counts them.
CAP: Final = 1_000_000
CAP_BYTES: Final = 1 << 30
WARN_AT: Final = 0.8
# An entry that was handed out so often and is pending for so long again is poison. The worker
# runtimes give up earlier; this is for those that have no runtime.
MAX_DELIVERIES: Final = 10
POISON_IDLE_MS: Final = 60_000
SCANNED: Final = 100
LAPSED: Final = "ids:lapsed"


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What one look at a stream did.

    `dropped` entries, between `since` and `until`, were unread by the group `holder`.
    """

    stream: str
    left: int
    trimmed: int
    dropped: int
    slowest_group: str
    since: float = 0.0
    until: float = 0.0


class Retention:
    """Keeps the streams bounded. `alarm` is told what a person should know, `gap` what the workers should.

    `gap` may raise SpoolError: then the workers are told at a later look.
    """

    def __init__(
        self,
        bus: Bus,
        lease: Lease,
        alarm: Callable[[str], None],
        gap: Callable[[Gap], Awaitable[None]],
        wall: Callable[[], float],
        *,
        cap: int = CAP,
        cap_bytes: int = CAP_BYTES,
        kept: dict[str, int] | None = None,
    ) -> None:
        self._bus = bus
        self._lease = lease
        self._alarm = alarm
        self._gap = gap
        self._wall = wall
        self._cap = cap
        self._cap_bytes = cap_bytes
        self._caps: dict[str, int] = {}
        self._kept = kept or KEPT_ENTRIES
        self._wakeup = AutoResetEvent()
        self._warned: set[str] = set()
        # What was dropped and has not been said yet, by stream; and to the workers, of what is theirs.
        self._lost: dict[str, Trimmed] = {}
        self._untold: Trimmed | None = None
        self.dropped = 0

    async def run(self, stop: anyio.Event) -> None:
        """Look after all streams until stopped."""
        while not stop.is_set():
            try:
                await self.run_once()
            except BusUnavailable as exc:
                log.debug("retention: %s", exc)
            await self._wakeup.wait(EVERY)

    def wake(self) -> None:
        """Let `keep` notice that it was stopped."""
        self._wakeup.set()

    async def run_once(self) -> None:
        """Trim and bury once."""
        for stream in self._kept:
            self._caps[stream] = await self._most(stream)
            for _ in range(STEPS):
                done = await self.trim(stream)
                if done.dropped:
                    self._lost[stream] = _joined(self._lost.get(stream), done)
                if done.trimmed == 0:
                    break
            self._report(stream)
            self._check_capacity(done)
        await self._tell()
        for group in await self._groups("inbound"):
            await self._dead_letter_poison(group)

    async def trim(self, stream: str) -> Trimmed:
        """One step: at most STEP entries of one stream."""
        lapsed = await self.lapsed()
        names = [self._bus.keys("ids:epoch"), self._bus.keys(stream)]
        cap = self._caps.get(stream, self._cap)
        args = [*self._lease.fence, self._kept[stream], cap, STEP, *lapsed]
        left, trimmed, dropped, holder, since, until = await self._bus.run_script("retain", names, args)
        self.dropped += int(dropped)
        return Trimmed(
            stream, int(left), int(trimmed), int(dropped), holder.decode(), _moment(since), _moment(until)
        )

    async def _most(self, stream: str) -> int:
        """So many entries of this stream's size are within both caps."""
        key = self._bus.keys(stream)
        with map_redis_errors():
            length = int(await self._bus.client.xlen(key))
            used = int(await self._bus.client.memory_usage(key, samples=5) or 0) if length else 0
        return (
            min(self._cap, self._cap_bytes * length // used)
            if used > self._cap_bytes * WARN_AT
            else self._cap
        )

    async def lapsed(self) -> list[str]:
        """Groups that the operator declared lapsed: nothing is kept for them."""
        with map_redis_errors():
            names: Any = await self._bus.client.smembers(self._bus.keys(LAPSED))
        return sorted(name.decode() for name in names)

    async def lapse(self, group: str, *, lapsed: bool = True) -> None:
        """Declare a group lapsed, or count on it again."""
        with map_redis_errors():
            change = self._bus.client.sadd if lapsed else self._bus.client.srem
            await change(self._bus.keys(LAPSED), group)

    def _report(self, stream: str) -> None:
        if lost := self._lost.pop(stream, None):
            self._alarm(_words(lost))
            if stream == "inbound":
                self._untold = _joined(self._untold, lost)

    async def _tell(self) -> None:
        if (lost := self._untold) is None:
            return
        try:
            await self._gap(Gap(lost.since, lost.until, _words(lost)))
        except SpoolError as exc:
            log.debug("retention: the gap waits: %s", exc)
        else:
            self._untold = None

    def _check_capacity(self, done: Trimmed) -> None:
        cap = self._caps.get(done.stream, self._cap)
        if done.left < cap * WARN_AT:
            self._warned.discard(done.stream)
        elif done.stream not in self._warned:
            self._warned.add(done.stream)
            self._alarm(
                f"{done.stream} holds {done.left} of {cap} entries: group {done.slowest_group!r} does not "
                "acknowledge; start its workers, or declare it lapsed"
            )

    async def _groups(self, stream: str) -> list[str]:
        with map_redis_errors():
            try:
                groups: Any = await self._bus.client.xinfo_groups(self._bus.keys(stream))
            except ResponseError:
                return []
        return [group["name"].decode() for group in groups if group["pending"]]

    async def _dead_letter_poison(self, group: str) -> None:
        with map_redis_errors():
            rows: Any = await self._bus.client.xpending_range(
                self._bus.keys("inbound"), group, "-", "+", SCANNED, idle=POISON_IDLE_MS
            )
        for row in rows:
            if row["times_delivered"] >= MAX_DELIVERIES and group != GROUP:
                entry, count = row["message_id"].decode(), row["times_delivered"]
                await self.dead_letter(
                    group, entry, count, "poison", f"delivered {count} times, never acknowledged"
                )

    async def dead_letter(self, group: str, entry: str, deliveries: int, reason: str, detail: str) -> bool:
        """Move one pending entry of `qq:inbound` to `qq:dead`; False where it was acknowledged meanwhile."""
        names = [self._bus.keys(name) for name in ("ids:epoch", "inbound", "dead")]
        args = [*self._lease.fence, group, entry, deliveries, timestamp(self._wall()), reason, detail]
        return bool(await self._bus.run_script("bury", names, args))


def _moment(entry: bytes) -> float:
    return int(entry.partition(b"-")[0] or b"0") / 1000


def _words(lost: Trimmed) -> str:
    return (
        f"{lost.dropped} entries of {lost.stream} were dropped unread: "
        f"group {lost.slowest_group!r} has not acknowledged them"
    )


def _joined(before: Trimmed | None, now: Trimmed) -> Trimmed:
    if before is None:
        return now
    return replace(now, dropped=before.dropped + now.dropped, since=before.since)
