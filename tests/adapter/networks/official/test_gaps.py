"""Which outages are gaps, and where they begin."""

from adapter.networks.official.gaps import GapTracker, describe_gap


def test_the_first_session_of_all_is_no_gap() -> None:
    tracker = GapTracker(None)
    assert tracker.begin(100.0) is None
    assert tracker.heard == 99.0


def test_a_session_after_another_is_one_gap_from_the_last_certain_moment() -> None:
    tracker = GapTracker(None)
    tracker.begin(100.0)
    tracker.observe(110.5, 110.0)
    tracker.observe(115.0, 111.0)  # it was under way for four seconds
    tracker.break_off("lost")
    tracker.break_off("lost again")
    tracker.observe(120.0, 119.0)
    assert tracker.begin(130.0) == describe_gap(110.5, 130.0, "lost")


def test_a_resumed_session_is_none() -> None:
    tracker = GapTracker(50.0)
    tracker.resume(100.0)
    assert tracker.heard == 99.0
    tracker.observe_idle(110.0)
    tracker.observe(111.0, None)
    assert tracker.heard == 109.0
    tracker.break_off("lost")
    assert tracker.begin(120.0) == describe_gap(109.0, 120.0, "lost")


def test_a_former_process_says_where_the_gap_begins() -> None:
    assert GapTracker(50.0).begin(100.0) == describe_gap(50.0, 100.0, "the adapter was not running")
    assert GapTracker(150.0).begin(100.0) == describe_gap(100.0, 100.0, "the adapter was not running")
