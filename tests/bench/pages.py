"""What a hundred open status pages cost: a thousand events a second with and without them, in turns.

`python -m tests.bench.pages [--pages 100] [--rate 1000] [--seconds 2] [--pairs 20]`. Server, simulator, adapter
and the pages' readers run in processes of their own. Poll to append: from the moment at which the simulator
hands out an answer to a poll until the adapter has its messages on the bus and may ask for more. That begins
before the adapter sees the answer: a loop that is busy with pages shows in it.

The slowest hundredth tells of the machine as much as of the adapter. Turns are short and alternate, and where
enough pairs of them were left alone by programs that are not ours, those alone are judged. On a machine that is
never alone, `chrt --rr 1` before the command keeps the others out of the way.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from adapter.bus.embedded import free_port
from tests.bench.clocked import moments
from tests.bench.figures import percentile
from tests.bench.stage import Crowd, Program, Stage, cpu, staged

PREFIX = "qq"
MOST = 1.10
# Pairs are drawn again so often for the range in which nine of ten ratios lie.
DRAWS = 500
WARM = 0.5
# What others may take of a core, in percent, in a pair that was left alone, and how many of these are enough.
OTHERS = 10.0
ENOUGH = 7
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Arm:
    """All turns of one kind: seconds from poll to append, turn by turn, and what they took."""

    pages: int
    turns: list[list[float]] = field(default_factory=list)
    adapter: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    def pooled(self, chosen: Sequence[int]) -> list[float]:
        return [value for number in chosen for value in self.turns[number]]


@dataclass
class Scene:
    """Who plays."""

    stage: Stage
    crowd: Crowd
    adapter: Program
    tabs: Program
    clock: Path
    port: int

    async def turn(self, arm: Arm, rate: int, seconds: float) -> None:
        """Let people talk for so long, with or without pages."""
        opened = {"received": 0}
        if arm.pages:
            opened = await self.tabs.ask({"do": "open", "port": self.port, "count": arm.pages})
            assert opened["open"] == arm.pages, opened
        await self.crowd.talk(int(rate * WARM), rate)
        await self.crowd.program.ask({"do": "handed"})
        before, began = self.cpu(), time.monotonic()
        await self.crowd.talk(int(rate * seconds), rate)
        after, took = self.cpu(), time.monotonic() - began
        await self.crowd.polled()
        closed = await self.tabs.ask({"do": "close"}) if arm.pages else opened
        shares = [100 * (late - early) / took for early, late in zip(before, after, strict=True)]
        handed = (await self.crowd.program.ask({"do": "handed"}))["times"]
        values = pairs(handed, moments(self.clock))
        arm.turns.append(values)
        arm.adapter.append(shares[0])
        arm.others.append(shares[-1] - sum(shares[:-1]))
        print(
            f"{arm.pages:>5} pages  {len(values):>5} polls  p50 {at(values, 0.5):5.2f} ms  p99 {at(values, 0.99):5.2f} ms  "
            f"CPU: adapter {shares[0]:3.0f} %, server {shares[1]:2.0f} %, simulator {shares[2]:2.0f} %, "
            f"readers {shares[3]:2.0f} %, others {arm.others[-1]:3.0f} %  "
            f"pages {(closed['received'] - opened['received']) / (seconds + WARM) / 1e6:3.1f} MB/s",
            flush=True,
        )

    def cpu(self) -> list[float]:
        """Seconds of CPU time of adapter, server, simulator, readers, this process, and of all programs."""
        own = [each.cpu() for each in (self.adapter, self.crowd.program, self.tabs)]
        own.insert(1, self.stage.server_cpu())
        row = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
        return [*own, cpu(os.getpid()), sum(map(int, row[1:4])) / TICKS]


def pairs(handed: Sequence[float], appended: Sequence[float]) -> list[float]:
    """From each answer to the first append behind it; answers follow one another, and so do appends."""
    found = []
    for number, moment in enumerate(handed):
        place = bisect_left(appended, moment)
        last = number + 1 == len(handed)
        if place < len(appended) and (last or appended[place] <= handed[number + 1]):
            found.append(appended[place] - moment)
    assert len(found) >= 0.99 * len(handed), f"{len(handed)} answers, {len(found)} appends"
    return found


def at(values: Sequence[float], share: float) -> float:
    return 1000 * percentile(values, share)


def ratio(arms: Sequence[Arm], chosen: Sequence[int], share: float) -> float:
    without, beside = (percentile(arm.pooled(chosen), share) for arm in arms)
    return beside / without


def spread(arms: Sequence[Arm], chosen: Sequence[int], share: float) -> tuple[float, float]:
    """Return the range of nine in ten ratios when whole pairs of turns are drawn again."""
    chance = random.Random(1)
    drawn = [ratio(arms, chance.choices(chosen, k=len(chosen)), share) for _ in range(DRAWS)]
    return percentile(drawn, 0.05), percentile(drawn, 0.95)


def report(arms: Sequence[Arm]) -> None:
    """Return the figures of all turns together."""
    every = range(len(arms[0].turns))
    alone = [number for number in every if max(arm.others[number] for arm in arms) <= OTHERS]
    chosen: Sequence[int] = alone if len(alone) >= ENOUGH else every
    print(f"{len(every)} pairs, {len(alone)} of them left alone; judged by {len(chosen)}")
    for arm in arms:
        values, p99s = arm.pooled(chosen), [at(arm.turns[number], 0.99) for number in chosen]
        print(
            f"{arm.pages:>5} pages  {len(values)} polls  p50 {at(values, 0.5):.2f} ms  p99 {at(values, 0.99):.2f} ms  "
            f"(of each turn {min(p99s):.2f}–{max(p99s):.2f})  adapter {statistics.median(arm.adapter):.1f} % of a core"
        )
    for share in (0.5, 0.9, 0.99):
        low, high = spread(arms, chosen, share)
        wanted = ""
        if share == 0.99:
            wanted = f"  wanted ≤ {MOST:.2f} {'✓' if ratio(arms, chosen, share) <= MOST else '✗'}"
        print(
            f"p{100 * share:.0f} with pages {ratio(arms, chosen, share):.2f} × (nine of ten {low:.2f}–{high:.2f}){wanted}"
        )


async def main(asked: argparse.Namespace) -> None:
    """Turn about, without and with pages; who begins changes with every pair."""
    with tempfile.TemporaryDirectory(prefix="qqbus-bench-") as name:
        async with staged(Path(name)) as stage:
            crowd, port, clock = await stage.crowd(), free_port(), Path(name) / "clock"
            settings = stage.adapter_settings(crowd, PREFIX) | {"QQBUS_HTTP": f"127.0.0.1:{port}"}
            adapter = stage.start("tests.bench.clocked", str(clock), "run", **settings)
            await stage.online(adapter, crowd, PREFIX)
            scene = Scene(stage, crowd, adapter, stage.start("tests.bench.page_clients"), clock, port)
            print(
                f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {asked.rate} events/s, {asked.seconds:g} s a turn"
            )
            arms = Arm(0), Arm(asked.pages)
            for number in range(asked.pairs):
                for arm in arms if number % 2 else reversed(arms):
                    await scene.turn(arm, asked.rate, asked.seconds)
            report(arms)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--pairs", type=int, default=20)
    anyio.run(main, parser.parse_args())
