"""OneBot: a flood on one socket into `qq:inbound`, and the way from a message to a worker's answer.

Beside the same by hand without a promise, and beside nonebot2 with a matcher that does nothing. Each has an
implementation of its own, in a process of its own.
"""

import statistics
import time
from pathlib import Path

import anyio

from tests.bench.figures import Findings, Want, percentile
from tests.bench.latency import Side, reading
from tests.bench.roundtrip import answered
from tests.bench.stage import Crowd, Program, Stage, staged
from tests.peers import environment
from tests.peers.onebot.check import PACKAGES

NAME = "onebot"
FLOOD = 15_000
# nonebot2 gets a few seconds' worth.
NONEBOT = 5_000
# Messages a second of the round trip, and so many in a repetition.
RATE, COUNT = 50, 200
PEERS = Path(environment.__file__).parent


async def run(findings: Findings, folder: Path) -> None:
    """Measure floods, then round trips."""
    async with staged(folder / "flood") as stage:
        await floods(findings, stage)
    async with staged(folder / "trips") as stage:
        await trips(findings, stage)


async def floods(findings: Findings, stage: Stage) -> None:
    """Ours, the floor and nonebot2 in turns."""
    crowd, other, third = [await stage.onebot_crowd() for _ in range(3)]
    adapter = await stage.adapter(crowd, "qq")
    floor = stage.start("tests.bench.onebot_floor", "flood", stage.url, "bare", other.origin)
    await other.polled()
    few = findings.some(NONEBOT)
    nonebot = await peer(stage, third, few)
    number = findings.some(FLOOD)
    ours, bare, theirs, spent, needed = (list[float]() for _ in range(5))
    for turn in findings.turns:
        before, rest = adapter.cpu(), floor.cpu()
        one = await flood(stage, crowd, "qq:inbound", number)
        cost = (adapter.cpu() - before) / number * 1e6
        two = await flood(stage, other, "bare:inbound", number)
        least = (floor.cpu() - rest) / number * 1e6
        three = None
        if isinstance(nonebot, Program):
            await third.program.ask({"do": "flood", "count": few})
            # From here on the frames leave; nonebot2 begins with handlers when it has read all of them.
            began = time.perf_counter()
            await nonebot.told()
            three = few / (time.perf_counter() - began)
        if turn:
            ours.append(one)
            bare.append(two)
            spent.append(cost)
            needed.append(least)
            theirs += [] if three is None else [three]
    beside = "websockets, json, pipeline of up to 100"
    findings.add(NAME, "flood", "events/s", ours, beside=beside, others=bare, want=Want(least=1.0))
    if isinstance(nonebot, str):
        findings.add(NAME, "flood beside nonebot2", "events/s", [], note=nonebot)
    else:
        label = "nonebot2, empty matcher"
        findings.add(NAME, "flood", "events/s", ours, beside=label, others=theirs, want=Want(least=10.0))
    # Other work on the machine disturbs this less than a rate.
    findings.add(NAME, "adapter's CPU, flood", "µs/event", spent, beside="the same by hand", others=needed)


async def flood(stage: Stage, crowd: Crowd, stream: str, number: int) -> float:
    """Let so many messages come at once; entries a second by the server's clock."""
    await stage.client.delete(stream)
    await crowd.program.ask({"do": "flood", "count": number})
    await stage.grown(stream, number)
    return await stage.rate(stream, 1)


async def peer(stage: Stage, crowd: Crowd, count: int) -> Program | str:
    """Start nonebot2 in its environment; returns why not, if it cannot be installed."""
    constraints = PEERS / "onebot" / "constraints.txt"
    try:
        python = await anyio.to_thread.run_sync(environment.prepare, "onebot", PACKAGES, constraints)
    except environment.PreparationError:
        return "cannot be installed here"
    file = Path(__file__).parent / "peers" / "nonebot2_peer.py"
    settings = {"BOT_URL": crowd.origin, "BOT_COUNT": str(count), "HOME": str(stage.folder)}
    program = stage.launch(str(python), str(file), environment=settings)
    await program.told()
    return program


async def trips(findings: Findings, stage: Stage) -> None:
    """Measure from a message until the worker's answer has reached the chat, ours and by hand in turns."""
    ours, bare = await our_side(stage), await bare_side(stage)
    number = findings.some(COUNT)
    fast, floor = list[list[float]](), list[list[float]]()
    for turn in findings.turns:
        one, two = await answered(ours, number, RATE), await answered(bare, number, RATE)
        if turn:
            fast.append(one)
            floor.append(two)
    beside = "the same by hand: two processes, XADD, XREADGROUP"
    for what, of, most in (
        ("p50", statistics.median, 1.5),
        ("p99", lambda part: percentile(part, 0.99), 2.0),
    ):
        values, others = ([of(part) * 1000 for part in side] for side in (fast, floor))
        want = Want(most=most)
        findings.add(
            NAME, f"message → handler → send, {what}", "ms", values, beside=beside, others=others, want=want
        )


async def our_side(stage: Stage) -> Side:
    """Start crowd, adapter and worker."""
    crowd = await stage.onebot_crowd()
    await stage.adapter(crowd, "qq")
    listener = stage.start("tests.bench.listener", "echo", REDIS_URL=stage.url)
    await reading(stage, "qq:inbound", "bench")
    return crowd, listener


async def bare_side(stage: Stage) -> Side:
    """Start the same, written by hand."""
    crowd = await stage.onebot_crowd()
    reader = stage.start("tests.bench.onebot_floor", "read", stage.url, "bare")
    await reading(stage, "bare:inbound", "bare")
    stage.start("tests.bench.onebot_floor", "bridge", stage.url, "bare", crowd.origin)
    await crowd.polled()
    return crowd, reader
