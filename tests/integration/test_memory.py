"""Whether the run that measures memory runs: a fiftieth of it. What it measures, it tells by itself."""

from pathlib import Path

import pytest

from tests.chaos.memory import MOST, ROUNDS, run

pytestmark = [pytest.mark.anyio, pytest.mark.long]


async def test_a_part_of_the_memory_run_ends_with_every_send_told(tmp_path: Path) -> None:
    course = await run(20_000, 2_000, tmp_path)
    assert dict(course.ended) == {"sent": 2_000}
    assert [mark.events for mark in course.marks] == [20_000 // ROUNDS * n for n in range(1, ROUNDS + 1)]
    assert course.grown("worker") <= MOST
    # The adapter still fills what it remembers of results and ids: that it stays flat takes the whole run.
    assert course.grown("adapter") < 1.25
    assert 0 < course.ledger < 2_000
