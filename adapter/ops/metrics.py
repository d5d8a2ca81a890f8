"""Count what the adapter does, for Prometheus and the page.

A batch is counted whole: that costs well under a microsecond an event. What can be looked up at a scrape is
not counted at all: it comes from a `Snapshot` of the active adapter, or from Redis.
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

from adapter.events import SendResult, SessionState, Status
from adapter.ops.history import RollingHistory

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# Histogram buckets in seconds. A poll is parked for a minute; a batch is on disk within milliseconds, at
# worst seconds; a request waits for the pace of its chat.
_POLL: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 90.0, 120.0)
_APPEND: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_REQUEST: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)

# The creation time of each counter would double the exposition and is of no use.
disable_created_metrics()  # type: ignore[no-untyped-call]

# Seconds between two clocks that network and scheduling explain.
MAX_CLOCK_OFFSET: Final = 2.0
# Consumer groups at a scrape: their names are chosen by others, and each has three series.
MAX_GROUPS: Final = 100
# Characters of a label that others chose.
MAX_LABEL: Final = 100
# Types of events that prove that upstream delivers; an answer to a poll does not.
_DELIVERED: Final = ("message.", "notice.")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the active adapter at this moment.

    `leased`: the lease is valid, no other adapter can have taken over. `stuck`: why events cannot be
    written to disk, "" if they can. `bus_error`: why the lease was not renewed last time.
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
    bus_error: str = ""


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A consumer group at a scrape; `oldest` in seconds."""

    stream: str
    name: str
    lag: int
    pending: int
    oldest: float


def _histogram(what: str, about: str, buckets: Sequence[float], registry: CollectorRegistry) -> Histogram:
    return Histogram(f"qqbus_{what}_duration_seconds", about, buckets=buckets, registry=registry)


class Metrics:
    """The counters of one process. `snapshot` is set while this process is the active adapter."""

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
        # Results of upstream in a row that were `unknown`; None without a result so far.
        self.unknown_in_a_row: int | None = None
        self.last_poll: float | None = None
        self.line_state = ""
        self.clock_offset = 0.0
        self.alarm = ""
        self.heartbeats: dict[str, float] = {}
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        Gauge("qqbus_info", "Version of the adapter.", ["version"], registry=registry).labels(version).set(1)

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"qqbus_{name}", about, labels, registry=registry)

        self._events = counter("events", "Events taken from upstream, by type.", "type")
        self._sends = counter("sends", "Requests that ended, by status and code.", "status", "code")
        self._changes = counter("session_changes", "Changes of the session, by new state.", "state")
        failures = "Failures of background services that were run again, by service."
        self._service_failures = counter("service_failures", failures, "service")
        # Background services that fail: the type of the error, and until when it is shown.
        self._failing: dict[str, tuple[str, float]] = {}
        self._dropped = counter(
            "dropped", "Entries dropped before a group had read them, by stream.", "stream"
        )
        # Faults of the streams by reason: the text, and until when it is shown.
        self._bus_faults: dict[str, tuple[str, float]] = {}
        self._alarms = counter("alarms", "Alarms raised, by reason.", "reason")
        self._polls = _histogram("poll", "From asking upstream for events to its answer.", _POLL, registry)
        self._appends = _histogram(
            "append", "From an answer of upstream to its events on disk and on the bus.", _APPEND, registry
        )
        self._requests = _histogram(
            "request", "From the entry of a request to its result.", _REQUEST, registry
        )
        self._gauges = Gauges(registry)

    # --- observed by the adapter ---------------------------------------------------------------

    def observe_poll(self, seconds: float) -> None:
        """Count an answer of upstream to a poll, `seconds` after the question."""
        self.last_poll = self._clock()
        self.heartbeat("poll")
        self._polls.observe(seconds)

    def observe_append(self, types: Sequence[str], seconds: float) -> None:
        """Count a batch with events of these types, on disk and on the bus `seconds` after it came."""
        self._appends.observe(seconds)
        for kind, count in Tally(types).items():
            self._events.labels(kind).inc(count)
        self.history.observe_append(self._wall(), len(types), seconds)
        if any(kind.startswith(_DELIVERED) for kind in types):
            self.last_delivery = self._clock()

    def observe_result(self, result: SendResult) -> None:
        """Count the result of a request, with the time since the request was added."""
        now = self._wall()
        waited = max(0.0, now - int(result.entry.partition("-")[0] or 0) / 1000)
        self._sends.labels(result.status.value, result.code).inc()
        self._requests.observe(waited)
        if result.status is Status.SENT or result.code == "upstream.denied":
            self.unknown_in_a_row = 0
        elif result.status is Status.UNKNOWN and result.code.startswith("upstream."):
            self.unknown_in_a_row = (self.unknown_in_a_row or 0) + 1
        self.history.observe_result(now, waited)

    def session(self, state: SessionState) -> None:
        """Count a change of the session to `state`."""
        self._changes.labels(state.value).inc()

    def count_alert(self, reason: str) -> None:
        """Count an alarm that was raised."""
        self._alarms.labels(reason).inc()

    def set_alert(self, *reasons: str) -> None:
        """Set the raised alarm: the first reason that is not "" counts."""
        self.alarm = next(filter(None, reasons), "")
        self._gauges.alarm.set(bool(self.alarm))

    def set_line_state(self, line_state: str) -> None:
        """Set what is believed of the line: proven, plausible, suspicious or offline."""
        self.line_state = line_state
        self._gauges.set_line_state(line_state)

    def count_service_failure(self, service: str, error: str, shown_seconds: float) -> None:
        """Count a failure of a background service; it shows as failing for that number of seconds."""
        self._service_failures.labels(service).inc()
        self._failing[service] = error, self._clock() + shown_seconds

    def clear_service_failure(self, service: str) -> None:
        """Show a background service as failing no longer."""
        self._failing.pop(service, None)

    def set_clock_offset(self, seconds: float) -> None:
        """Set by how many seconds the clock of Redis is ahead of this machine's."""
        self.clock_offset = seconds
        self._gauges.clock_offset.set(seconds)

    def clock_text(self) -> str:
        """Return the whole seconds by which the clock of Redis is ahead; "" for a usual difference."""
        return f"{self.clock_offset:.0f}" if abs(self.clock_offset) > MAX_CLOCK_OFFSET else ""

    def count_dropped(self, stream: str, entries: int) -> None:
        """Count entries of a stream that were dropped unread."""
        self._dropped.labels(stream).inc(entries)

    def set_bus_fault(self, reason: str, text: str, shown_seconds: float) -> None:
        """Show a fault of the streams for that number of seconds."""
        self._bus_faults[reason] = text, self._clock() + shown_seconds

    def bus_faults(self) -> dict[str, str]:
        """Return the faults of the streams, the texts by reason."""
        now = self._clock()
        return {reason: text for reason, (text, until) in self._bus_faults.items() if until > now}

    def heartbeat(self, loop: str) -> None:
        """Note that a loop has come round."""
        self.heartbeats[loop] = self._clock()

    def closed(self) -> None:
        """Note that this process is not the active adapter any more: its loops need not come round."""
        self.snapshot = None
        self.heartbeats.clear()
        self.set_line_state("offline")

    # --- read by the page ----------------------------------------------------------------------

    def failing_text(self) -> str:
        """Return the background services that fail, with the type of the error; "" for none."""
        now = self._clock()
        return ", ".join(f"{name}: {error}" for name, (error, until) in self._failing.items() if until > now)

    @property
    def stuck(self) -> str | None:
        """Why events cannot be written to disk, "" if they can; None if this is not the active adapter."""
        return self.snapshot().stuck if self.snapshot else None

    def age(self, moment: float | None) -> float | None:
        """Return the seconds since a moment of this object's clock; None for no moment."""
        return None if moment is None else max(0.0, self._clock() - moment)

    def expose(self, groups: Iterable[GroupRow] | None, dead: int, waiting: int, pages: int) -> bytes:
        """Return all figures in Prometheus' text format. `groups` is None while Redis is away."""
        gauges = self._gauges
        gauges.set_snapshot(self.snapshot() if self.snapshot else None)
        gauges.set_ages(self.age(self.last_delivery), self.age(self.last_poll))
        gauges.set_bus(groups, dead, waiting)
        gauges.pages.set(pages)
        return generate_latest(self.registry)


class Gauges:
    """The figures that are looked up at a scrape."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"qqbus_{name}", text, labels, registry=registry)

        self._state = gauge("session_state", "1 for the present state of the session.", "state")
        self._line_state = gauge("hearing_state", "1 for what is believed of the line.", "state")
        self._lease = gauge("lease_held", "1 while this process is the sole connection.")
        self._epoch = gauge("epoch", "Generation of the lease and the login.")
        self._paused = gauge("paused", "1 while sends are held.")
        self._spool = gauge("spool_bytes", "Bytes of events on disk that wait for Redis.")
        self._stuck = gauge(
            "disk_full", "1 while events cannot be written to disk, and upstream is not polled."
        )
        self._last_delivery = gauge("proof_of_life_age_seconds", "Since upstream last delivered an event.")
        self._last_poll = gauge("last_poll_age_seconds", "Since upstream last answered a poll.")
        self._redis = gauge("redis_up", "1 while Redis serves.")
        self._lag = gauge("group_lag", "Entries a group has not read.", "stream", "group")
        self._pending = gauge("group_pending", "Entries read and not acknowledged.", "stream", "group")
        self._oldest = gauge("group_oldest_age_seconds", "Age of the oldest of these.", "stream", "group")
        self._omitted = gauge("groups_omitted", f"Groups beyond the {MAX_GROUPS} slowest.")
        self._dead = gauge("dead_letters", "Entries that could not be handled.")
        self._waiting = gauge("outbound_pending", "Requests that wait or are being sent.")
        self.clock_offset = gauge(
            "clock_offset_seconds", "By how much the clock of Redis is ahead of this machine's."
        )
        self.pages = gauge("page_clients", "Open status pages.")
        self.alarm = gauge("alarm_active", "1 while a person is needed.")

    def set_snapshot(self, snapshot: Snapshot | None) -> None:
        """Set the state of the active adapter; None if this is not it."""
        for state in SessionState:
            present = snapshot.state if snapshot else SessionState.STANDBY
            self._state.labels(state.value).set(state is present)
        self._lease.set(bool(snapshot and snapshot.leased))
        self._epoch.set(snapshot.epoch if snapshot else 0)
        self._paused.set(bool(snapshot and snapshot.paused))
        self._spool.set(snapshot.spool_bytes if snapshot else 0)
        self._stuck.set(bool(snapshot and snapshot.stuck))

    def set_line_state(self, present: str) -> None:
        """Set what is believed of the line."""
        for line_state in ("proven", "plausible", "suspicious", "offline"):
            self._line_state.labels(line_state).set(line_state == present)

    def set_ages(self, delivery: float | None, poll: float | None) -> None:
        """Set ages in seconds; NaN for what never was."""
        nan = float("nan")
        self._last_delivery.set(nan if delivery is None else delivery)
        self._last_poll.set(nan if poll is None else poll)

    def set_bus(self, groups: Iterable[GroupRow] | None, dead: int, waiting: int) -> None:
        """Set what Redis says; a group that was deleted disappears."""
        self._redis.set(groups is not None)
        for family in (self._lag, self._pending, self._oldest):
            family.clear()
        if groups is None:
            return
        self._dead.set(dead)
        self._waiting.set(float("nan") if waiting < 0 else waiting)
        rows = sorted(groups, key=lambda row: row.oldest, reverse=True)
        self._omitted.set(max(0, len(rows) - MAX_GROUPS))
        for row in rows[:MAX_GROUPS]:
            labels = row.stream, row.name[:MAX_LABEL]
            if row.lag is not None:
                self._lag.labels(*labels).set(row.lag)
            self._pending.labels(*labels).set(row.pending)
            self._oldest.labels(*labels).set(row.oldest)
