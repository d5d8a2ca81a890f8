"""Gaps: what they begin and end with, and what a former process left."""

from pathlib import Path

from adapter.events import Coverage, Gap
from adapter.networks.onebot.gaps import UNKNOWN, GapTracker, Heard, HeardFile, clip_gap


def connected(at: float) -> GapTracker:
    tracker = GapTracker(None)
    assert tracker.resume(at) == Gap(UNKNOWN, at, "the adapter was not running")
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
    tracker = connected(100.0)
    tracker.observe(110.9, 110.0)
    tracker.observe(111.8, 110.0)
    covered = tracker.coverage(120.0)
    assert covered is not None
    assert (round(covered.complete_seconds, 3), covered.connected_seconds) == (9.1, 0.0)
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
    tracker = connected(100.0)
    tracker.observe(110.4, 110.0)
    tracker.break_off("reset")
    tracker.break_off("refused")
    # Frames before the proof of the next connection say nothing about the time without one.
    tracker.observe(119.0, 119.0)
    tracker.observe_idle(119.5)
    assert tracker.complete_until == 110.4
    assert tracker.resume(120.0) == Gap(110.4, 120.0, "reset")
    assert tracker.resume(121.0) is None
    assert tracker.complete_until == 120.0


def test_a_frame_that_was_under_way_for_long_counts_by_its_own_time() -> None:
    tracker = connected(100.0)
    tracker.observe(105.2, 105.0)
    tracker.observe(170.0, 110.0)
    tracker.break_off("reset")
    gap = tracker.resume(180.0)
    assert gap is not None
    assert abs(gap.since - 110.2) < 1e-6


def test_a_clock_that_is_wrong_does_not_stretch_gaps() -> None:
    tracker = connected(100.0)
    tracker.observe(405.2, 105.0)
    tracker.observe(410.5, 110.0)
    assert tracker.complete_until == 410.2
    ahead = connected(100.0)
    ahead.observe(105.0, 405.0)
    ahead.observe(110.0, 410.0)
    assert ahead.complete_until == 110.0


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
