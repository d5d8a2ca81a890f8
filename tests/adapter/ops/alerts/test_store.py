"""Proof of adapter/ops/alerts/store.py: what a restart finds."""

from pathlib import Path

import pytest

from adapter.ops.alerts.alert import Alert
from adapter.ops.alerts.store import FILE, MAX_UNDELIVERED, AlertStore

ALERT = Alert(active=True, reason="qr", text="一个二维码", account="1", time=12.5)


def test_a_restart_finds_what_was_raised_and_not_delivered(tmp_path: Path) -> None:
    path = tmp_path / FILE
    store = AlertStore(path)
    store.alarm, store.disk_alarm = "deaf", "disk"
    store.outbox("QQBUS_ALARM_URL").append(ALERT)
    store.outbox("QQBUS_ALARM_COMMAND")
    store.save()
    again = AlertStore(path)
    assert (again.alarm, again.disk_alarm) == ("deaf", "disk")
    assert list(again.outbox("QQBUS_ALARM_URL")) == [ALERT]
    assert not again.outbox("QQBUS_ALARM_COMMAND")


def test_a_channel_that_is_not_set_any_more_is_forgotten(tmp_path: Path) -> None:
    store = AlertStore(tmp_path / FILE)
    store.outbox("QQBUS_ALARM_URL").append(ALERT)
    store.save()
    AlertStore(tmp_path / FILE).save()
    assert not AlertStore(tmp_path / FILE).outbox("QQBUS_ALARM_URL")


def test_an_outbox_keeps_the_newest(tmp_path: Path) -> None:
    outbox = AlertStore(tmp_path / FILE).outbox("x")
    for number in range(100):
        outbox.append(Alert(active=True, reason=str(number), text="", account="", time=0.0))
    assert [alert.reason for alert in outbox] == [str(number) for number in range(100 - MAX_UNDELIVERED, 100)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "\x00",
        '{"alarm": "qr", "disk": true}',
        '{"alarm": "qr", "disk": true, "undelivered": []}',
        '{"alarm": "qr", "disk": true, "undelivered": {"x": [7]}}',
        '{"alarm": "qr", "disk": true, "undelivered": {"x": [{"active": true}]}}',
    ],
)
def test_a_file_that_cannot_be_read_is_begun_anew(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    store = AlertStore(tmp_path / FILE)
    assert (store.alarm, store.disk_alarm, list(store.outbox("x"))) == ("", "", [])


def test_the_habits_of_an_earlier_version_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "habits.json").write_text('{"alarm": "deaf", "disk": true, "habit": []}')
    assert AlertStore(tmp_path / FILE).alarm == ""


def test_a_folder_that_takes_nothing_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    AlertStore(tmp_path / "missing" / FILE).save()
    assert "alerts.json cannot be written: No such file or directory" in caplog.text
