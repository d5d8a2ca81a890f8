"""Whether the benchmark of open pages measures what it says; its figures are for a machine that is left alone."""

import subprocess
import sys

import pytest

from tests.bench.pages import delays
from tests.support.helpers import clean_environment


def test_an_answer_belongs_to_the_first_append_behind_it() -> None:
    found = delays([1.0, 2.0, 3.0], [0.5, 1.25, 2.5, 2.75, 3.125])
    assert found == [0.25, 0.5, 0.125], (
        "an append without an answer, such as of a change of state, is left out"
    )


def test_answers_without_an_append_are_not_passed_over_in_silence() -> None:
    with pytest.raises(AssertionError, match="3 answers, 1 appends"):
        delays([1.0, 2.0, 3.0], [1.5])


@pytest.mark.long
def test_it_runs() -> None:
    line = [sys.executable, "-m", "tests.bench.pages", "--pages", "5", "--rate", "100"]
    line += ["--seconds", "0.5", "--turns", "2"]
    done = subprocess.run(line, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 turns" in done.stdout
    assert "p99 with pages" in done.stdout
