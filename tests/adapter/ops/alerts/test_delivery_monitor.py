"""Proof of adapter/ops/alerts/delivery_monitor.py: days and nights of an account, minute by minute."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.events import SessionState
from adapter.ops.alerts.delivery_monitor import (
    FRESH,
    REMEDY_INTERVAL,
    Action,
    DeliveryMonitor,
    LineState,
    Remedy,
)

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
LADDER = [Remedy.PROBE, Remedy.RECONNECT, Remedy.ALARM]


def online(silence: float = HOUR, now: float = 0.0) -> DeliveryMonitor:
    monitor = DeliveryMonitor(silence)
    monitor.observe_state(SessionState.ONLINE, "scan", now)
    return monitor


def live(
    monitor: DeliveryMonitor,
    start: float,
    seconds: float,
    writes: Callable[[float], bool] = lambda _: False,
) -> Iterator[tuple[float, Action]]:
    """Let time pass in minutes; the actions that were asked for."""
    now = start
    while now < start + seconds:
        if writes(now):
            monitor.observe_delivery()
        for action in monitor.tick(now):
            yield now, action
        now += MINUTE


def remedies(actions: list[tuple[float, Action]]) -> list[Remedy]:
    return [action.remedy for _, action in actions]


def test_the_line_states() -> None:
    monitor = online()
    list(live(monitor, 0.0, MINUTE))
    assert monitor.line_state() is LineState.PLAUSIBLE, "no event has come yet"
    monitor.observe_delivery()
    list(live(monitor, MINUTE, FRESH))
    assert monitor.line_state() is LineState.PROVEN
    list(live(monitor, FRESH + MINUTE, HOUR - FRESH - MINUTE))
    assert monitor.line_state() is LineState.PLAUSIBLE
    list(live(monitor, HOUR, 2 * MINUTE))
    assert monitor.line_state() is LineState.SUSPICIOUS
    monitor.observe_state(SessionState.QR, "", HOUR)
    assert monitor.line_state() is LineState.OFFLINE


def test_a_silence_is_probed_then_reconnected_then_raises_one_alarm() -> None:
    monitor = online()
    list(live(monitor, 0.0, HOUR, lambda now: now % (10 * MINUTE) == 0))
    actions = list(live(monitor, HOUR, 12 * HOUR))
    assert remedies(actions) == LADDER
    times = [time - HOUR for time, _ in actions]
    assert times[0] == 50 * MINUTE
    assert all(later - earlier == REMEDY_INTERVAL for earlier, later in itertools.pairwise(times))
    assert {action.reason for _, action in actions} == {"deaf"}
    assert actions[-1][1].text == "online, but no event for 1 h 4 min; opening the session again did not help"
    assert monitor.alarm == "deaf"


def test_off_means_that_any_silence_is_accepted() -> None:
    monitor = online(0.0)
    assert not list(live(monitor, 0.0, 30 * DAY / 24))
    assert monitor.line_state() is LineState.PLAUSIBLE


def test_an_event_within_the_time_asks_for_nothing() -> None:
    assert not list(live(online(), 0.0, DAY, lambda now: now % (59 * MINUTE) == 0))


def test_an_event_clears_the_alarm_once() -> None:
    monitor = online()
    assert remedies(list(live(monitor, 0.0, 2 * HOUR))) == LADDER
    after = list(live(monitor, 2 * HOUR, HOUR, lambda now: now % (10 * MINUTE) == 0))
    assert remedies(after) == [Remedy.CLEAR]
    assert after[0][1].text == "events arrive again"
    assert remedies(list(live(monitor, 3 * HOUR, 2 * HOUR))) == LADDER, "a second silence is a second alarm"


def test_a_reconnect_does_not_end_the_silence() -> None:
    monitor, done = online(), []
    for time, action in live(monitor, 0.0, 6 * HOUR):
        done.append(action.remedy)
        if action.remedy is Remedy.RECONNECT:
            monitor.observe_state(SessionState.RELINKING, "", time)
            monitor.observe_state(SessionState.ONLINE, "relink", time)
    assert done == LADDER


def test_a_login_begins_a_new_silence_and_leaves_the_alarm_until_an_event() -> None:
    monitor = online()
    list(live(monitor, 0.0, 2 * HOUR))
    monitor.observe_state(SessionState.STARTING, "", 2 * HOUR)
    monitor.observe_state(SessionState.ONLINE, "full", 2 * HOUR)
    assert remedies(list(live(monitor, 2 * HOUR, 5 * HOUR))) == LADDER[:2], "no second alarm"
    monitor.observe_delivery()
    assert remedies(list(live(monitor, 7 * HOUR, MINUTE))) == [Remedy.CLEAR]


def test_a_machine_that_slept_was_not_silent() -> None:
    monitor = online()
    monitor.observe_delivery()
    monitor.tick(0.0)
    assert monitor.tick(8 * HOUR) == []
    assert monitor.line_state() is LineState.PROVEN


# --- a person is needed ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "reason", "minutes", "text"),
    [
        (SessionState.QR, "scan", 2, "a QR code waits to be scanned"),
        (SessionState.CAPTCHA, "", 2, "a captcha waits to be typed"),
        (SessionState.KICKED, "", 2, "logged in somewhere else"),
        (SessionState.OFFLINE, "login.refused", 0, "SmartQQ refuses the login"),
        (SessionState.OFFLINE, "qr.unscanned", 0, "no QR code was scanned"),
        (SessionState.OFFLINE, "network", 30, "SmartQQ does not answer"),
        (SessionState.OFFLINE, "unheard.of", 0, "offline: unheard.of"),
    ],
)
def test_one_alarm_when_only_a_person_can_help(
    state: SessionState, reason: str, minutes: int, text: str
) -> None:
    monitor = online()
    monitor.observe_state(state, reason, 1000.0)
    actions = list(live(monitor, 1000.0, 3 * HOUR))
    assert remedies(actions) == [Remedy.ALARM]
    assert actions[0][0] == 1000.0 + minutes * MINUTE
    assert actions[0][1].text == text
    monitor.observe_state(SessionState.ONLINE, "full", 20_000.0)
    assert remedies(list(live(monitor, 20_000.0, HOUR))) == [Remedy.CLEAR]


def test_a_scan_in_time_raises_no_alarm() -> None:
    monitor = DeliveryMonitor()
    monitor.observe_state(SessionState.QR, "scan", 0.0)
    assert not list(live(monitor, 0.0, 2 * MINUTE))
    monitor.observe_state(SessionState.SCANNED, "", 2 * MINUTE - 1)
    monitor.observe_state(SessionState.ONLINE, "full", 2 * MINUTE)
    assert not list(live(monitor, 2 * MINUTE, HOUR))


def test_one_code_after_the_other_is_one_episode() -> None:
    monitor = DeliveryMonitor()
    actions = []
    for turn in range(20):
        monitor.observe_state(SessionState.QR, f"scan {turn}", turn * 90.0)
        actions += list(live(monitor, turn * 90.0, 90.0))
    monitor.observe_state(SessionState.OFFLINE, "qr.unscanned", 1800.0)
    actions += list(live(monitor, 1800.0, DAY))
    assert remedies(actions) == [Remedy.ALARM]


@pytest.mark.parametrize("state", [SessionState.STARTING, SessionState.RELINKING, SessionState.STANDBY])
def test_no_alarm_for_what_goes_on_by_itself(state: SessionState) -> None:
    monitor = online()
    monitor.observe_state(state, "", 0.0)
    assert not list(live(monitor, 0.0, DAY))


def test_a_logout_raises_no_alarm_and_clears_one() -> None:
    monitor = online()
    monitor.observe_state(SessionState.OFFLINE, "logout", 0.0)
    assert not list(live(monitor, 0.0, DAY))
    monitor.observe_state(SessionState.QR, "scan", DAY)
    assert remedies(list(live(monitor, DAY, HOUR))) == [Remedy.ALARM]
    monitor.observe_state(SessionState.OFFLINE, "logout", 2 * DAY)
    assert remedies(list(live(monitor, 2 * DAY, HOUR))) == [Remedy.CLEAR]


def test_an_alarm_of_an_earlier_process_is_not_raised_again_but_cleared() -> None:
    monitor = DeliveryMonitor(alarm="qr")
    monitor.observe_state(SessionState.QR, "scan", 0.0)
    assert not list(live(monitor, 0.0, HOUR))
    monitor.observe_state(SessionState.ONLINE, "full", HOUR)
    assert remedies(list(live(monitor, HOUR, HOUR))) == [Remedy.CLEAR]


@settings(max_examples=200)
@given(
    st.sampled_from([0.0, 600.0, HOUR]),
    st.lists(
        st.tuples(
            st.sampled_from([*SessionState, "event"]),
            st.sampled_from(["", "network", "logout"]),
            st.integers(0, 600),
        ),
        max_size=80,
    ),
)
def test_alarms_and_all_clears_take_turns_whatever_happens(
    silence: float, life: list[tuple[SessionState | str, str, int]]
) -> None:
    monitor, now, active = DeliveryMonitor(silence), 0.0, False
    for what, reason, minutes in life:
        if isinstance(what, SessionState):
            monitor.observe_state(what, reason, now)
        else:
            monitor.observe_delivery()
        for _, action in live(monitor, now, minutes * MINUTE):
            if action.remedy in {Remedy.ALARM, Remedy.CLEAR}:
                assert active is (action.remedy is Remedy.CLEAR)
                active = action.remedy is Remedy.ALARM
        now += minutes * MINUTE
        assert bool(monitor.alarm) is active
