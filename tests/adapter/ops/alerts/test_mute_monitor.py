"""Proof of adapter/ops/alerts/mute_monitor.py: events flow, and no send is confirmed."""

import pytest

from adapter.ops.alerts.delivery_monitor import Remedy
from adapter.ops.alerts.mute_monitor import FRESH, MAX_UNKNOWN, MUTE, MuteMonitor


def test_five_unknown_results_while_events_flow_are_one_alarm_and_a_sent_one_clears_it() -> None:
    monitor = MuteMonitor()
    looks = [(None, 1.0), (0, 1.0), (4, 1.0), (5, 1.0), (6, 1.0), (0, 1.0), (0, 1.0)]
    done = [[action.remedy for action in monitor.tick(*look)] for look in looks]
    assert done == [[], [], [], [Remedy.ALARM], [], [Remedy.CLEAR], []]


@pytest.mark.parametrize("age", [None, FRESH + 1])
def test_without_events_the_silence_is_the_trouble(age: float | None) -> None:
    assert MuteMonitor().tick(MAX_UNKNOWN, age) == []


def test_an_alarm_of_an_earlier_process_waits_for_a_result() -> None:
    monitor = MuteMonitor(MUTE)
    assert monitor.tick(None, None) == []
    assert [action.reason for action in monitor.tick(0, None)] == [MUTE]
