"""Proof of tests/chaos/verdict.py and watched.py: which losses a kill explains, and which it does not."""

from pathlib import Path

import pytest

from tests.chaos.verdict import Record
from tests.chaos.watched import ARRIVED, BEGAN, MARK, SAFE, WRITTEN, Death, death, windows


def noted(path: Path, *rows: tuple[bytes, float]) -> Path:
    path.write_bytes(b"".join(MARK.pack(mark, time) for mark, time in rows))
    return path


@pytest.mark.parametrize(
    ("what", "last", "excused"),
    [
        ("killed while it was read", Death(100.05, 99.0, 100.01, written=False), True),
        ("killed when it was written", Death(100.05, 99.0, 100.01, written=True), False),
        ("in memory for too long", Death(100.4, 99.0, 100.01, written=False), False),
        ("killed before it came", Death(100.2, 97.0, 99.0, written=True), True),
        ("its connection was still open", Death(99.97, 97.0, 99.0, written=True), True),
        ("it should have come long before", Death(101.5, 98.0, 99.0, written=True), False),
        ("it did not poll", Death(100.5, 0.0, 0.0, written=True), False),
        ("it began to poll", Death(100.05, 0.0, 0.0, written=True), True),
        ("a later answer was read", Death(105.05, 100.01, 105.0, written=False), False),
        ("killed before upstream gave it", Death(99.0, 97.0, 98.0, written=True), False),
    ],
)
def test_a_kill_explains_a_loss_only_where_that_very_answer_was_not_written_yet(
    what: str, last: Death, *, excused: bool
) -> None:
    record = Record([("c", "m1", 99.9)], [], {"m1": 100.0}, [last], [])
    assert (record.lost_with("m1") is not None) is excused, what


def test_a_death_is_told_by_the_last_marks_of_its_process(tmp_path: Path) -> None:
    rows = [(BEGAN, 1.0), (ARRIVED, 2.0), (WRITTEN, 2.1), (SAFE, 2.2), (ARRIVED, 4.0), (BEGAN, 6.0)]
    file = noted(tmp_path / "marks", *rows, (ARRIVED, 7.0), (WRITTEN, 7.5), (SAFE, 7.6))
    assert death(file, 3.0) == Death(3.0, 0.0, 2.0, written=True)
    assert death(file, 5.0) == Death(5.0, 2.0, 4.0, written=False)
    assert death(file, 6.5) == Death(6.5, 0.0, 0.0, written=True)
    assert death(file, 7.2) == Death(7.2, 0.0, 7.0, written=False)
    assert [(round(written, 3), round(safe, 3)) for written, safe in windows(file)] == [
        (0.1, 0.2),
        (0.5, 0.6),
    ]
