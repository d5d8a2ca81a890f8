"""Latency: from a message handed to the simulated QQ until a worker's handler is called.

Beside a bare httpx long poll, a bare XADD and a bare XREADGROUP.
"""

import statistics
from pathlib import Path

import anyio

from tests.bench.figures import Findings, Want, percentile
from tests.bench.stage import Crowd, Program, Stage, staged

NAME = "latency"
# Messages a second, and so many in a repetition.
RATES = {1: 2, 50: 80, 500: 300}
WANTED = {50: (Want(most=1.25), Want(most=2.0))}

Side = tuple[Crowd, Program]


async def run(findings: Findings, folder: Path) -> None:
    """Ours and the floor in turns; at one message a second at the same time, between each other's."""
    async with staged(folder) as stage:
        ours, bare = await our_side(stage, "listen"), await bare_side(stage, "poll")
        for rate, count in RATES.items():
            number = count if rate == 1 else findings.some(count)
            fast: list[list[float]] = []
            floor: list[list[float]] = []
            if rate == 1:
                number *= findings.repeat
                await together(ours, bare, number, fast, floor)
            else:
                for turn in findings.turns:
                    one, two = await heard(ours, number, rate), await heard(bare, number, rate)
                    if turn:
                        fast.append(one)
                        floor.append(two)
            add(findings, rate, fast, floor)


def add(findings: Findings, rate: int, fast: list[list[float]], floor: list[list[float]]) -> None:
    """Measure one rate: medians of each repetition, and the slowest hundredth of all."""
    middle, slow = WANTED.get(rate, (None, None))
    beside = "bare poll, XADD, XREADGROUP"
    medians = [[statistics.median(part) * 1000 for part in side] for side in (fast, floor)]
    findings.add(NAME, f"p50 at {rate}/s", "ms", medians[0], beside=beside, others=medians[1], want=middle)
    if rate > 1:
        late = [[percentile(part, 0.99) * 1000 for part in side] for side in (fast, floor)]
        findings.add(NAME, f"p99 at {rate}/s", "ms", late[0], beside=beside, others=late[1], want=slow)


async def together(
    ours: Side, bare: Side, number: int, fast: list[list[float]], floor: list[list[float]]
) -> None:
    async def later(side: Side, into: list[list[float]], delay: float) -> None:
        await anyio.sleep(delay)
        into.extend([each] for each in await heard(side, number, 1))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(later, ours, fast, 0.0)
        tasks.start_soon(later, bare, floor, 0.5)


async def heard(side: Side, number: int, rate: float) -> list[float]:
    """Let people talk; how old each message was when its handler was called, in seconds."""
    crowd, listener = side
    await crowd.talk(number, rate)
    return list(await listener.told())


async def our_side(stage: Stage, mode: str) -> Side:
    """Crowd, adapter and worker."""
    crowd = await stage.crowd()
    await stage.adapter(crowd, "qq")
    listener = stage.start("tests.bench.listener", mode, REDIS_URL=stage.url)
    await reading(stage, "qq:inbound", "bench")
    return crowd, listener


async def bare_side(stage: Stage, mode: str) -> Side:
    """Measure the same, written by hand; `bridge` answers too."""
    crowd = await stage.crowd()
    kept = await stage.session(crowd, "bare")
    await stage.client.delete("bare:inbound")
    stage.start("tests.bench.baseline", mode, stage.url, "bare", crowd.origin, str(kept))
    echo = ("echo",) if mode == "bridge" else ()
    reader = stage.start("tests.bench.baseline", "read", stage.url, "bare", *echo)
    await crowd.polled()
    await reading(stage, "bare:inbound", "bare")
    return crowd, reader


async def reading(stage: Stage, stream: str, group: str) -> None:
    """Wait until somebody reads for a group."""
    with anyio.fail_after(30):
        while True:
            if await stage.client.exists(stream):
                rows = {row["name"]: row["consumers"] for row in await stage.client.xinfo_groups(stream)}
                if rows.get(group.encode()):
                    return
            await anyio.sleep(0.02)
