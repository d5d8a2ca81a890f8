"""Read Redis for all open pages, in one task; without a page it rests."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Final

import anyio
import anyio.lowlevel

from adapter.aio import STEP_TIMEOUT
from adapter.bus.adapter_letters import written_by_adapter
from adapter.bus.admin import MonitorClient
from adapter.bus.cursors import rewound_cursors
from adapter.bus.entries import Entry
from adapter.codec.outbound import result_stream
from adapter.errors import BusError, BusUnavailable
from adapter.failpoints import Failpoint, inject
from adapter.i18n import N_
from adapter.ops.contact_search import LISTS
from adapter.ops.history import SLOT
from adapter.ops.metrics import Metrics
from adapter.ops.page.broadcaster import Broadcaster
from adapter.ops.page.state import EVENTS, REQUESTS, RESULTS, PageState
from adapter.ops.page.views import (
    View,
    event_view,
    group_view,
    letter_view,
    request_view,
    result_view,
    session_view,
    summary_view,
)
from adapter.ops.wording import before, describe, line_text

log = logging.getLogger(__name__)

# Seconds between two messages to the pages, whatever the rate of events.
INTERVAL: Final = 0.25
# Milliseconds that Redis waits for a change: facts that no stream carries are looked up after each wait.
WAIT_MS: Final = 1_000
# Rows of one stream in one message: at a higher rate the newest are shown and the others counted.
MAX_ROWS: Final = 40
# Rows made without a pause, some 10 µs each: a poll must not wait for the page.
SLICE: Final = 8
# Seconds between two looks at the facts.
FACTS_INTERVAL: Final = 1.0
# Dead letters that the page shows, the newest.
MAX_DEAD_LETTERS: Final = 50
# Seconds of the graphs that are sent again: the newest slots still change.
TREND_OVERLAP: Final = 3 * SLOT
# Streams of workers with results of their own that are followed, the newest named ones.
MAX_RESULT_STREAMS: Final = 16
STREAMS: Final = {"inbound": "events", "outbound": "requests", "results": "results"}
GROUPED: Final = ("inbound", "outbound")
_FIRST: Final = {"inbound": EVENTS, "outbound": REQUESTS, "results": RESULTS}


class Follower:
    """Keep `state` up to date, and publish its changes."""

    def __init__(
        self,
        monitor: MonitorClient,
        broadcaster: Broadcaster,
        state: PageState,
        metrics: Metrics,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._monitor = monitor
        self._broadcaster = broadcaster
        self._state = state
        self._metrics = metrics
        self._wall = wall
        self._cursors: dict[str, str] = {}
        self._seq = 0
        self._facts_at = 0.0
        self._dead_letters = -1
        # Streams of results beside `qq:results`, without the prefix, the newest named last.
        self._result_streams: list[str] = []
        self._status: dict[str, str] = {}
        self._is_lease_held: bool | None = None

    async def run(self, stop: anyio.Event) -> None:
        """Follow while a page is open, until stopped and cancelled. Raises BusError."""
        while not stop.is_set():
            await self._broadcaster.wait_occupied()
            try:
                await self._begin()
                while len(self._broadcaster):
                    with anyio.fail_after(STEP_TIMEOUT):
                        await inject(Failpoint.PAGE)
                        await self._follow()
            except BusError as exc:
                self._show_outage(exc)
                raise

    def wake(self) -> None:
        """Do nothing: `run` is cancelled."""

    def _show_outage(self, exc: BusError) -> None:
        log.debug("page: %s", exc)
        is_away = isinstance(exc, BusUnavailable)
        self._state.set("bus", N_("Redis does not answer") if is_away else N_("Redis refuses the page"))
        self._summarize()
        if self._state.ready:
            self._publish()
        else:
            self._state.ready = True
            self._broadcaster.resync()

    async def _begin(self) -> None:
        state = self._state
        self._cursors = dict.fromkeys((*STREAMS, "session", "dead"), "0-0")
        self._seq, self._facts_at, self._dead_letters = 0, 0.0, -1
        self._result_streams = []
        past = {name: await self._monitor.last_entries(name, _FIRST[name]) for name in STREAMS}
        state.clear()
        for name, entries in past.items():
            await self._add(name, entries)
        for name in self._result_streams:
            await self._add(name, await self._monitor.last_entries(name, RESULTS, self._cursors[name]))
        await self._update_facts()
        state.set("bus", "")
        state.delta()
        state.ready = True
        self._broadcaster.resync()

    async def _follow(self) -> None:
        began = anyio.current_time()
        for name in await self._monitor.wait_changed(self._cursors, WAIT_MS):
            if name in STREAMS or name in self._result_streams:
                await self._add(name, await self._monitor.last_entries(name, MAX_ROWS, self._cursors[name]))
            else:
                # A change of the session or a dead letter: look the facts up at once.
                self._facts_at, self._dead_letters = 0.0, -1
        if self._wall() - self._facts_at >= FACTS_INTERVAL:
            self._cursors |= await rewound_cursors(self._monitor, self._cursors)
            await self._update_facts()
        self._publish()
        await anyio.sleep(max(0.0, began + INTERVAL - anyio.current_time()))

    def _publish(self) -> None:
        if changes := self._state.delta():
            self._broadcaster.publish(changes)

    async def _add(self, name: str, entries: list[Entry]) -> None:
        if name == "outbound":
            self._name_result_streams(entries)
        for start in range(0, len(entries), SLICE):
            self._state.add(STREAMS.get(name, "results"), self._views(name, entries[start : start + SLICE]))
            await anyio.lowlevel.checkpoint()

    def _views(self, name: str, entries: list[Entry]) -> Iterator[View]:
        self._cursors[name] = entries[-1][0]
        if name == "inbound":
            yield from self._event_views(entries)
        elif name == "outbound":
            yield from (request_view(entry, fields, self._monitor.keys.prefix) for entry, fields in entries)
        else:
            yield from (result_view(entry, fields) for entry, fields in entries)

    def _name_result_streams(self, entries: list[Entry]) -> None:
        """Follow the result streams that requests name, each from its first request on."""
        prefix = self._monitor.keys("")
        for entry, fields in entries:
            name = result_stream(fields, self._monitor.keys.prefix)[len(prefix) :]
            if name not in STREAMS and name not in self._result_streams:
                self._result_streams.append(name)
                self._cursors[name] = before(entry)
        for name in self._result_streams[:-MAX_RESULT_STREAMS]:
            del self._cursors[name]
        del self._result_streams[:-MAX_RESULT_STREAMS]

    def _event_views(self, entries: list[Entry]) -> Iterator[View]:
        views = [event_view(entry, fields) for entry, fields in entries]
        first, last = views[0].get("seq", 0), views[-1].get("seq", 0)
        if self._seq and first:
            self._state.count("skipped", first - self._seq - 1)
        self._seq = last or self._seq
        yield from views

    def _update_session(self, entries: list[Entry]) -> None:
        for entry, fields in entries:
            self._cursors["session"] = entry
            self._state.set("session", session_view(entry, fields))

    async def _update_facts(self) -> None:
        """Look up what no stream carries."""
        now = self._facts_at = self._wall()
        monitor, state = self._monitor, self._state
        status, is_held = await monitor.status(), await monitor.lease_held()
        state.set("status", status)
        state.set("held", is_held)
        state.set(
            "groups",
            [group_view(name, group, now) for name in GROUPED for group in await monitor.groups(name)],
        )
        state.set("lengths", {name: await monitor.xlen(name) for name in (*STREAMS, "dead")})
        self._update_session(await monitor.last_entries("session", 1, self._cursors["session"]))
        await self._update_dead_letters()
        state.grow("trend", self._metrics.history.since(0.0, now), now - TREND_OVERLAP)
        self._status, self._is_lease_held = status, is_held
        self._summarize()
        state.set("contacts", {name: await monitor.hlen(name) for name in LISTS})

    def _summarize(self) -> None:
        """Say how the adapter is, by the facts that were looked up last."""
        metrics, state = self._metrics, self._state
        # A standby knows the disk of the active adapter from `qq:status`.
        disk_error = self._status.get("disk", "") if metrics.stuck is None else metrics.stuck
        text = describe(
            self._status, is_lease_held=self._is_lease_held, alarm=metrics.alarm, disk_error=disk_error
        )
        state.set("standby", metrics.snapshot is None and self._is_lease_held is True)
        state.set("disk", disk_error)
        state.set("alarm", metrics.alarm)
        failing = self._status.get("failing", "") if metrics.snapshot is None else metrics.failing_text()
        state.set("failing", failing)
        state.set("summary", summary_view(text))
        state.set("line", line_text(metrics.line_state, metrics.alarm))

    async def _update_dead_letters(self) -> None:
        """Read the dead letters, which may be long, if some came or went."""
        length = await self._monitor.xlen("dead")
        if length != self._dead_letters:
            letters = await self._monitor.last_entries("dead", MAX_DEAD_LETTERS)
            self._dead_letters = length
            self._cursors["dead"] = letters[-1][0] if letters else self._cursors["dead"]
            monitor = self._monitor
            entries = [entry for entry, _ in letters]
            own = await written_by_adapter(monitor.client, monitor.keys, entries) or {}
            views = [letter_view(entry, fields, is_own=own.get(entry, False)) for entry, fields in letters]
            self._state.set("dead", views[::-1])
