"""Metrics: what the corridors count, and how Prometheus and the page get to see it.

Counting costs well under a microsecond an event: whoever has a batch tells it whole. What can be looked
up when somebody asks is not counted at all: it comes from a `Reading` of the office, or from Redis.
"""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from adapter.events import SendResult, SessionState
from adapter.ops.history import RollingHistory

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# A poll is parked for a minute; a batch is on disk within milliseconds, on a bad day within seconds.
_POLL: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 90.0, 120.0)
_APPEND: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_REQUEST: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)

# When a counter was made is of no use to anybody, and as long as the counters.
disable_created_metrics()  # type: ignore[no-untyped-call]

# Proof of life is what upstream delivers, not that it answers.
_DELIVERED: Final = ("message.", "notice.")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where the adapter stands at this moment.

    `leased`: nobody else can have taken over. `stuck`: why events cannot be put on disk, "" where they can.
    """

    state: SessionState
    reason: str
    account: str
    leased: bool
    epoch: int
    paused: bool
    spool_bytes: int
    bus_away: bool
    stuck: str = ""


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A consumer group as a scrape shows it; `lag` None where the server cannot tell."""

    stream: str
    name: str
    lag: int | None
    pending: int
    oldest: float


class Metrics:
    """The counters of one process. `reading` is set while an office is open."""

    def __init__(
        self,
        version: str = "",
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._clock = clock
        self.history = RollingHistory()
        self.snapshot: Callable[[], Snapshot] | None = None
        self.last_delivery: float | None = None
        self.last_poll: float | None = None
        self.hearing = ""
        self.alarm = ""
        self.heartbeats: dict[str, float] = {}
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        Gauge("qqbus_info", "Version of the adapter.", ["version"], registry=registry).labels(version).set(1)
        self._events = Counter(
            "qqbus_events", "Events taken from upstream, by type.", ["type"], registry=registry
        )
        self._sends = Counter(
            "qqbus_sends", "Requests that ended, by status and code.", ["status", "code"], registry=registry
        )
        self._changes = Counter(
            "qqbus_session_changes", "Changes of the session, by new state.", ["state"], registry=registry
        )
        self._alarms = Counter("qqbus_alarms", "Alarms raised, by reason.", ["reason"], registry=registry)
        self._polls = Histogram(
            "qqbus_poll_duration_seconds",
            "From asking upstream for events to its answer.",
            buckets=_POLL,
            registry=registry,
        )
        self._appends = Histogram(
            "qqbus_append_duration_seconds",
            "From an answer of upstream to its events on disk and on the bus.",
            buckets=_APPEND,
            registry=registry,
        )
        self._requests = Histogram(
            "qqbus_request_duration_seconds",
            "From the entry of a request to its result.",
            buckets=_REQUEST,
            registry=registry,
        )
        self._gauges = Gauges(registry)

    # --- told by the corridors -----------------------------------------------------------------

    def observe_poll(self, seconds: float) -> None:
        """Upstream answered a poll after so long."""
        self.last_poll = self._clock()
        self.heartbeat("poll")
        self._polls.observe(seconds)

    def observe_append(self, types: Sequence[str], seconds: float) -> None:
        """A batch with events of these types is safe, so long after it came."""
        self._appends.observe(seconds)
        for kind, count in Tally(types).items():
            self._events.labels(kind).inc(count)
        self.history.observe_append(self._wall(), len(types), seconds)
        if any(kind.startswith(_DELIVERED) for kind in types):
            self.last_delivery = self._clock()

    def observe_result(self, result: SendResult) -> None:
        """A request has its result; `told` of Settling."""
        now = self._wall()
        waited = max(0.0, now - int(result.entry.partition("-")[0] or 0) / 1000)
        self._sends.labels(result.status.value, result.code).inc()
        self._requests.observe(waited)
        self.history.observe_result(now, waited)

    def session(self, state: SessionState) -> None:
        """The session moved to another state."""
        self._changes.labels(state.value).inc()

    def alarmed(self, reason: str) -> None:
        """Somebody was called for help."""
        self._alarms.labels(reason).inc()

    def set_alert(self, *reasons: str) -> None:
        """Why a person is wanted, the first that is not "" counts; an earlier process may have called."""
        self.alarm = next(filter(None, reasons), "")
        self._gauges.alarm.set(bool(self.alarm))

    def set_line_state(self, hearing: str) -> None:
        """What is believed of the line: proven, plausible, suspicious or offline."""
        self.hearing = hearing
        self._gauges.heard(hearing)

    def heartbeat(self, loop: str) -> None:
        """A loop has come round."""
        self.heartbeats[loop] = self._clock()

    def closed(self) -> None:
        """The office is closed: its loops need not turn, and there is nothing to read."""
        self.snapshot = None
        self.heartbeats.clear()
        self.set_line_state("offline")

    # --- asked by the page ---------------------------------------------------------------------

    @property
    def stuck(self) -> str | None:
        """Why events cannot be put on disk, "" where they can; None where that is not our business."""
        return self.snapshot().stuck if self.snapshot else None

    def age(self, moment: float | None) -> float | None:
        """Seconds since a moment of this object's clock."""
        return None if moment is None else max(0.0, self._clock() - moment)

    def expose(self, groups: Iterable[GroupRow] | None, dead: int, waiting: int, pages: int) -> bytes:
        """Everything in Prometheus' text format. `groups` is None while Redis is away."""
        gauges = self._gauges
        gauges.read(self.snapshot() if self.snapshot else None)
        gauges.lives(self.age(self.last_delivery), self.age(self.last_poll))
        gauges.bus(groups, dead, waiting)
        gauges.pages.set(pages)
        return generate_latest(self.registry)


class Gauges:
    """What is looked up when somebody asks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, words: str, *labels: str) -> Gauge:
            return Gauge(f"qqbus_{name}", words, labels, registry=registry)

        self._state = gauge("session_state", "1 for the present state of the session.", "state")
        self._hearing = gauge("hearing_state", "1 for what is believed of the line.", "state")
        self._lease = gauge("lease_held", "1 while this process is the sole connection.")
        self._epoch = gauge("epoch", "Generation of the lease and the login.")
        self._paused = gauge("paused", "1 while sends are held.")
        self._spool = gauge("spool_bytes", "Bytes of events on disk that wait for Redis.")
        self._stuck = gauge("disk_full", "1 while events cannot be put on disk, and no more are asked for.")
        self._proof = gauge("proof_of_life_age_seconds", "Since upstream last delivered something.")
        self._answer = gauge("last_poll_age_seconds", "Since upstream last answered a poll.")
        self._redis = gauge("redis_up", "1 while Redis serves.")
        self._lag = gauge("group_lag", "Entries a group has not read.", "stream", "group")
        self._pending = gauge("group_pending", "Entries read and not done with.", "stream", "group")
        self._oldest = gauge("group_oldest_age_seconds", "Age of the oldest of these.", "stream", "group")
        self._dead = gauge("dead_letters", "Entries that could not be handled.")
        self._waiting = gauge("outbound_pending", "Requests that wait or are being sent.")
        self.pages = gauge("page_clients", "Open status pages.")
        self.alarm = gauge("alarm_active", "1 while a person is needed.")

    def read(self, reading: Snapshot | None) -> None:
        """Where the office stands; None: it is closed."""
        for state in SessionState:
            present = reading.state if reading else SessionState.STANDBY
            self._state.labels(state.value).set(state is present)
        self._lease.set(bool(reading and reading.leased))
        self._epoch.set(reading.epoch if reading else 0)
        self._paused.set(bool(reading and reading.paused))
        self._spool.set(reading.spool_bytes if reading else 0)
        self._stuck.set(bool(reading and reading.stuck))

    def heard(self, present: str) -> None:
        """What is believed of the line."""
        for hearing in ("proven", "plausible", "suspicious", "offline"):
            self._hearing.labels(hearing).set(hearing == present)

    def lives(self, proof: float | None, answer: float | None) -> None:
        """Ages in seconds; what never was is not a number."""
        nan = float("nan")
        self._proof.set(nan if proof is None else proof)
        self._answer.set(nan if answer is None else answer)

    def bus(self, groups: Iterable[GroupRow] | None, dead: int, waiting: int) -> None:
        """What Redis tells. A group that has gone is gone from here too."""
        self._redis.set(groups is not None)
        for family in (self._lag, self._pending, self._oldest):
            family.clear()
        if groups is None:
            return
        self._dead.set(dead)
        self._waiting.set(float("nan") if waiting < 0 else waiting)
        for row in groups:
            if row.lag is not None:
                self._lag.labels(row.stream, row.name).set(row.lag)
            self._pending.labels(row.stream, row.name).set(row.pending)
            self._oldest.labels(row.stream, row.name).set(row.oldest)
