"""Gateway: events through it to a bare bot, its memory, and the way from a message to a bot's answer.

Beside a bare worker loop that acknowledges in batches, and beside nonebot2 directly on an implementation.
"""

import statistics
from pathlib import Path

import anyio

from tests.bench.entries import ACCOUNT, fill
from tests.bench.figures import Findings, Want, percentile
from tests.bench.stage import Crowd, Program, Stage, staged
from tests.bench.workers import STEADY, Team, consume, team
from tests.peers import environment
from tests.peers.onebot.check import PACKAGES
from tests.support.ports import free_port

NAME = "gateway"
EVENTS = 30_000
# Events behind which memory is looked at, and by how many megabytes it may have grown.
MANY, STEP, FLAT_MB = 200_000, 20_000, 16.0
# Messages a second of the round trip, and so many in a repetition.
RATE, COUNT = 50, 200
PEERS = Path(environment.__file__).parent


async def run(findings: Findings, folder: Path) -> None:
    """Measure the flood and memory, then round trips."""
    async with staged(folder / "flood", *STEADY) as stage:
        await floods(findings, stage)
    async with staged(folder / "trips") as stage:
        await trips(findings, stage)


async def floods(findings: Findings, stage: Stage) -> None:
    """Ours and the bare loop in turns; then many events, with an eye on memory."""
    number = findings.some(EVENTS)
    await fill(stage.url, "bulk", number)
    ours, bot = await gateway(stage, "gw")
    bare = await team(stage, "bare", 1, lanes=False, bare=True)
    for turn in findings.turns:
        await flood(stage, ours, bot, number, counts=bool(turn))
        await consume(stage, bare, number, counts=bool(turn))
    beside = "bare worker loop, batched acks"
    want = Want(least=0.5)
    findings.add(NAME, "flood", "events/s", ours.rates, beside=beside, others=bare.rates, want=want)
    findings.add(NAME, "CPU, flood", "µs/event", ours.spent, beside=beside, others=bare.spent)
    await memory(findings, stage, ours, bot)


async def gateway(stage: Stage, prefix: str, *options: str) -> tuple[Team, Program]:
    """Start a gateway of an account that is known, and a bare bot at it."""
    await stage.client.hset(
        f"{prefix}:status", mapping={"account": ACCOUNT, "state": "online", "network": "onebot"}
    )
    address = f"127.0.0.1:{free_port()}"
    line = ("consumers.onebot", "--listen", address, "--max-age", "0", *options)
    program = stage.start(*line, REDIS_URL=stage.url, QQBUS_PREFIX=prefix)
    bot = stage.start("tests.bench.gateway_bot", f"ws://{address}/event")
    await bot.told()
    return Team(prefix, [program]), bot


async def flood(stage: Stage, ours: Team, bot: Program, number: int, *, counts: bool) -> None:
    """Let all events appear in one moment; measured until the last one is acknowledged."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bot.ask, number)
        await consume(stage, ours, number, counts=counts)


async def memory(findings: Findings, stage: Stage, ours: Team, bot: Program) -> None:
    """Send many events, and compare the memory of the second half with that of the first."""
    step = findings.some(STEP)
    levels = list[float]()
    for _ in range(0, findings.some(MANY), step):
        await flood(stage, ours, bot, step, counts=False)
        levels.append(ours.processes[0].rss())
    half = len(levels) // 2
    grown = [max(levels[half:]) - max(levels[:half])]
    findings.add(NAME, f"memory over {MANY:,} events", "MB more", grown, want=Want(most=FLAT_MB))


async def trips(findings: Findings, stage: Stage) -> None:
    """Measure from a message until nonebot2's answer has reached the chat, by the bus and directly."""
    constraints = PEERS / "onebot" / "constraints.txt"
    try:
        python = await anyio.to_thread.run_sync(environment.prepare, "onebot", PACKAGES, constraints)
    except environment.PreparationError:
        findings.add(NAME, "message → nonebot2 → send", "ms", [], note="nonebot2 cannot be installed here")
        return
    ours, direct = await by_the_bus(stage, python), await directly(stage, python)
    number = findings.some(COUNT)
    slow, fast = list[list[float]](), list[list[float]]()
    for turn in findings.turns:
        one, two = await answered(ours, number), await answered(direct, number)
        if turn:
            slow.append(one)
            fast.append(two)
    beside = "nonebot2 directly on the implementation"
    for what, of, want in (
        ("p50", statistics.median, Want(most=1.5)),
        ("p99", lambda part: percentile(part, 0.99), None),
    ):
        values, others = ([of(part) * 1000 for part in side] for side in (slow, fast))
        label = f"message → nonebot2 → send, {what}"
        findings.add(NAME, label, "ms", values, beside=beside, others=others, want=want)


async def answered(crowd: Crowd, number: int) -> list[float]:
    """Let people talk; how long each answer took, in seconds."""
    await crowd.talk(number, RATE)
    return await crowd.heard(number)


async def by_the_bus(stage: Stage, python: Path) -> Crowd:
    """Start crowd, adapter, gateway and bot."""
    crowd = await stage.onebot_crowd()
    await stage.adapter(crowd, "qq")
    address = f"127.0.0.1:{free_port()}"
    stage.start("consumers.onebot", "--listen", address, REDIS_URL=stage.url)
    await nonebot(stage, python, f"ws://{address}/")
    return crowd


async def directly(stage: Stage, python: Path) -> Crowd:
    """Start crowd and bot."""
    crowd = await stage.onebot_crowd()
    await nonebot(stage, python, crowd.origin)
    return crowd


async def nonebot(stage: Stage, python: Path, url: str) -> None:
    """Start nonebot2 with an echo, and wait until it is connected."""
    file = Path(__file__).parent / "peers" / "nonebot2_echo.py"
    settings = {"BOT_URL": url, "HOME": str(stage.folder)}
    await stage.launch(str(python), str(file), environment=settings).told()
