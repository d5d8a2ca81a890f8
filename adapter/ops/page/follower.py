"""The follower: the one task that reads Redis for all open pages. No page, no work."""

import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import Final

import anyio
import anyio.lowlevel

from adapter.aio import backoff
from adapter.bus.admin import MonitorClient
from adapter.bus.bus import Entry
from adapter.errors import BusError, BusUnavailable
from adapter.ops.history import SLOT
from adapter.ops.metrics import Metrics
from adapter.ops.page.broadcaster import Broadcaster
from adapter.ops.page.state import EVENTS, REQUESTS, RESULTS, PageState
from adapter.ops.page.views import (
    LISTS,
    View,
    event_view,
    group_view,
    letter_view,
    request_view,
    result_view,
    session_view,
)

log = logging.getLogger(__name__)

# No page is told anything more often than this, whatever the rate of events.
GAP: Final = 0.25
WAIT_MS: Final = 1_000
# Rows of one stream in one message: at a higher rate the newest are shown and the others counted.
ROWS: Final = 40
# Rows made in one go, some 10 µs each: the corridors are not to wait for the page.
SLICE: Final = 8
FACTS_EVERY: Final = 1.0
LETTERS: Final = 50
STREAMS: Final = {"inbound": "events", "outbound": "requests", "results": "results"}
GROUPED: Final = ("inbound", "outbound")
_FIRST: Final = {"inbound": EVENTS, "outbound": REQUESTS, "results": RESULTS}


class Follower:
    """Keeps the board, and tells the hub what is new on it."""

    def __init__(
        self,
        lookout: MonitorClient,
        hub: Broadcaster,
        board: PageState,
        metrics: Metrics,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._lookout = lookout
        self._hub = hub
        self._board = board
        self._metrics = metrics
        self._wall = wall
        self._cursors: dict[str, str] = {}
        self._seq = 0
        self._looked = 0.0
        self._letters = -1

    async def run(self) -> None:
        """Until cancelled."""
        delays = backoff(random.random, first=0.2, most=5.0)
        while True:
            await self._hub.occupied()
            try:
                await self._begin()
                while len(self._hub):
                    await self._follow()
                    delays = backoff(random.random, first=0.2, most=5.0)
            except BusError as exc:
                await self._away(exc)
                await anyio.sleep(next(delays))

    async def _away(self, exc: BusError) -> None:
        log.debug("page: %s", exc)
        words = "Redis is away" if isinstance(exc, BusUnavailable) else "Redis does not let the page in"
        self._board.set("bus", words)
        self._board.set("disk", self._metrics.stuck or "")
        if not self._board.ready:
            self._board.ready = True
            self._hub.refresh()
        elif news := self._board.delta():
            await self._hub.publish(news)

    async def _begin(self) -> None:
        board = self._board
        self._cursors = dict.fromkeys((*STREAMS, "session", "dead"), "0-0")
        self._seq, self._looked, self._letters = 0, 0.0, -1
        past = {name: await self._lookout.entries_after(name, "", _FIRST[name]) for name in STREAMS}
        board.clear()
        for name, entries in past.items():
            await self._add(name, entries)
        await self._facts()
        board.set("bus", "")
        board.delta()
        board.ready = True
        self._hub.refresh()

    async def _follow(self) -> None:
        began = anyio.current_time()
        for name in await self._lookout.wait_changed(self._cursors, WAIT_MS):
            if name in STREAMS:
                await self._add(name, await self._lookout.entries_after(name, self._cursors[name], ROWS))
            else:
                # A new state or a dead letter: the facts are looked up at once.
                self._looked, self._letters = 0.0, -1
        if self._wall() - self._looked >= FACTS_EVERY:
            await self._facts()
        if news := self._board.delta():
            await self._hub.publish(news)
        await anyio.sleep(max(0.0, began + GAP - anyio.current_time()))

    async def _add(self, name: str, entries: list[Entry]) -> None:
        for start in range(0, len(entries), SLICE):
            self._board.add(STREAMS[name], self._views(name, entries[start : start + SLICE]))
            await anyio.lowlevel.checkpoint()

    def _views(self, name: str, entries: list[Entry]) -> Iterator[View]:
        self._cursors[name] = entries[-1][0]
        if name == "inbound":
            yield from self._events(entries)
        elif name == "outbound":
            yield from (request_view(entry, fields, self._lookout.keys.prefix) for entry, fields in entries)
        else:
            yield from (result_view(entry, fields) for entry, fields in entries)

    def _events(self, entries: list[Entry]) -> Iterator[View]:
        views = [event_view(entry, fields) for entry, fields in entries]
        first, last = views[0].get("seq", 0), views[-1].get("seq", 0)
        if self._seq and first:
            self._board.count("skipped", first - self._seq - 1)
        self._seq = last or self._seq
        yield from views

    def _session(self, entries: list[Entry]) -> None:
        for entry, fields in entries:
            self._cursors["session"] = entry
            self._board.set("session", session_view(entry, fields))

    async def _facts(self) -> None:
        """What is not told by a stream: looked up once a second at most."""
        now = self._looked = self._wall()
        lookout, board = self._lookout, self._board
        status = await lookout.status()
        board.set("status", status)
        board.set("held", await lookout.lease_held())
        board.set(
            "groups",
            [group_view(name, group, now) for name in GROUPED for group in await lookout.groups(name)],
        )
        board.set("lengths", {name: await lookout.length(name) for name in (*STREAMS, "dead")})
        self._session(await lookout.entries_after("session", self._cursors["session"], 1))
        await self._dead()
        board.grow("trend", self._metrics.history.since(0.0, now), now - 3 * SLOT)
        board.set("hearing", self._metrics.hearing)
        board.set("alarm", self._metrics.alarm)
        # Who stands by knows the disk of the other one from what that one tells.
        stuck = self._metrics.stuck
        board.set("disk", status.get("disk", "") if stuck is None else stuck)
        board.set("contacts", {name: await lookout.hash_size(name) for name in LISTS})

    async def _dead(self) -> None:
        """Dead letters may be long: they are read only where some came or went."""
        length = await self._lookout.length("dead")
        if length != self._letters:
            letters = await self._lookout.entries_after("dead", "", LETTERS)
            self._letters = length
            self._cursors["dead"] = letters[-1][0] if letters else self._cursors["dead"]
            self._board.set("dead", [letter_view(entry, fields) for entry, fields in reversed(letters)])
