"""A million events and a hundred thousand sends through one adapter: `python -m tests.chaos.memory`.

One adapter, one worker that answers every tenth message, a server, a simulated network; each a process of its
own. `--network onebot`: every fourth message has a picture. 0 if neither adapter nor worker holds more than a
tenth above what it held after the warm-up.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from tests.bench.stage import Crowd, Program, Stage, staged
from tests.support.helpers import wait_until

EVENTS, SENDS, ROUNDS = 1_000_000, 100_000, 20
# The first tenth fills what is bounded: remembered ids and results, faces, pools of the allocator.
WARM = 0.1
MOST = 1.10
# A round takes ten seconds on two cores; what takes minutes does not go on.
ROUND = 240.0
SAMPLE = 2_000
BATCH = 100
MB = 1 << 20


class Mark(NamedTuple):
    """Memory at a quiet moment, in megabytes; the server's by its own count."""

    seconds: float
    events: int
    sends: int
    adapter: float
    worker: float
    server: float

    def __str__(self) -> str:
        return (
            f"{self.seconds:6.0f} s {self.events:9,} events {self.sends:8,} sends   "
            f"adapter {self.adapter:6.1f} MB   worker {self.worker:6.1f} MB   server {self.server:6.1f} MB"
        )


@dataclass
class Course:
    """The marks on the way, how the sends ended, and what the server needs for the ledger."""

    marks: list[Mark] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    keys: dict[str, int] = field(default_factory=dict)
    ledger: float = 0.0
    warm: int = 0

    def grown(self, who: str) -> float:
        """Return the highest mark after the warm-up as a multiple of the one that ended it."""
        values = [float(getattr(mark, who)) for mark in self.marks]
        return max(values[self.warm :]) / values[self.warm]

    def slope(self) -> float:
        """Bytes of the server for each send, over the second half: streams and ids have their bounds there."""
        first, last = self.marks[len(self.marks) // 2], self.marks[-1]
        return (last.server - first.server) * MB / max(1, last.sends - first.sends)

    def wrong(self) -> Iterator[str]:
        """Name what does not hold."""
        for who in ("adapter", "worker"):
            if (times := self.grown(who)) > MOST:
                yield f"the {who} holds {times:.2f} × of what it held after the warm-up"
        if set(self.ended) != {"sent"}:
            yield f"sends ended {dict(self.ended)}"


@dataclass
class Passage:
    """The run itself."""

    stage: Stage
    crowd: Crowd
    adapter: Program
    worker: Program
    share: int
    course: Course = field(default_factory=Course)
    began: float = field(default_factory=time.monotonic)
    said: int = 0
    _told: str = "0"

    async def round(self, events: int) -> None:
        """So many messages are said, told, handled and every Nth answered; then a mark."""
        await self.crowd.fill(events, batch=BATCH)
        self.said += events
        await wait_until(self._settled, f"{self.said} events and their answers have ended", ROUND)
        info: Any = await self.stage.client.info("memory")
        self.course.marks.append(
            Mark(
                time.monotonic() - self.began,
                self.said,
                self.course.ended.total(),
                self.adapter.rss(),
                self.worker.rss(),
                int(info["used_memory"]) / MB,
            )
        )

    async def _settled(self) -> bool:
        for program in (self.adapter, self.worker):
            assert program.process.poll() is None, program.log.read_text(encoding="utf-8")[-4000:]
        rows: Any = await self.stage.client.xrange("qq:results", f"({self._told}", "+")
        if rows:
            self._told = rows[-1][0].decode()
            self.course.ended.update(fields[b"status"].decode() for _, fields in rows)
        return self.course.ended.total() >= self.said // self.share and await self._read()

    async def _read(self) -> bool:
        """Whether the worker has handled all that was said."""
        info: Any = await self.stage.client.xinfo_stream("qq:inbound")
        groups: Any = await self.stage.client.xinfo_groups("qq:inbound")
        return bool(
            info["entries-added"] >= self.said
            and groups[0]["pending"] == 0
            and groups[0]["last-delivered-id"] == info["last-generated-id"]
        )

    async def weigh(self) -> None:
        """Count what the server keeps: each key that is one of its kind, and the mean of a ledger entry."""
        client, sizes = self.stage.client, list[int]()
        async for key in client.scan_iter(match="qq:ledger:*", count=1_000):
            sizes.append(int(await client.memory_usage(key) or 0))
            if len(sizes) >= SAMPLE:
                break
        self.course.ledger = sum(sizes) / max(1, len(sizes))
        for name in ("inbound", "outbound", "results", "seen:new", "seen:old"):
            self.course.keys[name] = int(await client.memory_usage(f"qq:{name}", samples=50) or 0)


async def run(events: int, sends: int, folder: Path, network: str = "smartqq") -> Course:
    """Run all of it."""
    each = events // ROUNDS
    async with staged(folder, "--appendonly", "no") as stage:
        crowd = await (stage.onebot_crowd() if network == "onebot" else stage.crowd())
        adapter = await stage.adapter(crowd, "qq")
        share = max(1, events // sends)
        worker = stage.start("tests.chaos.answering_worker", str(share), REDIS_URL=stage.url)
        passage = Passage(stage, crowd, adapter, worker, share)
        passage.course.warm = max(1, round(ROUNDS * WARM)) - 1
        for _ in range(ROUNDS):
            await passage.round(each)
            print(passage.course.marks[-1], flush=True)
        await passage.weigh()
        await worker.end()
        await adapter.end()
        return passage.course


def main() -> None:
    """Run and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=("smartqq", "onebot"), default="smartqq")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--sends", type=int, default=SENDS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qqbus-memory-") as name:
        course = anyio.run(run, arguments.events, arguments.sends, Path(name), arguments.network)
    for who in ("adapter", "worker"):
        print(f"{who:8} highest after the warm-up: {(course.grown(who) - 1) * 100:+.1f} %")
    print("server   " + ", ".join(f"{name} {size / MB:.1f} MB" for name, size in course.keys.items()))
    print(
        f"ledger   {course.ledger:.0f} bytes a request; the server grew by {course.slope():.0f} bytes a send"
    )
    print(f"sends    {dict(course.ended)}")
    wrong = list(course.wrong())
    for words in wrong:
        print(f"WRONG  {words}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
