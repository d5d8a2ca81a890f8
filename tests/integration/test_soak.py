"""Proof of the promise of a session that heals: thirty days of life, in a compressed run."""

from collections import Counter
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from tests.chaos.soak import EVERY, OPTIONS, live
from tests.support.system_harness import system

pytestmark = pytest.mark.anyio


@pytest.mark.long
async def test_thirty_days_of_everything_tell_each_step_and_each_message_once(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path, **OPTIONS, seed=7) as it:
        life = await live(it, days=30, seed=7)
    assert set(life.happened) == {happen.__name__ for happen in EVERY}
    assert Counter(row["status"] for row in life.results)["sent"] > len(life.asked) / 2
