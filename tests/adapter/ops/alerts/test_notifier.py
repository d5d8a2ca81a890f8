"""Proof of adapter/ops/alerts/notifier.py and sentry.py: real commands, a real webhook, real files."""

import json
import sys
from pathlib import Path

import anyio
import pytest

from adapter.events import SessionState
from adapter.ops.alerts.delivery_monitor import TrafficBaseline
from adapter.ops.alerts.notifier import Alert, Notifier
from adapter.ops.alerts.watchdog import Watchdog, load
from adapter.ops.metrics import Metrics, Snapshot
from tests.support.helpers import wait_until
from tests.support.webhook_server import webhook

pytestmark = pytest.mark.anyio

CALL = Alert(active=True, reason="qr", text="a QR code waits", account="305419896", time=0.0)


def command(folder: Path, code: str) -> str:
    """A command line that runs this Python code."""
    script = folder / "call.py"
    script.write_text(code, encoding="utf-8")
    return f"{sys.executable} '{script}' --now"


async def test_the_command_gets_the_text_as_its_last_argument_and_all_of_it_on_standard_input(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out.json"
    code = f"import sys, json; json.dump([sys.argv[1:], json.load(sys.stdin)], open({str(out)!r}, 'w'))"
    await Notifier(command(tmp_path, code)).notify(CALL)
    arguments, given = json.loads(out.read_text())
    assert arguments == ["--now", "qqbus 305419896: a QR code waits"]
    assert given == {
        "event": "alarm",
        "reason": "qr",
        "text": "qqbus 305419896: a QR code waits",
        "account": "305419896",
        "time": "1970-01-01T00:00:00.000Z",
    }


@pytest.mark.parametrize("line", ["/nowhere/at/all", "'unbalanced", "exit"])
async def test_a_command_that_cannot_run_is_told_and_breaks_nothing(
    line: str, caplog: pytest.LogCaptureFixture
) -> None:
    await Notifier(line).notify(CALL)
    assert "QQBUS_ALARM_COMMAND failed" in caplog.text


async def test_a_command_that_fails_is_told_with_its_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await Notifier(command(tmp_path, "import sys; sys.exit('no paper')")).notify(CALL)
    assert "ended with 1: no paper" in caplog.text


async def test_a_webhook_that_is_down_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    with webhook(refuse=2) as hook:
        await Notifier(url=hook.url, first=0.01).notify(CALL)
        await Notifier(url=hook.url).notify(
            Alert(active=False, reason="online", text="online again", account="", time=0.0)
        )
    assert [body["event"] for body in hook.bodies] == ["alarm", "clear"]
    assert hook.bodies[1]["text"] == "qqbus all clear: online again"
    assert "secret" not in caplog.text


async def test_an_address_nobody_answers_at_is_given_up_and_never_repeated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await Notifier(url="http://127.0.0.1:9/secret", first=0.001, most=0.01).notify(CALL)
    assert "QQBUS_ALARM_URL did not take the alarm" in caplog.text
    assert "secret" not in caplog.text + repr(Notifier(url="http://127.0.0.1:9/secret"))


# --- sentry ------------------------------------------------------------------------------------


class Night:
    """A night that passes by hand: what the sentry sees, and what it did."""

    def __init__(self, folder: Path, bell: Notifier) -> None:
        self.now = 0.0
        self.state, self.reason, self.stuck = SessionState.ONLINE, "scan", ""
        self.done: list[str] = []
        self.metrics = Metrics(clock=lambda: self.now)
        self.metrics.snapshot = lambda: Snapshot(
            self.state, self.reason, "305419896", True, 1, False, 0, False, self.stuck
        )
        self.sentry = Watchdog(
            self.metrics,
            bell,
            folder / "habits.json",
            probe=self.probe,
            relink=self.relink,
            wall=lambda: self.now,
            every=0.001,
        )

    async def probe(self) -> None:
        self.done.append("probe")

    async def relink(self) -> None:
        self.done.append("relink")

    async def until(self, now: float) -> None:
        """Let time pass in minutes; the sentry looks each time."""
        while self.now < now:
            self.now += 60.0
            turned = self.metrics.heartbeats.get("sentry")
            await wait_until(lambda before=turned: self.metrics.heartbeats.get("sentry") != before, "a look")


async def test_a_session_lost_at_night_calls_once_and_clears_once(tmp_path: Path) -> None:
    with webhook() as hook:
        night = Night(tmp_path, Notifier(url=hook.url))
        async with anyio.create_task_group() as tasks:
            ended = anyio.Event()
            tasks.start_soon(night.sentry.run, ended)
            await night.until(600.0)
            night.state, night.reason = SessionState.QR, "scan"
            await night.until(7200.0)
            night.state, night.reason = SessionState.OFFLINE, "qr.unscanned"
            await night.until(14_400.0)
            night.state, night.reason = SessionState.ONLINE, "full"
            await night.until(15_000.0)
            await wait_until(lambda: len(hook.bodies) == 2, "alarm and all-clear")
            ended.set()
            night.sentry.wake()
    assert [(body["event"], body["reason"]) for body in hook.bodies] == [("alarm", "qr"), ("clear", "online")]
    exposed = night.metrics.expose(None, 0, 0, 0)
    assert b'qqbus_alarms_total{reason="qr"} 1.0' in exposed
    assert b"qqbus_alarm_active 0.0" in exposed


async def test_a_line_that_went_deaf_is_probed_and_relinked(tmp_path: Path) -> None:
    always = TrafficBaseline([[24.0, 24.0]] * 24)
    (tmp_path / "habits.json").write_text(json.dumps({"alarm": "", "habit": always.rows()}))
    night = Night(tmp_path, Notifier())
    async with anyio.create_task_group() as tasks:
        ended = anyio.Event()
        tasks.start_soon(night.sentry.run, ended)
        await night.until(60.0)
        night.metrics.observe_append(["message.friend"], 0.001)
        await night.until(120.0)
        assert night.metrics.hearing == "proven"
        await night.until(5400.0)
        assert night.done == ["probe", "relink"]
        assert night.metrics.hearing == "suspicious"
        ended.set()
        night.sentry.wake()
    assert load(tmp_path / "habits.json")[0].alarm == "deaf"


async def test_a_full_disk_calls_once_and_its_silence_is_not_held_against_the_line(tmp_path: Path) -> None:
    always = TrafficBaseline([[24.0, 24.0]] * 24)
    (tmp_path / "habits.json").write_text(json.dumps({"alarm": "", "habit": always.rows()}))
    with webhook() as hook:
        night = Night(tmp_path, Notifier(url=hook.url))
        async with anyio.create_task_group() as tasks:
            ended = anyio.Event()
            tasks.start_soon(night.sentry.run, ended)
            await night.until(60.0)
            night.metrics.observe_append(["message.friend"], 0.001)
            await night.until(120.0)
            night.stuck = "No space left on device"
            await night.until(7200.0)
            assert night.done == []
            assert night.metrics.alarm == "disk"
            assert load(tmp_path / "habits.json")[1].alarm == "disk"
            assert b"qqbus_alarm_active 1.0" in night.metrics.expose(None, 0, 0, 0)
            night.stuck = ""
            await night.until(7500.0)
            await wait_until(lambda: len(hook.bodies) == 2, "alarm and all-clear")
            ended.set()
            night.sentry.wake()
    assert [(body["event"], body["reason"]) for body in hook.bodies] == [("alarm", "disk"), ("clear", "disk")]
    assert "No space left on device" in hook.bodies[0]["text"]
    assert night.metrics.alarm == ""
    assert b'qqbus_alarms_total{reason="disk"} 1.0' in night.metrics.expose(None, 0, 0, 0)
    assert load(tmp_path / "habits.json")[1].alarm == ""


async def test_the_all_clear_of_one_trouble_leaves_the_other_alone(tmp_path: Path) -> None:
    night = Night(tmp_path, Notifier())
    async with anyio.create_task_group() as tasks:
        ended = anyio.Event()
        tasks.start_soon(night.sentry.run, ended)
        await night.until(60.0)
        night.state, night.reason = SessionState.OFFLINE, "login.refused"
        await night.until(120.0)
        night.stuck = "No space left on device"
        await night.until(300.0)
        assert (night.sentry.vigil.alarm, night.sentry.room.alarm) == ("login.refused", "disk")
        night.stuck = ""
        await night.until(600.0)
        assert night.metrics.alarm == "login.refused"
        assert b"qqbus_alarm_active 1.0" in night.metrics.expose(None, 0, 0, 0)
        ended.set()
        night.sentry.wake()


def test_an_alarm_of_an_earlier_process_is_still_told(tmp_path: Path) -> None:
    (tmp_path / "habits.json").write_text('{"alarm": "deaf", "habit": []}')
    metrics = Night(tmp_path, Notifier()).metrics
    assert metrics.alarm == "deaf"
    assert b"qqbus_alarm_active 1.0" in metrics.expose(None, 0, 0, 0)
    assert b"qqbus_alarms_total{" not in metrics.expose(None, 0, 0, 0)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"habit": 7, "alarm": ""}', "\x00"])
def test_a_file_that_cannot_be_read_is_begun_anew(text: str, tmp_path: Path) -> None:
    (tmp_path / "habits.json").write_text(text)
    assert load(tmp_path / "habits.json")[0].habit.share(0.0) is None
