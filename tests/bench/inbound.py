"""Inbound: polls of 1, 10 and 100 messages into `qq:inbound` with every promise on.

Beside a redis-py pipeline of the very same entries ready-made, and beside a bare loop of poll and XADD.
"""

from pathlib import Path
from typing import Any

from tests.bench.figures import Findings, Want
from tests.bench.stage import Crowd, Program, Stage, staged

NAME = "inbound"
SIZES = {1: 600, 10: 4_000, 100: 15_000}
WANTED = {1: Want(least=0.8), 100: Want(least=1.0)}


async def run(findings: Findings, folder: Path) -> None:
    """Ours, the pipeline and the bare loop in turns."""
    async with staged(folder) as stage:
        crowd, other = await stage.crowd(), await stage.crowd()
        adapter = await stage.adapter(crowd, "qq")
        kept = await stage.session(other, "bare")
        bare = stage.start("tests.bench.baseline", "poll", stage.url, "bare", other.origin, str(kept))
        await other.polled()
        ours, pipes, loops = (dict[int, list[float]]((size, []) for size in SIZES) for _ in range(3))
        spent: list[float] = []
        for turn in findings.turns:
            for size, count in SIZES.items():
                number = findings.some(count)
                before = adapter.cpu()
                one = await flood(stage, adapter, crowd, "qq:inbound", number, size)
                cost = (adapter.cpu() - before) / number
                entries = await flat(stage, number)
                await stage.client.delete("qq:inbound")
                two = await pipeline(stage, entries, size)
                three = await flood(stage, bare, other, "bare:inbound", number, size)
                await stage.client.delete("bare:inbound")
                if turn:
                    ours[size].append(one)
                    pipes[size].append(two)
                    loops[size].append(three)
                    if size == max(SIZES):
                        spent.append(cost * 1e6)
        for size in SIZES:
            what = f"polls of {size}"
            more: dict[str, Any] = {"want": WANTED.get(size)}
            floor, loop = (more, {}) if size > 1 else ({}, more)
            findings.add(
                NAME, what, "events/s", ours[size], beside=f"pipeline of {size}", others=pipes[size], **floor
            )
            findings.add(
                NAME, what, "events/s", ours[size], beside="bare poll + XADD", others=loops[size], **loop
            )
        findings.add(NAME, "adapter's CPU, polls of 100", "µs/event", spent)


async def flood(stage: Stage, program: Program, crowd: Crowd, stream: str, number: int, size: int) -> float:
    """Let so many messages wait, then let the program get them; entries a second."""
    with program.stopped():
        await crowd.fill(number, batch=size)
    # The poll that was out when the first message came brought that one alone.
    await stage.grown(stream, number)
    return await stage.rate(stream, 1)


async def flat(stage: Stage, number: int) -> list[list[bytes]]:
    """Return what the adapter has written, ready to be written again."""
    rows: Any = await stage.client.xrange("qq:inbound", count=number)
    return [[each for pair in fields.items() for each in pair] for _, fields in rows]


async def pipeline(stage: Stage, entries: list[list[bytes]], size: int) -> float:
    """Measure the floor: entries that are ready-made."""
    await stage.client.delete("floor")
    for start in range(0, len(entries), size):
        async with stage.client.pipeline(transaction=False) as pipe:
            for entry in entries[start : start + size]:
                pipe.execute_command("XADD", "floor", "*", *entry)
            await pipe.execute()
    rate = await stage.rate("floor", size)
    await stage.client.delete("floor")
    return rate
