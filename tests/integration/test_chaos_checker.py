"""Proof of tests/chaos/checker.py and watched.py: which losses a kill explains, and which it does not."""

from pathlib import Path

import pytest

from tests.chaos.checker import Record, is_given_up
from tests.chaos.window_timer import (
    ARRIVED,
    BEGAN,
    MARK,
    SAFE,
    TOLD,
    TOLD_BEFORE,
    WRITTEN,
    Marks,
    State,
    marks,
    overtaken,
    state,
    windows,
)


def noted(path: Path, *rows: tuple[bytes, float]) -> Marks:
    path.write_bytes(b"".join(MARK.pack(mark, time) for mark, time in rows))
    return marks(path)


@pytest.mark.parametrize(
    ("what", "last", "excused"),
    [
        ("killed while it was read", State(100.05, 99.0, 100.01, written=False), True),
        ("killed when it was written", State(100.05, 99.0, 100.01, written=True), False),
        ("in memory for too long", State(100.4, 99.0, 100.01, written=False), False),
        ("killed before it came", State(100.2, 97.0, 99.0, written=True), True),
        ("its connection was still open", State(99.97, 97.0, 99.0, written=True), True),
        ("it should have come long before", State(101.5, 98.0, 99.0, written=True), False),
        ("it did not poll", State(100.5, 0.0, 0.0, written=True), False),
        ("it began to poll", State(100.05, 0.0, 0.0, written=True), True),
        ("a later answer was read", State(105.05, 100.01, 105.0, written=False), False),
        ("killed before upstream gave it", State(99.0, 97.0, 98.0, written=True), False),
    ],
)
def test_a_kill_explains_a_loss_only_where_that_very_answer_was_not_written_yet(
    what: str, last: State, *, excused: bool
) -> None:
    record = Record([("c", "m1", 99.9)], [], {"m1": 100.0}, [last], [])
    assert (record.lost_with("m1") is not None) is excused, what


@pytest.mark.parametrize(
    ("what", "asleep", "excused"),
    [
        ("it came meanwhile", State(99.0), True),
        ("it came before, and was told", State(100.5, 99.0, 100.01, told=100.01), False),
        ("it came before, and was not told", State(100.5, 99.0, 100.01, told=99.0), True),
        ("it came before others, while Redis was away", State(101.0, 100.5, 100.6, told=99.0), True),
        ("another one was not told", State(103.0, 100.01, 102.0, told=100.01), False),
        ("it came when it had long been awake", State(96.0), False),
    ],
)
def test_a_pause_explains_what_came_late_only_where_it_was_in_hand(
    what: str, asleep: State, *, excused: bool
) -> None:
    record = Record([("c", "m1", 99.9)], [], {"m1": 100.0}, [], [(asleep, asleep.time + 3.0)])
    assert record.in_pause("m1") is excused, what


@pytest.mark.parametrize(
    ("what", "dead", "excused"),
    [
        (
            "it was not told, and another one went on",
            State(100.5, 99.0, 100.01, told=99.0, overtaken=True),
            True,
        ),
        ("it was not told, and nobody went on", State(100.5, 99.0, 100.01, told=99.0), False),
        ("it was told", State(100.5, 99.0, 100.01, told=100.01, overtaken=True), False),
    ],
)
def test_a_kill_explains_what_came_late_only_where_another_one_went_on(
    what: str, dead: State, *, excused: bool
) -> None:
    record = Record([("c", "m1", 99.9)], [], {"m1": 100.0}, [dead], [])
    assert record.in_death("m1") is excused, what


def test_whoever_got_an_answer_before_the_next_process_was_ready_went_on(tmp_path: Path) -> None:
    own = noted(tmp_path / "own", (BEGAN, 1.0), (ARRIVED, 2.0), (BEGAN, 3.0))
    for answer, found in ((1.5, False), (2.9, True), (3.1, True), (4.0, False)):
        other = noted(tmp_path / "other", (BEGAN, 0.0), (ARRIVED, answer))
        assert overtaken(own, [other], 2.0) is found


def test_a_process_is_known_by_its_last_marks(tmp_path: Path) -> None:
    rows = [(BEGAN, 1.0), (ARRIVED, 2.0), (WRITTEN, 2.1), (SAFE, 2.2), (TOLD, 2.3), (ARRIVED, 4.0)]
    file = noted(tmp_path / "marks", *rows, (BEGAN, 6.0), (ARRIVED, 7.0), (WRITTEN, 7.5), (SAFE, 7.6))
    assert state(file, 3.0) == State(3.0, 0.0, 2.0, written=True, told=2.0)
    assert state(file, 5.0) == State(5.0, 2.0, 4.0, written=False, told=2.0)
    assert state(file, 6.5) == State(6.5, 0.0, 0.0, written=False)
    assert state(file, 7.2) == State(7.2, 0.0, 7.0, written=False)
    assert state(file, 8.0) == State(8.0, 0.0, 7.0, written=True)
    assert [(round(written, 3), round(safe, 3)) for written, safe in windows(file)] == [
        (0.1, 0.2),
        (0.5, 0.6),
    ]


@pytest.mark.parametrize(
    ("status", "attempts", "detail", "expected"),
    [
        ("unknown", "3", "timeout", True),
        ("unknown", "2", "an earlier attempt may have arrived; the last: target.unknown", True),
        ("unknown", "2", "timeout", False),
        ("sent", "3", "", False),
    ],
)
def test_a_repeatable_send_is_given_up_after_three_doubts_or_a_refusal(
    status: str, attempts: str, detail: str, *, expected: bool
) -> None:
    assert is_given_up({"status": status, "attempts": attempts, "detail": detail}) is expected


def test_an_answer_that_came_during_an_append_is_not_on_the_bus_behind_it() -> None:
    noted = [(BEGAN, 1.0), (ARRIVED, 2.0), (WRITTEN, 2.1), (ARRIVED, 3.0)]
    assert state([*noted, (TOLD_BEFORE, 3.1)], 4.0).told == 2.0
    assert state([*noted, (WRITTEN, 3.05), (TOLD, 3.1)], 4.0).told == 3.0
