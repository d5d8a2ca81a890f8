"""Proof of adapter/ops/alerts/bus_monitor.py."""

from adapter.ops.alerts.bus_monitor import CALM, BusMonitor
from adapter.ops.alerts.delivery_monitor import Action, Remedy


def test_each_fault_is_one_alarm_and_one_all_clear() -> None:
    monitor = BusMonitor()
    raised = [Action(Remedy.ALARM, "a", "text"), Action(Remedy.ALARM, "b", "other")]
    assert monitor.tick({"a": "text", "b": "other"}, 0.0) == raised
    assert monitor.tick({"a": "text"}, CALM - 1) == []
    assert monitor.alarms == ("a", "b")
    assert monitor.tick({"a": "text"}, CALM) == [Action(Remedy.CLEAR, "b", "b: over")]
    assert monitor.tick({}, 2 * CALM) == [Action(Remedy.CLEAR, "a", "a: over")]
    assert monitor.tick({}, 9 * CALM) == []


def test_an_alarm_of_an_earlier_process_is_cleared() -> None:
    monitor = BusMonitor(("a",))
    assert monitor.tick({}, 0.0) == []
    assert monitor.tick({}, CALM) == [Action(Remedy.CLEAR, "a", "a: over")]
