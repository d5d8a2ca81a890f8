"""Gaps: what they begin and end with, and what a former process left."""

from pathlib import Path

from adapter.events import Coverage, Gap
from adapter.networks.onebot.gaps import UNKNOWN, GapTracker, Heard, HeardFile, clip_gap


def connected(at: float) -> GapTracker:
    tracker = GapTracker(None)
    assert tracker.resume(at) == Gap(UNKNOWN, at, "the adapter was not running")
    return tracker


def synchronous(at: float, ahead: float = 0.0) -> GapTracker:
    """Return a tracker that has heard frames all over a second. `ahead`: how far the other clock is."""
    tracker = connected(at)
    for part in range(16):
        received = at + part / 16
        tracker.observe(received, float(int(received) + ahead))
    return tracker


def test_before_the_first_connection_of_all_nothing_is_known() -> None:
    tracker = GapTracker(None)
    assert tracker.complete_until is None
    gap = tracker.resume(100.0)
    assert gap is not None
    assert tracker.complete_until == 100.0
    assert clip_gap(gap, None) is None
    assert clip_gap(gap, Heard(90.0, 90.0)) == Gap(90.0, 100.0, "the adapter was not running")


def test_a_gap_that_another_adapter_has_heard_is_none() -> None:
    gap = Gap(100.0, 110.0, "reset")
    assert clip_gap(gap, None) == gap
    assert clip_gap(gap, Heard(90.0, 90.0)) == gap
    assert clip_gap(gap, Heard(105.0, 105.0)) == Gap(105.0, 110.0, "reset")
    assert clip_gap(gap, Heard(110.0, 110.0)) is None
    # It was connected then: what it may lack it tells itself.
    assert clip_gap(gap, Heard(105.0, 111.0)) is None
    assert clip_gap(gap, Heard(105.0, 109.0)) == Gap(105.0, 110.0, "reset")


def test_a_connection_that_is_late_or_broken_is_no_coverage() -> None:
    assert GapTracker(None).coverage(100.0) is None
    tracker = synchronous(100.0)
    tracker.observe(110.9, 110.0)
    covered = tracker.coverage(120.0)
    assert covered is not None
    # A sixteenth of a second is left of what is uncertain.
    assert (covered.complete_seconds, covered.connected_seconds) == (10.0625, 0.0)
    tracker.observe(119.0, 112.0)
    covered = tracker.coverage(120.0)
    assert covered is not None
    assert covered.connected_seconds == covered.complete_seconds > 7
    tracker.observe_idle(120.0)
    assert tracker.coverage(120.0) == Coverage(0.0, 0.0)
    tracker.break_off("reset")
    assert tracker.coverage(125.0) == Coverage(5.0, 5.0)


def test_a_restart_is_a_gap_from_what_the_former_process_heard() -> None:
    tracker = GapTracker(50.0)
    assert tracker.complete_until == 50.0
    assert tracker.resume(100.0) == Gap(50.0, 100.0, "the adapter was not running")


def test_an_outage_begins_with_the_last_frame_and_ends_with_the_proof() -> None:
    tracker = synchronous(100.0)
    tracker.observe(110.0, 110.0)
    tracker.break_off("reset")
    tracker.break_off("refused")
    # Frames before the proof of the next connection say nothing about the time without one.
    tracker.observe(119.0, 119.0)
    tracker.observe_idle(119.5)
    assert tracker.complete_until == 109.9375
    assert tracker.resume(120.0) == Gap(109.9375, 120.0, "reset")
    assert tracker.resume(121.0) is None
    assert tracker.complete_until == 120.0


def test_a_frame_that_was_under_way_for_long_counts_by_its_own_time() -> None:
    tracker = synchronous(100.0)
    tracker.observe(170.0, 110.0)
    tracker.break_off("reset")
    assert tracker.resume(180.0) == Gap(109.9375, 180.0, "reset")
    # The next connection begins with a frame that waited, too.
    tracker.observe(190.0, 182.0)
    assert tracker.complete_until == 181.9375


def test_where_frames_come_at_one_part_of_the_second_a_gap_begins_a_second_earlier() -> None:
    tracker = connected(100.0)
    for second in range(5):
        tracker.observe(110.75 + second, 110.0 + second)
    # It may have left at 114.0 as well as at 114.75.
    assert tracker.complete_until == 113.75
    tracker.observe(115.25, 115.0)
    assert tracker.complete_until == 115.25 - 0.5


def test_a_burst_that_is_read_slowly_leaves_a_second_uncertain() -> None:
    tracker = connected(100.0)
    # All of them left at 110.9.
    for part in range(100):
        tracker.observe(110.9 + part / 100, 110.0)
    assert tracker.complete_until == 110.9 - 1.0


def test_a_gap_does_not_begin_before_the_end_of_the_one_before_it() -> None:
    tracker = connected(100.5)
    tracker.observe(100.75, 100.0)
    tracker.break_off("reset")
    assert tracker.resume(101.0) == Gap(100.5, 101.0, "reset")


def test_a_clock_that_is_wrong_does_not_stretch_gaps() -> None:
    for ahead in (-300.0, 300.0):
        tracker = synchronous(500.0, ahead)
        tracker.observe(510.5, 510.0 + ahead)
        assert tracker.complete_until == 509.9375


def test_a_clock_that_was_set_back_counts_from_the_next_connection() -> None:
    tracker = synchronous(500.0)
    tracker.observe(510.0, 450.0)
    tracker.break_off("reset")
    assert tracker.resume(520.0) == Gap(500.0, 520.0, "reset")
    tracker.observe(530.25, 470.0)
    tracker.break_off("reset")
    assert tracker.resume(540.0) == Gap(520.0, 540.0, "reset")
    tracker.observe(550.25, 490.0)
    assert tracker.complete_until == 549.25


def test_a_sign_of_life_counts_when_all_is_on_disk_and_a_frame_without_a_time_does_not() -> None:
    tracker = connected(100.0)
    tracker.observe_idle(130.0)
    tracker.observe(131.0, None)
    assert tracker.complete_until == 130.0


def test_a_clock_that_was_set_back_gives_no_gap_from_the_future() -> None:
    assert GapTracker(200.0).resume(100.0) == Gap(100.0, 100.0, "the adapter was not running")


def test_the_time_is_kept_across_processes(tmp_path: Path) -> None:
    path = tmp_path / "heard"
    assert HeardFile(path).read() is None
    heard = HeardFile(path)
    heard.write(None)
    assert not path.exists()
    heard.write(1_790_000_000.25)
    heard.write(1_790_000_000.25)
    assert HeardFile(path).read() == 1_790_000_000.25
    path.unlink()
    heard.write(1_790_000_001.5)
    assert HeardFile(path).read() == 1_790_000_001.5
    assert path.stat().st_mode & 0o777 == 0o600
