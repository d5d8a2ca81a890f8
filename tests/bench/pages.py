"""What open status pages cost: events at a steady rate with and without them, in turns.

`python -m tests.bench.pages [--pages 16] [--rate 1000] [--seconds 2] [--turns 8]`. Server, simulator, adapter
and the readers of the pages run in processes of their own. Poll to append: from the moment at which the
simulator answers a poll until the adapter has its messages on the bus and may ask for more. A loop that is busy
with pages shows in it.

The slowest hundredth says as much of the machine as of the adapter: turns are short and alternate. On a shared
machine, `chrt --rr 1` before the command keeps other programs out of the way.
"""

import argparse
import os
import statistics
import tempfile
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from adapter.ops.page.broadcaster import MAX_PAGES
from tests.bench.clocked import moments
from tests.bench.figures import percentile
from tests.bench.stage import Crowd, Program, staged
from tests.support.ports import free_port

PREFIX = "qq"
# Seconds of events before each measurement.
WARM_UP = 0.5


@dataclass
class Arm:
    """All turns with this many pages: seconds from poll to append, and the adapter's share of a core."""

    pages: int
    delays: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    def row(self) -> str:
        p50, p99 = (1000 * percentile(self.delays, share) for share in (0.5, 0.99))
        return (
            f"{self.pages:>5} pages  {len(self.delays):>6} polls  p50 {p50:.2f} ms  p99 {p99:.2f} ms  "
            f"adapter {statistics.median(self.shares):.1f} % of a core"
        )


@dataclass
class Run:
    """The processes of one measurement."""

    crowd: Crowd
    adapter: Program
    readers: Program
    clock: Path
    port: int

    async def turn(self, arm: Arm, rate: int, seconds: float) -> None:
        """Measure once, with or without pages."""
        if arm.pages:
            opened = await self.readers.ask({"do": "open", "port": self.port, "count": arm.pages})
            assert opened["open"] == arm.pages, opened
        await self.crowd.talk(int(rate * WARM_UP), rate)
        await self.crowd.program.ask({"do": "handed"})
        cpu, began = self.adapter.cpu(), time.monotonic()
        await self.crowd.talk(int(rate * seconds), rate)
        arm.shares.append(100 * (self.adapter.cpu() - cpu) / (time.monotonic() - began))
        await self.crowd.polled()
        if arm.pages:
            closed = await self.readers.ask({"do": "close"})
            assert closed["received"] > opened["received"], "the pages got nothing"
        handed = (await self.crowd.program.ask({"do": "handed"}))["times"]
        arm.delays += delays(handed, moments(self.clock))


def delays(handed: Sequence[float], appended: Sequence[float]) -> list[float]:
    """From each answer to the first append behind it.

    The next answer may come before that append: then the two may share one.
    """
    places = [bisect_left(appended, moment) for moment in handed]
    found = [appended[at] - moment for at, moment in zip(places, handed, strict=True) if at < len(appended)]
    assert len(found) >= 0.99 * len(handed), f"{len(handed)} answers, {len(found)} appends"
    return found


async def main(options: argparse.Namespace) -> None:
    """Take turns without and with pages; each pair begins with the other one."""
    with tempfile.TemporaryDirectory(prefix="qqbus-bench-") as name:
        async with staged(Path(name)) as stage:
            crowd, port, clock = await stage.crowd(), free_port(), Path(name) / "clock"
            settings = stage.adapter_settings(crowd, PREFIX) | {"QQBUS_HTTP": f"127.0.0.1:{port}"}
            adapter = stage.start("tests.bench.clocked", str(clock), "run", **settings)
            await stage.online(adapter, crowd, PREFIX)
            run = Run(crowd, adapter, stage.start("tests.bench.page_clients"), clock, port)
            print(
                f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.rate} events/s, "
                f"{options.turns} turns of {options.seconds:g} s each"
            )
            arms = Arm(0), Arm(options.pages)
            for number in range(options.turns):
                for arm in arms if number % 2 else reversed(arms):
                    await run.turn(arm, options.rate, options.seconds)
            for arm in arms:
                print(arm.row())
            for share in (0.5, 0.99):
                without, beside = (percentile(arm.delays, share) for arm in arms)
                print(f"p{100 * share:.0f} with pages {beside / without:.2f} ×")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=MAX_PAGES)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--turns", type=int, default=8)
    anyio.run(main, parser.parse_args())
