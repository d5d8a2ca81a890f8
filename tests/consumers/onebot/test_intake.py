"""Proof of the size of batches: bounded in events and in bytes, quick to shrink, soon large again."""

from itertools import pairwise

from consumers.onebot.intake import BYTES, EVENTS, MAX_BATCH, Intake

MEBIBYTE = 1024 * 1024


def test_the_first_batch_fits_even_if_each_event_has_half_a_mebibyte() -> None:
    assert Intake().room(0, 0) * MEBIBYTE // 2 <= BYTES


def test_batches_of_small_events_grow_to_the_largest_batch_and_no_further() -> None:
    intake, rooms = Intake(), list[int]()
    for _ in range(10):
        rooms.append(intake.room(0, 0))
        intake.observe(300)
    assert all(later <= 2 * earlier for earlier, later in pairwise(rooms))
    assert rooms == sorted(rooms)
    assert rooms[-1] == MAX_BATCH


def test_a_large_event_makes_the_next_batch_small_at_once() -> None:
    intake = Intake()
    for _ in range(10):
        intake.observe(300)
    intake.observe(2 * MEBIBYTE)
    assert intake.room(0, 0) * 2 * MEBIBYTE <= BYTES
    intake.observe(100 * MEBIBYTE)
    assert intake.room(0, 0) == 1, "one event goes alone, however large"


def test_there_is_room_for_a_whole_batch_or_none() -> None:
    intake = Intake()
    for _ in range(10):
        intake.observe(300)
    assert intake.room(EVENTS - MAX_BATCH, 0) == MAX_BATCH
    assert intake.room(EVENTS - MAX_BATCH + 1, 0) == 0
    assert intake.room(10, BYTES // 2) == MAX_BATCH
    assert intake.room(10, BYTES // 2 + 1) == 0
