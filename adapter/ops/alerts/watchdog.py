"""The sentry: keeps the vigil going, carries out its orders, and remembers the habits over a restart."""

import json
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import anyio

from adapter.aio import AutoResetEvent
from adapter.ops.alerts.delivery_monitor import Action, DeliveryMonitor, LineState, Remedy, TrafficBaseline
from adapter.ops.alerts.disk_monitor import DISK, DiskMonitor
from adapter.ops.alerts.notifier import Alert, Notifier
from adapter.ops.metrics import Metrics

log = logging.getLogger(__name__)

EVERY: Final = 5.0
SAVE_EVERY: Final = 900.0
# Two alarms and their all-clears, twice; older calls that were never delivered are of no use.
CALLS_KEPT: Final = 8


class Watchdog:
    """Looks at `metrics` every few seconds. `probe` and `relink` are the upstream's."""

    def __init__(
        self,
        metrics: Metrics,
        bell: Notifier,
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
        self._wakeup = AutoResetEvent()
        self._ring = AutoResetEvent()
        self._calls: deque[Alert] = deque(maxlen=CALLS_KEPT)
        self._proof: float | None = None
        self._saved = wall()
        self._told = LineState.OFFLINE
        self.vigil, self.room = load(file)
        metrics.set_alert(self.vigil.alarm, self.room.alarm)

    async def run(self, ended: anyio.Event) -> None:
        """Watch until stopped."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._deliver)
            while not ended.is_set():
                self._metrics.heartbeat("sentry")
                await self._look()
                await self._wakeup.wait(self._every)
            tasks.cancel_scope.cancel()
        self._save()

    def wake(self) -> None:
        """Let `keep` notice that it was stopped."""
        self._wakeup.set()

    async def _look(self) -> None:
        metrics, now = self._metrics, self._wall()
        if metrics.snapshot is None:
            return
        reading = metrics.snapshot()
        self.vigil.changed(reading.state, reading.reason, now)
        if metrics.last_delivery != self._proof:
            self._proof = metrics.last_delivery
            self.vigil.heard(now)
        orders = self.room.tick(reading.stuck, now)
        if not reading.stuck:  # a silence of our own making says nothing of the line
            orders += self.vigil.tick(now)
        for order in orders:
            await self._execute(order, reading.account, now)
        self._tell(self.vigil.hearing(now))
        if now - self._saved >= SAVE_EVERY:
            self._save()

    async def _execute(self, order: Action, account: str, now: float) -> None:
        match order.deed:
            case Remedy.PROBE:
                log.warning("%s: asking whether the session lives", order.words)
                await self._probe()
            case Remedy.RELINK:
                log.warning("%s: opening it again", order.words)
                await self._relink()
            case Remedy.ALARM | Remedy.CLEAR:
                active = order.deed is Remedy.ALARM
                log.log(logging.ERROR if active else logging.INFO, "%s", order.words)
                if active:
                    self._metrics.alarmed(order.reason)
                self._metrics.set_alert(self.vigil.alarm, self.room.alarm)
                self._calls.append(Alert(active, order.reason, order.words, account, now))
                self._ring.set()
                self._save()

    def _tell(self, hearing: LineState) -> None:
        if hearing is not self._told:
            self._told = hearing
            self._metrics.set_line_state(hearing.value)

    async def _deliver(self) -> None:
        while True:
            while self._calls:
                await self._bell.notify(self._calls.popleft())
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


def load(file: Path) -> tuple[DeliveryMonitor, DiskMonitor]:
    """What watches, knowing what an earlier process learnt and whom it called."""
    try:
        kept = json.loads(file.read_text(encoding="ascii"))
        vigil = DeliveryMonitor(TrafficBaseline(kept["habit"]), str(kept["alarm"]))
        return vigil, DiskMonitor(DISK if kept.get("disk") is True else "")
    except (OSError, ValueError, TypeError, KeyError):
        return (
            DeliveryMonitor(),
            DiskMonitor(),
        )  # none yet, or one that cannot be read: habits are learnt anew
