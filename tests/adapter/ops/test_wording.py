"""Proof of adapter/ops/wording.py: what a state means. The times are proved in tests/adapter/cli/test_terminal.py."""

import pytest

from adapter.events import SessionState
from adapter.ops.alerts.delivery_monitor import GRACE, LineState
from adapter.ops.state_text import Level, StateText
from adapter.ops.wording import (
    DEAF,
    DISK_FULL,
    GONE,
    LINES,
    NEVER_RUN,
    REASONS,
    STATES,
    alarm_text,
    as_sentence,
    describe,
    line_text,
)


@pytest.mark.parametrize(
    ("status", "held", "alarm", "disk_error", "text"),
    [
        ({}, None, "", "", NEVER_RUN),
        ({}, False, "", "full", NEVER_RUN),
        ({"state": "online"}, True, "", "", STATES[SessionState.ONLINE]),
        ({"state": "online"}, None, "", "", STATES[SessionState.ONLINE]),
        ({"state": "online"}, False, "", "", GONE),
        ({"state": "stopped"}, False, "", "full", STATES[SessionState.STOPPED]),
        ({"state": "online"}, True, "deaf", "", DEAF),
        ({"state": "relinking"}, True, "deaf", "", STATES[SessionState.RELINKING]),
        ({"state": "online"}, True, "deaf", "full", DISK_FULL),
        ({"state": "offline", "reason": "network"}, True, "", "", REASONS["network"]),
        ({"state": "offline", "reason": "unheard.of"}, True, "", "", STATES[SessionState.OFFLINE]),
        ({"state": "kicked", "reason": "kicked.again"}, True, "", "", REASONS["kicked.again"]),
        ({"state": "online", "reason": "network"}, True, "", "", STATES[SessionState.ONLINE]),
        ({"state": "of a later version"}, True, "", "", StateText(Level.BUSY, "of a later version")),
    ],
)
def test_the_most_urgent_thing_is_said(
    status: dict[str, str],
    held: bool | None,  # noqa: FBT001
    alarm: str,
    disk_error: str,
    text: StateText,
) -> None:
    assert describe(status, is_lease_held=held, alarm=alarm, disk_error=disk_error) == text


def test_every_state_has_its_texts_and_says_what_to_do_unless_all_is_well() -> None:
    assert set(STATES) == set(SessionState)
    for text in (*STATES.values(), *REASONS.values(), DEAF, DISK_FULL, GONE, NEVER_RUN):
        assert text.headline
        assert bool(text.cli_hint) is bool(text.page_hint) is (text.level is not Level.GOOD)


def test_an_alarm_says_what_the_state_says() -> None:
    assert all(alarm_text(state.value) == STATES[state].headline for state in GRACE)
    assert alarm_text("login.blocked") == "SmartQQ has blocked the login"
    assert alarm_text("unheard.of") == "offline: unheard.of"


def test_the_line_is_described_while_online() -> None:
    assert set(LINES) == {state.value for state in LineState} - {LineState.OFFLINE.value}
    assert line_text("proven", "") == "Events arrive."
    assert line_text("suspicious", "deaf") == "Nothing arrives: look at QQ on the phone."
    assert line_text("offline", "deaf") == line_text("", "") == ""


def test_a_headline_becomes_a_sentence() -> None:
    assert as_sentence("a QR code waits") == "A QR code waits"
    assert as_sentence("") == ""
