"""Round trip: from a message handed to the simulated QQ until the worker's reply is received there, pacing 0.

Beside a bare long poll, XADD, XREADGROUP, XADD, XREAD and an httpx POST.
"""

import statistics
from pathlib import Path

from tests.bench.figures import Findings, percentile
from tests.bench.latency import Side, bare_side, heard, our_side
from tests.bench.stage import staged

NAME = "roundtrip"
RATES = {50: 60}


async def run(findings: Findings, folder: Path) -> None:
    """Ours and the floor in turns."""
    async with staged(folder) as stage:
        ours, bare = await our_side(stage, "echo"), await bare_side(stage, "bridge")
        for rate, count in RATES.items():
            number = findings.some(count)
            fast, floor = list[list[float]](), list[list[float]]()
            for turn in findings.turns:
                one, two = await answered(ours, number, rate), await answered(bare, number, rate)
                if turn:
                    fast.append(one)
                    floor.append(two)
            beside = "the same by hand"
            for what, of in (("p50", statistics.median), ("p99", lambda part: percentile(part, 0.99))):
                values, others = ([of(part) * 1000 for part in side] for side in (fast, floor))
                findings.add(NAME, f"{what} at {rate}/s", "ms", values, beside=beside, others=others)


async def answered(side: Side, number: int, rate: float) -> list[float]:
    """How long each answer took, in seconds."""
    await heard(side, number, rate)
    return await side[0].heard(number)
