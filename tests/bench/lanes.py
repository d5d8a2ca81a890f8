"""Order by chat and its price: eight processes with and without lanes, 200 chats, each team alone in turns.

Once with handlers that do nothing, where all is bus, and once with handlers that wait up to 10 ms, as ones
that ask somebody do.
"""

from functools import partial
from pathlib import Path

from tests.bench.entries import fill
from tests.bench.figures import Findings
from tests.bench.stage import Stage, staged
from tests.bench.workers import Team, consume, consumers
from tests.support.helpers import wait_until

NAME = "lanes"
PROCESSES = 8
CHATS = 200
EVENTS = {"idle": 30_000, "waiting": 10_000}
GROUP = "bench"
START = 60.0


async def run(findings: Findings, folder: Path) -> None:
    """Both kinds of handlers, each with a server of its own."""
    for work, count in EVENTS.items():
        number = findings.some(count)
        async with staged(folder / work) as stage:
            await fill(stage.url, "bulk", number, CHATS)
            plain, lanes = await team(stage, work, lanes=False), await team(stage, work, lanes=True)
            for turn in findings.turns:
                for one in (plain, lanes):
                    await consume(stage, one, number, counts=bool(turn))
            beside = f"{PROCESSES} without lanes"
            what = f"{PROCESSES} processes, lanes, {work} handlers"
            findings.add(NAME, what, "events/s", lanes.rates, beside=beside, others=plain.rates)
            findings.add(
                NAME, f"CPU, {work} handlers", "µs/event", lanes.spent, beside=beside, others=plain.spent
            )


async def team(stage: Stage, work: str, *, lanes: bool) -> Team:
    """Start them and wait until all have a part in the work."""
    prefix = "lanes" if lanes else "plain"
    await stage.client.xgroup_create(f"{prefix}:inbound", GROUP, "0", mkstream=True)
    line = ("tests.bench.listener", work, *(("lanes",) if lanes else ()))
    settings = {"REDIS_URL": stage.url, "QQBUS_PREFIX": prefix}
    made = Team(prefix, [stage.start(*line, **settings) for _ in range(PROCESSES)])
    if lanes:
        await wait_until(partial(shared, stage, prefix), "everybody has lanes", START)
    else:
        await consumers(stage, prefix, PROCESSES)
    return made


async def shared(stage: Stage, prefix: str) -> bool:
    """Whether the lanes have as many owners as there are processes."""
    return len(set(await stage.client.hvals(f"{prefix}:lanes:{GROUP}:owners"))) == PROCESSES
