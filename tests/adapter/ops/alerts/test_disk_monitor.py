"""Proof of adapter/ops/alerts/disk_monitor.py: one alarm an episode, however often an event finds room in between."""

from adapter.ops.alerts.delivery_monitor import Remedy
from adapter.ops.alerts.disk_monitor import CALM, DISK, GRACE, DiskMonitor

WORDS = "the spool cannot be written: No space left on device"


def remedies(monitor: DiskMonitor, *looks: tuple[float, str]) -> list[tuple[float, Remedy]]:
    """Return what was to be done, and when."""
    return [(now, action.remedy) for now, stuck in looks for action in monitor.tick(stuck, now)]


def test_a_full_disk_calls_once_and_clears_once() -> None:
    monitor = DiskMonitor()
    full = [(now, WORDS) for now in (0.0, 5.0, GRACE, 2 * GRACE, 3600.0)]
    assert remedies(monitor, *full) == [(GRACE, Remedy.ALARM)]
    free = [(3600.0 + seconds, "") for seconds in (5.0, CALM - 1, CALM, 2 * CALM)]
    assert remedies(monitor, *free) == [(3600.0 + CALM, Remedy.CLEAR)]
    assert monitor == DiskMonitor()


def test_the_call_says_why_and_what_follows() -> None:
    monitor = DiskMonitor()
    monitor.tick(WORDS, 0.0)
    (action,) = monitor.tick(WORDS, GRACE)
    assert action.reason == DISK
    assert action.text == f"{WORDS}: nothing is received until there is room"


def test_a_disk_that_has_room_for_a_message_now_and_then_is_one_episode() -> None:
    monitor = DiskMonitor()
    looks = [(now, "" if now % 3 else WORDS) for now in map(float, range(300))]
    assert remedies(monitor, *looks) == [(12.0, Remedy.ALARM)]


def test_what_is_over_soon_calls_nobody() -> None:
    monitor = DiskMonitor()
    looks = [(0.0, WORDS), (GRACE - 1, ""), (CALM, ""), (1000.0, WORDS), (1000.0 + GRACE - 1, "")]
    assert remedies(monitor, *looks) == []


def test_what_an_earlier_process_called_for_is_cleared_when_it_has_been_well_for_a_while() -> None:
    assert remedies(DiskMonitor(DISK), (0.0, ""), (CALM - 1, ""), (CALM, "")) == [(CALM, Remedy.CLEAR)]
    assert remedies(DiskMonitor(DISK), (0.0, WORDS), (GRACE, WORDS)) == []
