"""Watch the adapter: tick the monitors, carry out their remedies, raise and clear alarms."""

import logging
from collections.abc import Callable
from typing import Final

import anyio

from adapter.aio import AutoResetEvent, periodic
from adapter.failpoints import Failpoint, inject
from adapter.i18n import _
from adapter.networks.upstream import Upstream
from adapter.ops.alerts.alert import Alert
from adapter.ops.alerts.bus_monitor import BusMonitor
from adapter.ops.alerts.delivery_monitor import Action, DeliveryMonitor, Remedy
from adapter.ops.alerts.disk_monitor import DiskMonitor
from adapter.ops.alerts.mute_monitor import MuteMonitor
from adapter.ops.alerts.notifier import Notifier
from adapter.ops.alerts.redis_monitor import RedisMonitor
from adapter.ops.alerts.store import AlertStore
from adapter.ops.metrics import Metrics
from adapter.ops.wording import span

log = logging.getLogger(__name__)

# Seconds between two looks at the metrics.
INTERVAL: Final = 5.0


class Watchdog:
    """Look at `metrics` every few seconds."""

    def __init__(
        self,
        metrics: Metrics,
        store: AlertStore,
        notifier: Notifier,
        upstream: Upstream,
        *,
        wall: Callable[[], float],
        silence_seconds: float = 0.0,
        interval: float = INTERVAL,
    ) -> None:
        self._metrics = metrics
        self._store = store
        self._notifier = notifier
        self._upstream = upstream
        self._wall = wall
        self._interval = interval
        self._wakeup = AutoResetEvent()
        self._last_delivery: float | None = None
        self._delivery = DeliveryMonitor(silence_seconds, store.alarm)
        self._disk = DiskMonitor(store.disk_alarm)
        self._redis = RedisMonitor(store.redis_alarm)
        self._mute = MuteMonitor(store.mute_alarm)
        self._bus = BusMonitor(store.bus_alarms)
        metrics.set_alert(
            store.alarm, store.disk_alarm, store.redis_alarm, store.mute_alarm, *store.bus_alarms
        )

    async def run(self, stop: anyio.Event) -> None:
        """Watch and deliver alerts until stopped; what is not delivered then stays in the store."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._notifier.run)
            await periodic(self._check, seconds=self._interval, wakeup=self._wakeup, stop=stop)
            tasks.cancel_scope.cancel()

    def wake(self) -> None:
        """Let `run` see that it was stopped."""
        self._wakeup.set()

    async def _check(self) -> None:
        await inject(Failpoint.WATCHDOG)
        metrics, now = self._metrics, self._wall()
        metrics.heartbeat("watchdog")
        if metrics.snapshot is None:
            return
        snapshot = metrics.snapshot()
        self._delivery.observe_state(snapshot.state, snapshot.reason, now)
        if metrics.last_delivery != self._last_delivery:
            self._last_delivery = metrics.last_delivery
            self._delivery.observe_delivery()
        actions = [
            *self._disk.tick(snapshot.stuck, now),
            *self._redis.tick(snapshot.bus_error, now),
            *self._bus.tick(metrics.bus_faults(), now),
        ]
        if not snapshot.stuck:  # while the disk is full upstream is not polled: its silence proves nothing
            actions += self._delivery.tick(now)
        actions += self._mute.tick(metrics.unknown_in_a_row, metrics.age(metrics.last_delivery))
        for action in actions:
            await self._execute(action, snapshot.account, now)
        metrics.set_line_state(self._delivery.line_state().value)

    async def _execute(self, action: Action, account: str, now: float) -> None:
        match action.remedy:
            case Remedy.PROBE:
                log.warning("%s: probing the session", action.text)
                await self._upstream.probe()
            case Remedy.RECONNECT:
                log.warning("%s: opening the session again", action.text)
                await self._upstream.reconnect()
            case Remedy.ALARM:
                log.error("%s", action.text)
                self._metrics.count_alert(action.reason)
                self._alert(action, account, now)
            case Remedy.CLEAR:
                log.info("%s", action.text)
                self._alert(action, account, now)

    def _alert(self, action: Action, account: str, now: float) -> None:
        """Queue the alert and keep it together with what is raised now: a restart goes on from there."""
        store = self._store
        store.alarm, store.disk_alarm = self._delivery.alarm, self._disk.alarm
        store.redis_alarm, store.mute_alarm = self._redis.alarm, self._mute.alarm
        store.bus_alarms = self._bus.alarms
        raised = (store.alarm, store.disk_alarm, store.redis_alarm, store.mute_alarm)
        self._metrics.set_alert(*raised, *store.bus_alarms)
        is_alarm = action.remedy is Remedy.ALARM
        self._notifier.notify(Alert(is_alarm, action.reason, _translated(action), account, now))
        self._store.save()


def _translated(action: Action) -> str:
    """Return the text of an action in the operator's language."""
    values = dict(action.values)
    if "seconds" in values:
        values["span"] = span(float(str(values.pop("seconds"))))
    if "consequence" in values:
        values["consequence"] = _(str(values["consequence"]))
    return _(action.template).format(**values) if action.template else _(action.text)
