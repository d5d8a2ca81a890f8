"""The chaos run: `python -m tests.chaos --faults 60 --seed 1`. Ends by itself; 0 if everything held."""

import argparse
import logging
import random
import re
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import anyio

from adapter.bus.connection import connect, map_redis_errors
from adapter.errors import BusUnavailable
from tests.chaos.checker import Record, Verdict, judge, rows
from tests.chaos.cluster import Stage, staged
from tests.chaos.faults import FAULTS

CHATS = (
    *(f"friend:{number}" for number in (10001, 20002, 30003, 40004)),
    *("group:123456789", "group:223344556", "discuss:1664012345"),
)
SPEAKERS = {"group:123456789": 10001, "group:223344556": 20002, "discuss:1664012345": 20002}
STRANGER = 111  # in no list
STRANGERS = 0.05  # of what is said in groups and discussions
SAID = re.compile(r'"(m\d+)"')
RATE = 40.0  # messages a second
GAP = 0.8  # seconds between two faults
SETTLE = 90.0
ONLINE = 60.0


async def online(stage: Stage) -> None:
    """Wait until somebody holds the connection and polls."""
    with anyio.fail_after(ONLINE):
        await stage.sim.wait_state("online", ONLINE)
        await stage.sim.wait_poll(ONLINE)


async def talk(
    stage: Stage, said: list[tuple[str, str, float]], stop: anyio.Event, chance: random.Random
) -> None:
    """People write, all the time."""
    while not stop.is_set():
        chat, text = chance.choice(CHATS), f"m{len(said)}"
        speaker = SPEAKERS.get(chat)
        if speaker is not None and chance.random() < STRANGERS:
            speaker = STRANGER
        stage.sim.say(chat, text, sender=speaker)
        said.append((chat, text, time.time()))
        await anyio.sleep(chance.expovariate(RATE))


async def settled(stage: Stage, said: list[tuple[str, str, float]]) -> None:
    """Wait until nothing moves any more: all told, all asked, all answered."""
    client, began = connect(stage.url, timeout=10.0), time.monotonic()
    before: tuple[int, ...] = ()
    still = 0
    try:
        while time.monotonic() - began < SETTLE and still < 3:
            await anyio.sleep(1.0)
            try:
                with map_redis_errors():
                    now = tuple(
                        [len(await rows(client, name)) for name in ("inbound", "outbound", "results")]
                    )
            except BusUnavailable:
                continue
            inbound, outbound, results = now
            done = results >= outbound and inbound >= len(said)
            still = still + 1 if done and now == before else 0
            before = now
    finally:
        await client.aclose()


async def run(faults: int, seed: int, folder: Path, *, torn: bool = False) -> tuple[Verdict, Stage]:
    """One run."""
    chance = random.Random(seed)
    said: list[tuple[str, str, float]] = []
    counts: dict[str, int] = {}
    async with staged(folder, torn=torn) as stage:
        await online(stage)
        stop = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(talk, stage, said, stop, chance)
            for number in range(faults):
                (fault,) = chance.choices(list(FAULTS), list(FAULTS.values()))
                counts[fault.__name__] = counts.get(fault.__name__, 0) + 1
                print(f"\r{number + 1}/{faults} {fault.__name__:14}", end="", file=sys.stderr, flush=True)
                await fault(stage, chance)
                await anyio.sleep(chance.uniform(0, 2 * GAP))
            stop.set()
        stage.sim.clear_faults()
        await settled(stage, said)
        client = connect(stage.url, timeout=10.0)
        handed = {
            text: time
            for time, items in stage.sim.network.journal.handed
            for item in items
            for text in SAID.findall(item)
        }
        record = Record(said, list(stage.sim.received), handed, stage.deaths(), stage.sleeps(), torn)
        verdict = await judge(client, record)
        await client.aclose()
        windows = stage.windows()
        verdict.figures = {
            "workers": ", ".join(role.name for role in stage.workers),
            "faults": counts,
            **verdict.figures,
        }
        for name, times in zip(("written", "on disk"), windows, strict=True):
            if times:
                middle, late = (times[int(len(times) * share)] * 1e6 for share in (0.5, 0.99))
                words = f"{middle:.0f}/{late:.0f}/{times[-1] * 1e6:.0f}"
                verdict.figures[f"window until {name}, p50/p99/longest in µs"] = words
        return verdict, stage


def main() -> None:
    """Run and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--torn", action="store_true", help="a killed server comes back without its tail")
    arguments = parser.parse_args()
    # Connections that break are what this is about.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="qqbus-chaos-") as name:
        verdict, stage = anyio.run(
            partial(run, arguments.faults, arguments.seed, Path(name), torn=arguments.torn)
        )
        print(f"\nseed {arguments.seed}, {time.monotonic() - began:.0f} s")
        for figure, value in verdict.figures.items():
            print(f"{figure:40} {value}")
        for words in verdict.wrong:
            print(f"WRONG  {words}")
        if verdict.wrong:
            print(stage.log())
    sys.exit(1 if verdict.wrong else 0)


if __name__ == "__main__":
    main()
