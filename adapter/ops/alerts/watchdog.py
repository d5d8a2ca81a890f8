"""The sentry: keeps the vigil going, carries out its orders, and remembers the habits over a restart."""

import json
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import anyio

from adapter.aio import Wakeup
from adapter.ops.alerts.delivery_monitor import Deed, Habit, Hearing, Order, Vigil
from adapter.ops.alerts.disk_monitor import DISK, Room
from adapter.ops.alerts.notifier import Bell, Call
from adapter.ops.metrics import Metrics

log = logging.getLogger(__name__)

EVERY: Final = 5.0
SAVE_EVERY: Final = 900.0
# Two alarms and their all-clears, twice; older calls that were never delivered are of no use.
CALLS_KEPT: Final = 8


class Sentry:
    """Looks at `metrics` every few seconds. `probe` and `relink` are the upstream's."""

    def __init__(
        self,
        metrics: Metrics,
        bell: Bell,
        file: Path,
        *,
        probe: Callable[[], Awaitable[Any]],
        relink: Callable[[], Awaitable[Any]],
        wall: Callable[[], float],
        every: float = EVERY,
    ) -> None:
        self._metrics = metrics
        self._bell = bell
        self._file = file
        self._probe = probe
        self._relink = relink
        self._wall = wall
        self._every = every
        self._wakeup = Wakeup()
        self._ring = Wakeup()
        self._calls: deque[Call] = deque(maxlen=CALLS_KEPT)
        self._proof: float | None = None
        self._saved = wall()
        self._told = Hearing.OFFLINE
        self.vigil, self.room = load(file)
        metrics.wanted(self.vigil.alarm, self.room.alarm)

    async def keep(self, ended: anyio.Event) -> None:
        """Watch until stopped."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._deliver)
            while not ended.is_set():
                self._metrics.turn("sentry")
                await self._look()
                await self._wakeup.wait(self._every)
            tasks.cancel_scope.cancel()
        self._save()

    def wake(self) -> None:
        """Let `keep` notice that it was stopped."""
        self._wakeup.ring()

    async def _look(self) -> None:
        metrics, now = self._metrics, self._wall()
        if metrics.reading is None:
            return
        reading = metrics.reading()
        self.vigil.changed(reading.state, reading.reason, now)
        if metrics.proof != self._proof:
            self._proof = metrics.proof
            self.vigil.heard(now)
        orders = self.room.tick(reading.stuck, now)
        if not reading.stuck:  # a silence of our own making says nothing of the line
            orders += self.vigil.tick(now)
        for order in orders:
            await self._obey(order, reading.account, now)
        self._tell(self.vigil.hearing(now))
        if now - self._saved >= SAVE_EVERY:
            self._save()

    async def _obey(self, order: Order, account: str, now: float) -> None:
        match order.deed:
            case Deed.PROBE:
                log.warning("%s: asking whether the session lives", order.words)
                await self._probe()
            case Deed.RELINK:
                log.warning("%s: opening it again", order.words)
                await self._relink()
            case Deed.ALARM | Deed.CLEAR:
                active = order.deed is Deed.ALARM
                log.log(logging.ERROR if active else logging.INFO, "%s", order.words)
                if active:
                    self._metrics.alarmed(order.reason)
                self._metrics.wanted(self.vigil.alarm, self.room.alarm)
                self._calls.append(Call(active, order.reason, order.words, account, now))
                self._ring.ring()
                self._save()

    def _tell(self, hearing: Hearing) -> None:
        if hearing is not self._told:
            self._told = hearing
            self._metrics.heard(hearing.value)

    async def _deliver(self) -> None:
        while True:
            while self._calls:
                await self._bell.ring(self._calls.popleft())
            await self._ring.wait(SAVE_EVERY)

    def _save(self) -> None:
        self._saved = self._wall()
        kept = {"alarm": self.vigil.alarm, "disk": bool(self.room.alarm), "habit": self.vigil.habit.rows()}
        text = json.dumps(kept)
        fresh = self._file.with_suffix(".new")
        try:
            fresh.write_text(text, encoding="ascii")
            os.replace(fresh, self._file)  # noqa: PTH105 – the same, and the name says it replaces
        except OSError as exc:
            log.warning("the habits cannot be kept: %s", exc.strerror)


def load(file: Path) -> tuple[Vigil, Room]:
    """What watches, knowing what an earlier process learnt and whom it called."""
    try:
        kept = json.loads(file.read_text(encoding="ascii"))
        vigil = Vigil(Habit(kept["habit"]), str(kept["alarm"]))
        return vigil, Room(DISK if kept.get("disk") is True else "")
    except (OSError, ValueError, TypeError, KeyError):
        return Vigil(), Room()  # none yet, or one that cannot be read: habits are learnt anew
