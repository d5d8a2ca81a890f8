"""Proof of adapter/ops/alerts/delivery_monitor.py: days and nights of an account, minute by minute."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.events import SessionState
from adapter.ops.alerts.delivery_monitor import (
    BIN,
    HOURS,
    LEARNT,
    Action,
    DeliveryMonitor,
    LineState,
    Remedy,
    TrafficBaseline,
)

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


def at_work(now: float) -> bool:
    """Somebody writes every ten minutes, from 8 to 22 o'clock."""
    return 8 <= now % DAY / HOUR < 22 and now % (10 * MINUTE) == 0


def online(now: float = 0.0, habit: TrafficBaseline | None = None) -> DeliveryMonitor:
    vigil = DeliveryMonitor(habit or TrafficBaseline())
    vigil.changed(SessionState.ONLINE, "scan", now)
    return vigil


def live(
    vigil: DeliveryMonitor, start: float, seconds: float, writes: Callable[[float], bool] = lambda _: False
) -> Iterator[tuple[float, Action]]:
    """Let time pass in minutes; the orders that were given."""
    now = start
    while now < start + seconds:
        if writes(now):
            vigil.heard(now)
        for order in vigil.tick(now):
            yield now, order
        now += MINUTE


def practised() -> tuple[DeliveryMonitor, float]:
    """A vigil that has watched for a week."""
    vigil = online()
    assert not [order for order in live(vigil, 0.0, 7 * DAY, at_work) if order[1].deed is not Remedy.PROBE]
    return vigil, 7 * DAY


def deeds(orders: list[tuple[float, Action]]) -> list[Remedy]:
    return [order.deed for _, order in orders]


def test_the_three_states() -> None:
    vigil, now = practised()
    noon = now + 12 * HOUR
    vigil.heard(noon)
    assert vigil.hearing(noon + MINUTE) is LineState.PROVEN
    list(live(vigil, noon + MINUTE, 30 * MINUTE))
    assert vigil.hearing(noon + 31 * MINUTE) is LineState.PLAUSIBLE
    list(live(vigil, noon + 31 * MINUTE, 90 * MINUTE))
    assert vigil.hearing(noon + 121 * MINUTE) is LineState.SUSPICIOUS
    vigil.changed(SessionState.QR, "", noon + 122 * MINUTE)
    assert vigil.hearing(noon + 122 * MINUTE) is LineState.OFFLINE


def test_a_silent_day_is_probed_then_relinked_then_a_person_is_called_once() -> None:
    vigil, now = practised()
    morning = now + 9 * HOUR
    list(live(vigil, now, 9 * HOUR, at_work))
    orders = list(live(vigil, morning, 12 * HOUR))
    assert deeds(orders) == [Remedy.PROBE, Remedy.RELINK, Remedy.ALARM]
    times = [(time - morning) / MINUTE for time, _ in orders]
    assert 50 <= times[0] <= 90, "an hour is six silent spells that had one message each"
    assert all(later - earlier >= 10 for earlier, later in itertools.pairwise(times))
    assert times[-1] <= 180
    assert orders[-1][1].reason == "deaf"


def test_the_night_is_silent_and_nobody_is_woken() -> None:
    vigil, now = practised()
    assert not list(live(vigil, now - 2 * HOUR, 9 * HOUR)), "from 22 to 7 o'clock"


def test_a_message_ends_the_episode_with_one_all_clear() -> None:
    vigil, now = practised()
    list(live(vigil, now, 9 * HOUR, at_work))
    assert Remedy.ALARM in deeds(list(live(vigil, now + 9 * HOUR, 6 * HOUR)))
    after = list(live(vigil, now + 15 * HOUR, 2 * HOUR, at_work))
    assert deeds(after) == [Remedy.CLEAR]
    assert after[0][1].words == "messages arrive again"
    assert not list(live(vigil, now + 17 * HOUR, 4 * HOUR, at_work))


def test_a_relink_does_not_end_the_silence() -> None:
    vigil, now = practised()
    list(live(vigil, now, 9 * HOUR, at_work))
    orders = []
    start = now + 9 * HOUR
    for time, order in live(vigil, start, 6 * HOUR):
        orders.append(order.deed)
        if order.deed is Remedy.RELINK:
            vigil.changed(SessionState.RELINKING, "", time)
            vigil.changed(SessionState.ONLINE, "relink", time)
    assert orders == [Remedy.PROBE, Remedy.RELINK, Remedy.ALARM]


def test_without_a_habit_there_is_one_probe_and_no_alarm() -> None:
    vigil = online()
    orders = list(live(vigil, 0.0, 20 * HOUR))
    assert deeds(orders) == [Remedy.PROBE]
    assert orders[0][0] >= 6 * HOUR


def test_habits_survive_a_restart() -> None:
    vigil, _ = practised()
    again = TrafficBaseline(vigil.habit.rows())
    assert again.share(12 * HOUR) == pytest.approx(vigil.habit.share(12 * HOUR), abs=0.01)
    assert again.share(12 * HOUR) == pytest.approx(0.5, abs=0.1)
    assert again.share(3 * HOUR) == 0.0


@pytest.mark.parametrize("rows", [[], [[1, 2]], [[2, 1]] * HOURS, [[1, 2, 3]] * HOURS, [[-1, 2]] * HOURS])
def test_habits_that_make_no_sense_are_learnt_anew(rows: list[list[float]]) -> None:
    assert TrafficBaseline(rows).share(0.0) is None


def test_a_habit_is_believed_after_an_hour_of_watching_and_fades_within_weeks() -> None:
    habit = TrafficBaseline()
    for turn in range(int(LEARNT)):
        assert habit.share(turn * BIN) is None
        habit.learn(turn * BIN, active=True)
    assert habit.share(0.0) == 1.0
    for day in range(40):
        for turn in range(12):
            habit.learn(day * DAY + turn * BIN, active=False)
    assert (habit.share(0.0) or 0.0) < 0.1


def test_a_machine_that_slept_has_missed_nothing() -> None:
    vigil, now = practised()
    noon = now + 12 * HOUR
    vigil.heard(noon)
    vigil.tick(noon)
    assert vigil.tick(noon + 8 * HOUR) == []


# --- a person is needed ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "reason", "minutes"),
    [
        (SessionState.QR, "scan", 2),
        (SessionState.CAPTCHA, "", 2),
        (SessionState.KICKED, "", 2),
        (SessionState.OFFLINE, "login.refused", 0),
        (SessionState.OFFLINE, "qr.unscanned", 0),
        (SessionState.OFFLINE, "network", 30),
    ],
)
def test_somebody_is_called_once_when_only_a_person_can_help(
    state: SessionState, reason: str, minutes: int
) -> None:
    vigil = online()
    vigil.changed(state, reason, 1000.0)
    orders = list(live(vigil, 1000.0, 3 * HOUR))
    assert deeds(orders) == [Remedy.ALARM]
    assert orders[0][0] == 1000.0 + minutes * MINUTE
    vigil.changed(SessionState.ONLINE, "full", 20_000.0)
    assert deeds(list(live(vigil, 20_000.0, HOUR))) == [Remedy.CLEAR]


def test_a_scan_in_time_calls_nobody() -> None:
    vigil = DeliveryMonitor()
    vigil.changed(SessionState.QR, "scan", 0.0)
    assert not list(live(vigil, 0.0, 2 * MINUTE))
    vigil.changed(SessionState.SCANNED, "", 2 * MINUTE - 1)
    vigil.changed(SessionState.ONLINE, "full", 2 * MINUTE)
    assert not list(live(vigil, 2 * MINUTE, HOUR))


def test_one_code_after_the_other_is_one_episode() -> None:
    vigil = DeliveryMonitor()
    orders = []
    for turn in range(20):
        vigil.changed(SessionState.QR, f"scan {turn}", turn * 90.0)
        orders += list(live(vigil, turn * 90.0, 90.0))
    vigil.changed(SessionState.OFFLINE, "qr.unscanned", 1800.0)
    orders += list(live(vigil, 1800.0, DAY))
    assert deeds(orders) == [Remedy.ALARM]


@pytest.mark.parametrize("state", [SessionState.STARTING, SessionState.RELINKING, SessionState.STANDBY])
def test_nobody_is_called_for_what_goes_on_by_itself(state: SessionState) -> None:
    vigil = online()
    vigil.changed(state, "", 0.0)
    assert not list(live(vigil, 0.0, DAY))


def test_a_logout_is_nobodys_alarm_and_ends_one() -> None:
    vigil = online()
    vigil.changed(SessionState.OFFLINE, "logout", 0.0)
    assert not list(live(vigil, 0.0, DAY))
    vigil.changed(SessionState.QR, "scan", DAY)
    assert deeds(list(live(vigil, DAY, HOUR))) == [Remedy.ALARM]
    vigil.changed(SessionState.OFFLINE, "logout", 2 * DAY)
    assert deeds(list(live(vigil, 2 * DAY, HOUR))) == [Remedy.CLEAR]


def test_an_alarm_of_an_earlier_process_is_not_raised_again_but_cleared() -> None:
    vigil = DeliveryMonitor(TrafficBaseline(), "qr")
    vigil.changed(SessionState.QR, "scan", 0.0)
    assert not list(live(vigil, 0.0, HOUR))
    vigil.changed(SessionState.ONLINE, "full", HOUR)
    assert deeds(list(live(vigil, HOUR, HOUR))) == [Remedy.CLEAR]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*SessionState, "heard"]),
            st.sampled_from(["", "network", "logout"]),
            st.integers(0, 600),
        ),
        max_size=80,
    )
)
def test_alarms_and_all_clears_take_turns_whatever_happens(
    life: list[tuple[SessionState | str, str, int]],
) -> None:
    vigil, now, active = DeliveryMonitor(), 0.0, False
    for what, reason, minutes in life:
        if isinstance(what, SessionState):
            vigil.changed(what, reason, now)
        else:
            vigil.heard(now)
        for _, order in live(vigil, now, minutes * MINUTE):
            if order.deed in {Remedy.ALARM, Remedy.CLEAR}:
                assert active is (order.deed is Remedy.CLEAR)
                active = order.deed is Remedy.ALARM
        now += minutes * MINUTE
        assert bool(vigil.alarm) is active
