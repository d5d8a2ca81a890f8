"""Proof of adapter/ops/alerts/watchdog.py: a night that passes by hand, with a real webhook and real files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from adapter.events import SendResult, SessionState, Status
from adapter.ops.alerts.channels import configured_channels
from adapter.ops.alerts.notifier import Notifier
from adapter.ops.alerts.store import FILE, AlertStore
from adapter.ops.alerts.watchdog import Watchdog
from adapter.ops.metrics import Metrics, Snapshot
from tests.support.helpers import wait_until
from tests.support.webhook_server import webhook

pytestmark = pytest.mark.anyio

FULL = "No space left on device"


class Night:
    """What the watchdog sees, and what it did."""

    def __init__(self, folder: Path, url: str = "", silence_seconds: float = 0.0) -> None:
        self.now = 0.0
        self.state, self.reason, self.stuck = SessionState.ONLINE, "scan", ""
        self.done: list[str] = []
        self.metrics = Metrics(clock=lambda: self.now)
        self.metrics.snapshot = lambda: Snapshot(
            self.state, self.reason, "305419896", True, 1, False, 0, False, self.stuck
        )
        store = AlertStore(folder / FILE)
        self.watchdog = Watchdog(
            self.metrics,
            store,
            Notifier(configured_channels("", url), store),
            self,  # type: ignore[arg-type]
            wall=lambda: self.now,
            silence_seconds=silence_seconds,
            interval=0.001,
        )

    async def probe(self) -> None:
        self.done.append("probe")

    async def reconnect(self) -> None:
        self.done.append("reconnect")

    async def until(self, now: float) -> None:
        """Let time pass in minutes; the watchdog looks each time."""
        while self.now < now:
            self.now += 60.0
            turned = self.metrics.heartbeats.get("watchdog")
            await wait_until(
                lambda before=turned: self.metrics.heartbeats.get("watchdog") != before, "a look"
            )

    def exposed(self) -> str:
        return self.metrics.expose(None, 0, 0, 0).decode()


@asynccontextmanager
async def night(folder: Path, url: str = "", silence_seconds: float = 0.0) -> AsyncIterator[Night]:
    made, stop = Night(folder, url, silence_seconds), anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(made.watchdog.run, stop)
        yield made
        stop.set()
        made.watchdog.wake()


async def test_a_session_lost_at_night_is_one_alarm_and_one_all_clear(tmp_path: Path) -> None:
    with webhook() as hook:
        async with night(tmp_path, hook.url) as it:
            await it.until(600.0)
            it.state, it.reason = SessionState.QR, "scan"
            await it.until(7200.0)
            it.state, it.reason = SessionState.OFFLINE, "qr.unscanned"
            await it.until(14_400.0)
            it.state, it.reason = SessionState.ONLINE, "full"
            await it.until(15_000.0)
            await wait_until(lambda: len(hook.bodies) == 2, "alarm and all-clear")
    assert [(body["event"], body["reason"]) for body in hook.bodies] == [("alarm", "qr"), ("clear", "online")]
    assert 'qqbus_alarms_total{reason="qr"} 1.0' in it.exposed()
    assert "qqbus_alarm_active 0.0" in it.exposed()


async def test_a_silent_line_is_probed_and_reconnected_and_its_alarm_outlives_a_restart(
    tmp_path: Path,
) -> None:
    async with night(tmp_path, silence_seconds=3600.0) as it:
        await it.until(60.0)
        it.metrics.observe_append(["message.friend"], 0.001)
        await it.until(120.0)
        assert it.metrics.line_state == "proven"
        await it.until(5400.0)
        assert it.done == ["probe", "reconnect"]
        assert it.metrics.line_state == "suspicious"
        assert it.metrics.alarm == "deaf"
    again = Night(tmp_path).metrics
    assert again.alarm == "deaf"
    exposed = again.expose(None, 0, 0, 0)
    assert b"qqbus_alarm_active 1.0" in exposed
    assert b"qqbus_alarms_total{" not in exposed


async def test_a_full_disk_is_one_alarm_and_its_silence_is_not_held_against_the_line(tmp_path: Path) -> None:
    with webhook() as hook:
        async with night(tmp_path, hook.url, 3600.0) as it:
            await it.until(60.0)
            it.metrics.observe_append(["message.friend"], 0.001)
            await it.until(120.0)
            it.stuck = FULL
            await it.until(7200.0)
            assert (it.done, it.metrics.alarm) == ([], "disk")
            assert AlertStore(tmp_path / FILE).disk_alarm == "disk"
            assert "qqbus_alarm_active 1.0" in it.exposed()
            it.stuck = ""
            await it.until(7500.0)
            await wait_until(lambda: len(hook.bodies) == 2, "alarm and all-clear")
    assert [(body["event"], body["reason"]) for body in hook.bodies] == [("alarm", "disk"), ("clear", "disk")]
    assert FULL in hook.bodies[0]["text"]
    assert it.metrics.alarm == ""
    assert 'qqbus_alarms_total{reason="disk"} 1.0' in it.exposed()
    assert AlertStore(tmp_path / FILE).disk_alarm == ""


async def test_the_all_clear_of_one_trouble_leaves_the_other_alone(tmp_path: Path) -> None:
    async with night(tmp_path) as it:
        await it.until(60.0)
        it.state, it.reason = SessionState.OFFLINE, "login.refused"
        await it.until(120.0)
        it.stuck = FULL
        await it.until(300.0)
        store = AlertStore(tmp_path / FILE)
        assert (store.alarm, store.disk_alarm) == ("login.refused", "disk")
        it.stuck = ""
        await it.until(600.0)
        assert it.metrics.alarm == "login.refused"
        assert "qqbus_alarm_active 1.0" in it.exposed()


async def test_an_alarm_that_nobody_took_is_delivered_by_the_next_process(tmp_path: Path) -> None:
    async with night(tmp_path, "http://127.0.0.1:9/") as it:
        await it.until(60.0)
        it.state, it.reason = SessionState.OFFLINE, "login.refused"
        await it.until(180.0)
    with webhook() as hook:
        async with night(tmp_path, hook.url) as it:
            it.state, it.reason = SessionState.OFFLINE, "login.refused"
            await wait_until(lambda: bool(hook.bodies), "the alarm")
            await it.until(600.0)
    assert [(body["event"], body["reason"]) for body in hook.bodies] == [("alarm", "login.refused")]


async def test_sends_that_are_never_confirmed_are_an_alarm_that_outlives_a_restart(tmp_path: Path) -> None:
    def result(status: Status) -> SendResult:
        code = "ok" if status is Status.SENT else "upstream.timeout"
        return SendResult("1-1", "x", "friend:1", status, code)

    async with night(tmp_path) as it:
        await it.until(60.0)
        it.metrics.observe_append(["message.friend"], 0.001)
        for _ in range(5):
            it.metrics.observe_result(result(Status.UNKNOWN))
        await it.until(180.0)
        assert (it.metrics.alarm, AlertStore(tmp_path / FILE).mute_alarm) == ("mute", "mute")
    async with night(tmp_path) as it:
        await it.until(60.0)
        assert it.metrics.alarm == "mute"
        it.metrics.observe_result(result(Status.SENT))
        await it.until(180.0)
        assert (it.metrics.alarm, AlertStore(tmp_path / FILE).mute_alarm) == ("", "")
