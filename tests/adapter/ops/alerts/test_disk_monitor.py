"""Proof of adapter/ops/alerts/disk_monitor.py: one call an episode, however often a message finds room in between."""

from adapter.ops.alerts.delivery_monitor import Remedy
from adapter.ops.alerts.disk_monitor import CALM, DISK, GRACE, DiskMonitor

WORDS = "the spool cannot be written: No space left on device"


def deeds(room: DiskMonitor, *looks: tuple[float, str]) -> list[tuple[float, Remedy]]:
    """What was to be done, and when."""
    return [(now, order.deed) for now, stuck in looks for order in room.tick(stuck, now)]


def test_a_full_disk_calls_once_and_clears_once() -> None:
    room = DiskMonitor()
    full = [(now, WORDS) for now in (0.0, 5.0, GRACE, 2 * GRACE, 3600.0)]
    assert deeds(room, *full) == [(GRACE, Remedy.ALARM)]
    free = [(3600.0 + seconds, "") for seconds in (5.0, CALM - 1, CALM, 2 * CALM)]
    assert deeds(room, *free) == [(3600.0 + CALM, Remedy.CLEAR)]
    assert room == DiskMonitor()


def test_the_call_says_why_and_what_follows() -> None:
    room = DiskMonitor()
    room.tick(WORDS, 0.0)
    (order,) = room.tick(WORDS, GRACE)
    assert order.reason == DISK
    assert order.words == f"{WORDS}: SmartQQ is not asked for more until there is room"


def test_a_disk_that_has_room_for_a_message_now_and_then_is_one_episode() -> None:
    room = DiskMonitor()
    looks = [(now, "" if now % 3 else WORDS) for now in map(float, range(300))]
    assert deeds(room, *looks) == [(12.0, Remedy.ALARM)]


def test_what_is_over_soon_calls_nobody() -> None:
    room = DiskMonitor()
    looks = [(0.0, WORDS), (GRACE - 1, ""), (CALM, ""), (1000.0, WORDS), (1000.0 + GRACE - 1, "")]
    assert deeds(room, *looks) == []


def test_what_an_earlier_process_called_for_is_cleared_when_it_has_been_well_for_a_while() -> None:
    assert deeds(DiskMonitor(DISK), (0.0, ""), (CALM - 1, ""), (CALM, "")) == [(CALM, Remedy.CLEAR)]
    assert deeds(DiskMonitor(DISK), (0.0, WORDS), (GRACE, WORDS)) == []
