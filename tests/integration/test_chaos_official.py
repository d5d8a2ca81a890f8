"""Proof of tests/chaos/official_checker.py: what it finds in runs of broken products.

What the checker shares with the one of OneBot is proved in test_chaos_onebot.py.
"""

import sys
from pathlib import Path

import pytest

from tests.chaos.__main__ import run
from tests.chaos.official import Official

# The fault at which a broken product breaks its promise, and what it must be found with.
FOUND = {
    "hide-gaps": ("invalid", "lost outside gaps"),
    "shorten-gaps": ("invalid", "lost outside gaps"),
    "identify-always": ("expire", "a gap was published though each session was resumed"),
    "send-twice": ("cut_send", "doubled sends"),
}
FAULTS = 8


@pytest.mark.anyio
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="kills and pauses processes")
@pytest.mark.parametrize("way", FOUND)
async def test_a_run_with_a_broken_product_fails(tmp_path: Path, way: str) -> None:
    fault, found = FOUND[way]
    verdict, stage = await run(Official(way), FAULTS, 3, tmp_path, adapters=1, only=fault)
    assert any(found in words for words in verdict.wrong), (verdict.wrong, verdict.figures, stage.log())


@pytest.mark.anyio
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="kills and pauses processes")
@pytest.mark.parametrize("fault", sorted({fault for fault, _ in FOUND.values()}))
async def test_the_same_run_with_the_whole_product_passes(tmp_path: Path, fault: str) -> None:
    verdict, stage = await run(Official("whole"), FAULTS, 3, tmp_path, adapters=1, only=fault)
    # Many new sessions in a short run leave little time between their gaps.
    assert [words for words in verdict.wrong if "of the time" not in words] == [], stage.log()
