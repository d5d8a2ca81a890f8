"""The chaos run: `python -m tests.chaos --network onebot --faults 60 --seed 1`. 0 if everything held."""

import argparse
import logging
import random
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import anyio

from adapter.bus.connection import connect, map_redis_errors
from adapter.bus.keys import GROUP
from adapter.errors import BusUnavailable
from tests.chaos import fast_official, fast_onebot
from tests.chaos.checker import Verdict
from tests.chaos.cluster import Stage, staged
from tests.chaos.faults import COMMON, Fault
from tests.chaos.gateway import run as run_gateway
from tests.chaos.hostile import MOST_MB, RSS, beside, note_memory
from tests.chaos.network import Network
from tests.chaos.official import Official
from tests.chaos.onebot import OneBot
from tests.chaos.smartqq import SmartQQ

RATE = 40.0  # messages a second
GAP = 0.8  # seconds between two faults
# Without any change; a loaded machine answers late, and then goes on.
SETTLE = 90.0
STREAMS = ("inbound", "outbound", "results")
ONLINE = 60.0
# How an adapter can be broken.
WAYS = {"onebot": fast_onebot.WAYS, "official": fast_official.WAYS}


async def talk(network: Network, stop: anyio.Event, chance: random.Random) -> None:
    """People write, all the time."""
    while not stop.is_set():
        network.say(chance)
        await anyio.sleep(chance.expovariate(RATE))


async def settled(stage: Stage) -> None:
    """Wait until all is published, asked and answered, or until nothing has moved for SETTLE seconds."""
    client, moved = connect(stage.url, timeout=10.0), time.monotonic()
    before: tuple[int, ...] = ()
    still = 0
    try:
        while time.monotonic() - moved < SETTLE and still < 3:
            await anyio.sleep(1.0)
            try:
                with map_redis_errors():
                    now = tuple([await client.xlen(f"qq:{name}") for name in STREAMS])
                    # A hostile neighbour takes its results elsewhere: what counts is that nothing waits.
                    waiting = await client.xpending("qq:outbound", GROUP)
            except BusUnavailable:
                continue
            inbound, outbound, results = now
            is_answered = results >= outbound or not waiting["pending"]
            done = is_answered and inbound >= stage.network.expected
            still = still + 1 if done and now == before else 0
            if now != before:
                before, moved = now, time.monotonic()
    finally:
        await client.aclose()


async def run(
    network: Network,
    faults: int,
    seed: int,
    folder: Path,
    *,
    adapters: int = 2,
    torn: bool = False,
    hostile: bool = False,
    only: str = "",
) -> tuple[Verdict, Stage]:
    """Run once; `hostile`: with a neighbour that writes what no worker should; `only`: a fault of the network."""
    neighbour: dict[str, object] = {}
    chance = random.Random(seed)
    counts: dict[str, int] = {}
    async with network, staged(folder, network, adapters, torn=torn) as stage:
        await network.wait_online(ONLINE)
        choices: dict[Fault, int] = {getattr(network, only): 1} if only else {**COMMON, **network.faults}
        # Drawn before people write, who draw as often as there is time: a seed stands for the same faults.
        drawn = random.Random(seed).choices(list(choices), list(choices.values()), k=faults)
        stop = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(talk, network, stop, chance)
            if hostile:
                tasks.start_soon(beside, stage, seed, neighbour)
            for number, fault in enumerate(drawn):
                name = getattr(fault, "__name__", "")
                counts[name] = counts.get(name, 0) + 1
                print(f"\r{number + 1}/{faults} {name:14}", end="", file=sys.stderr, flush=True)
                began = time.time()
                await fault(stage, chance)
                stage.happened.append((name, began, time.time()))
                await anyio.sleep(chance.uniform(0, 2 * GAP))
            stop.set()
            tasks.cancel_scope.cancel()
        network.calm()
        await settled(stage)
        if hostile:  # what the attack left is worked off in this time
            note_memory(stage, neighbour)
        client = connect(stage.url, timeout=10.0)
        verdict = await network.judge(client, stage)
        await client.aclose()
        verdict.figures = {
            "workers": ", ".join(role.name for role in stage.workers),
            "faults": counts,
            **neighbour,
            **verdict.figures,
        }
        if int(str(neighbour.get(RSS, 0))) >= MOST_MB:
            verdict.wrong.append(f"an adapter had more than {MOST_MB} MB")
        return verdict, stage


def _network(name: str, broken: str) -> Network:
    match name:
        case "onebot":
            return OneBot(broken)
        case "official":
            return Official(broken)
        case _:
            return SmartQQ()


def main() -> None:
    """Run and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=("smartqq", "onebot", "official"), default="smartqq")
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--adapters", type=int, default=2, help="one without a standby, or two (default)")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--broken", default="whole", help="of OneBot or the official API: the run must fail")
    parser.add_argument("--torn", action="store_true", help="a killed server comes back without its tail")
    parser.add_argument("--gateway", action="store_true", help="bots at two gateways instead of workers")
    parser.add_argument("--hostile", action="store_true", help="beside a worker that attacks the bus")
    parser.add_argument("--keep", type=Path, help="a new folder for all files of the run")
    arguments = parser.parse_args()
    if arguments.broken not in WAYS.get(arguments.network, ("whole",)):
        parser.error(f"--broken of this network: {', '.join(WAYS.get(arguments.network, ('whole',)))}")
    # Connections that break are what this is about.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="qqbus-chaos-") as name:
        chaos = partial(run, adapters=arguments.adapters, torn=arguments.torn, hostile=arguments.hostile)
        folder = arguments.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.gateway:
            verdict, stage = anyio.run(run_gateway, arguments.faults, arguments.seed, folder)
        else:
            network = _network(arguments.network, arguments.broken)
            verdict, stage = anyio.run(chaos, network, arguments.faults, arguments.seed, folder)
        print(f"\nseed {arguments.seed}, {time.monotonic() - began:.0f} s")
        for figure, value in verdict.figures.items():
            print(f"{figure:40} {value}")
        for words in verdict.wrong:
            print(f"WRONG  {words}")
        if verdict.wrong:
            for fault, start, end in sorted(stage.happened, key=lambda one: one[1]):
                print(f"{start:.3f} to {end:.3f}  {fault}")
            print(stage.log())
    sys.exit(1 if verdict.wrong else 0)


if __name__ == "__main__":
    main()
