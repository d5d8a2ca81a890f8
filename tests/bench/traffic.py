"""A simulated QQ whose people talk by command: `python -m tests.bench.traffic`, one JSON object a line."""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from typing import Any

from tests.simulator import Simulator, wire
from tests.simulator.mailbox import Letter
from tests.simulator.sample import ACCOUNT, sample_world
from tests.simulator.world import Friend, Person, World

CHATS = (
    *(("friend:10001", 10001), ("friend:20002", 20002), ("friend:30003", 30003), ("friend:40004", 40004)),
    *(("group:123456789", 10001), ("group:123456789", 50005), ("group:123456789", 2718281828)),
    *(("group:223344556", 20002), ("group:223344556", 70007), ("group:223344556", 2718281828)),
    *(
        ("discuss:1664012345", 10001),
        ("discuss:1664012345", 20002),
        ("temp:2718281828@group:123456789", None),
    ),
)
LATIN = [
    "the",
    "meeting",
    "is",
    "moved",
    "to",
    "Thursday",
    "at",
    "ten;",
    "please",
    "bring",
    "last",
    "week's",
    "figures",
    "&",
    "your",
    "own",
    "cup",
]
CJK = "明天下午三点在老地方见面记得带上那本书还有照片谢谢大家我们周末一起去爬山好不好今天真的太忙了"
# So many messages are written before texts are said again; numbers above FRESH are used once.
DIFFERENT, FRESH = 5_000, 10_000_000
FACES = ("[微笑]", "[呲牙]", "[强]", "[玫瑰]")


def texts(seed: int) -> Iterator[str]:
    """Yield what people say, for ever: four in ten in Chinese, three in ten with a face."""
    chance = random.Random(seed)
    while True:
        if chance.random() < 0.4:
            start = chance.randrange(len(CJK) - 12)
            text = CJK[start : start + chance.randrange(4, 24)]
        else:
            text = " ".join(chance.choices(LATIN, k=chance.randrange(2, 14)))
        yield text + (chance.choice(FACES) if chance.random() < 0.3 else "")


def populous(friends: int) -> World:
    """Return an account with this number of friends."""
    chance = random.Random(friends)
    people = (Person(2_000_000_000 + n, f"友{n}", city=chance.choice(CJK)) for n in range(friends))
    return World.of(
        sample_world().me, categories={1: "同学"}, friends=[Friend(person, category=1) for person in people]
    )


class Crowd:
    """The commands."""

    def __init__(self, sim: Simulator, friends: int) -> None:
        self._sim = sim
        self._texts = texts(7)
        self._heard = 0
        self._chats = [(f"friend:{qq}", qq) for qq in sim.world.friends] if friends else list(CHATS)
        random.Random(3).shuffle(self._chats)
        self._turn = 0
        self._different = max(DIFFERENT, len(self._chats))
        self._said: list[tuple[str, str, str]] = []

    async def do(self, command: dict[str, Any]) -> dict[str, Any]:
        """One command."""
        match command:
            case {"do": "fill", "count": count, **options}:
                self._sim.set(max_batch=options.get("batch", 100))
                self._fill(count)
            case {"do": "talk", "count": count, "rate": rate}:
                await self._talk(count, rate)
            case {"do": "heard", "count": count}:
                return {"seconds": await self._answers(count)}
            case {"do": "handed"}:
                handed = self._sim.network.journal.handed
                times = [time for time, _ in handed]
                handed.clear()
                return {"times": times}
            case {"do": "polled"}:
                await self._sim.wait_poll(60.0)
                return {"time": time.time()}
        return {"ok": True}

    def _fill(self, count: int) -> None:
        """Say things; once everything has been said, the same again under new numbers: that is faster."""
        mailbox, limit = self._sim.network.mailbox, self._sim.options.queue_limit
        for _ in range(count):
            self._turn += 1
            if len(self._said) < self._different:
                where, sender = self._chats[self._turn % len(self._chats)]
                item = self._sim.say(where, next(self._texts), sender=sender)
                number = f'"msg_id":{item["value"]["msg_id"]},'
                self._said.append(wire.dumps(item, ascii_only=False).partition(number))
            else:
                before, _, after = self._said[self._turn % self._different]
                mailbox.put(Letter(f'{before}"msg_id":{self._turn + FRESH},{after}'), limit)

    async def _talk(self, count: int, rate: float) -> None:
        start = time.monotonic()
        for number in range(count):
            await asyncio.sleep(start + number / rate - time.monotonic())
            last = number == count - 1
            self._sim.say("friend:10001", f"{time.time_ns()} {'last' if last else 'more'}")

    async def _answers(self, count: int) -> list[float]:
        received = await self._sim.wait_received(self._heard + count, 60.0)
        fresh = [one for one in received if one.n > self._heard]
        self._heard = fresh[-1].n
        return [one.time - int(one.text.partition(" ")[0]) / 1e9 for one in fresh]


async def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--friends", type=int, default=0, help="a world of so many friends; 0: the sample")
    friends = parser.parse_args().friends
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    world = populous(friends) if friends else sample_world(ACCOUNT)
    async with Simulator("e3", scan_after=0, poll_seconds=60.0, world=world) as sim:
        crowd = Crowd(sim, friends)
        print(json.dumps({"origin": sim.url}), flush=True)
        while line := await reader.readline():
            print(json.dumps(await crowd.do(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
