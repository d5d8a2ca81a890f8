"""Proof of adapter/ops/alerts/disk_monitor.py: one call an episode, however often a message finds room in between."""

from adapter.ops.alerts.delivery_monitor import Deed
from adapter.ops.alerts.disk_monitor import CALM, DISK, GRACE, Room

WORDS = "the spool cannot be written: No space left on device"


def deeds(room: Room, *looks: tuple[float, str]) -> list[tuple[float, Deed]]:
    """What was to be done, and when."""
    return [(now, order.deed) for now, stuck in looks for order in room.tick(stuck, now)]


def test_a_full_disk_calls_once_and_clears_once() -> None:
    room = Room()
    full = [(now, WORDS) for now in (0.0, 5.0, GRACE, 2 * GRACE, 3600.0)]
    assert deeds(room, *full) == [(GRACE, Deed.ALARM)]
    free = [(3600.0 + seconds, "") for seconds in (5.0, CALM - 1, CALM, 2 * CALM)]
    assert deeds(room, *free) == [(3600.0 + CALM, Deed.CLEAR)]
    assert room == Room()


def test_the_call_says_why_and_what_follows() -> None:
    room = Room()
    room.tick(WORDS, 0.0)
    (order,) = room.tick(WORDS, GRACE)
    assert order.reason == DISK
    assert order.words == f"{WORDS}: SmartQQ is not asked for more until there is room"


def test_a_disk_that_has_room_for_a_message_now_and_then_is_one_episode() -> None:
    room = Room()
    looks = [(now, "" if now % 3 else WORDS) for now in map(float, range(300))]
    assert deeds(room, *looks) == [(12.0, Deed.ALARM)]


def test_what_is_over_soon_calls_nobody() -> None:
    room = Room()
    looks = [(0.0, WORDS), (GRACE - 1, ""), (CALM, ""), (1000.0, WORDS), (1000.0 + GRACE - 1, "")]
    assert deeds(room, *looks) == []


def test_what_an_earlier_process_called_for_is_cleared_when_it_has_been_well_for_a_while() -> None:
    assert deeds(Room(DISK), (0.0, ""), (CALM - 1, ""), (CALM, "")) == [(CALM, Deed.CLEAR)]
    assert deeds(Room(DISK), (0.0, WORDS), (GRACE, WORDS)) == []
