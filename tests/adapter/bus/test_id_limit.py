"""Proof of adapter/bus/id_limit.py: an id is late by the clock of Redis, and by its own newest id."""

import pytest

from adapter.bus.id_limit import MAX_AHEAD_MS, IdLimit, milliseconds_of

NOW = 1_790_000_000.0
NOW_MS = int(NOW * 1000)


@pytest.mark.parametrize(
    ("entry", "is_beyond"),
    [
        ("0-0", False),
        (f"{NOW_MS + MAX_AHEAD_MS}-7", False),
        (f"{NOW_MS + MAX_AHEAD_MS + 1}-0", True),
        (f"{2**64 - 1}-{2**64 - 1}", True),
    ],
    ids=["zero", "a-day", "more", "last"],
)
def test_a_day_ahead_of_the_clock_is_too_late(entry: str, *, is_beyond: bool) -> None:
    assert IdLimit().is_beyond(entry, NOW) is is_beyond


def test_a_clock_that_was_set_back_makes_no_id_late() -> None:
    year = 365 * 86_400_000
    entry = f"{NOW_MS + year}-0"
    assert IdLimit().is_beyond(entry, NOW)
    assert not IdLimit(newest_event_ms=NOW_MS + year).is_beyond(entry, NOW)


def test_the_time_in_an_id_is_read_exactly() -> None:
    assert [milliseconds_of(one) for one in (f"{2**64 - 1}-5", "7-0", "")] == [2**64 - 1, 7, 0]
