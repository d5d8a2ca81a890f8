"""Prove session_reporter.py: which changes of the session are published."""

import pytest

from adapter.events import Challenge, SessionChange, SessionState
from adapter.networks.smartqq.session.credentials import Credentials
from adapter.networks.smartqq.session_reporter import SessionReporter

ONLINE = SessionChange(SessionState.ONLINE, "full")
OUTAGE = SessionChange(SessionState.OFFLINE, "network", "no answer")
RELINK = SessionChange(SessionState.RELINKING, "relink")
REOPEN = SessionChange(SessionState.RELINKING, "reopen")
QR = SessionChange(SessionState.QR, "scan", challenge=Challenge(b"png"))


@pytest.fixture
def reporter() -> SessionReporter:
    return SessionReporter(Credentials(account="1", nick="me"))


def test_a_change_carries_account_and_nick_and_is_reported_once(reporter: SessionReporter) -> None:
    (change,) = reporter.report(ONLINE)
    assert (change.state, change.account, change.nick) == (SessionState.ONLINE, "1", "me")
    assert reporter.report(ONLINE) == ()


def test_each_challenge_is_reported(reporter: SessionReporter) -> None:
    assert len(reporter.report(QR)) == len(reporter.report(QR)) == 1


def test_attempts_do_not_end_an_outage_but_a_code_to_scan_does(reporter: SessionReporter) -> None:
    reporter.report(ONLINE)
    assert len(reporter.report(OUTAGE)) == 1
    assert reporter.report_login(RELINK, "") == reporter.report_login(REOPEN, "") == ()
    assert [change.state for change in reporter.report_login(QR, "")] == [SessionState.QR]


def test_a_loss_is_reported_once_and_only_when_no_relink_saves_the_session(reporter: SessionReporter) -> None:
    reporter.report(ONLINE)
    assert [change.reason for change in reporter.report_login(RELINK, "why")] == ["relink"]
    lost, reopen = reporter.report_login(REOPEN, "why")
    assert (lost.state, lost.reason, lost.detail) == (SessionState.OFFLINE, "session.lost", "why")
    assert reopen.reason == "reopen"
    assert [change.state for change in reporter.report_login(QR, "why")] == [SessionState.QR]


def test_a_session_of_the_process_before_can_be_lost_too() -> None:
    credentials = Credentials(account="1", vfwebqq="v", psessionid="p")
    reporter = SessionReporter(credentials)
    reporter.report(SessionChange(SessionState.STARTING))
    assert [change.reason for change in reporter.report_login(QR, "")] == ["session.lost", "scan"]
