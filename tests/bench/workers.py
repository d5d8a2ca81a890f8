"""Worker runtime: handlers that do nothing consume and acknowledge a backlog, in 1 and 4 processes.

Beside a bare loop that acknowledges in batches, and beside other frameworks in environments of their own.
"""

import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from tests.bench import peers
from tests.bench.entries import copy, fill
from tests.bench.figures import Findings, Want
from tests.bench.stage import Program, Stage, staged

NAME = "workers"
EVENTS = 30_000
GROUP = "bench"
# Consumers come and go; lanes have settled by then.
SETTLED = 1.5
# Copies by the million would have the server rewrite its file again and again: 1.5 µs of its CPU an event.
STEADY = ("--auto-aof-rewrite-percentage", "0")


@dataclass
class Team:
    """Processes that share one stream, and what each repetition gave."""

    prefix: str
    processes: list[Program]
    rates: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)

    def cpu(self) -> float:
        return sum(program.cpu() for program in self.processes)


async def run(findings: Findings, folder: Path) -> None:
    """All teams in turns, each alone; then the peers in turns with one process of ours."""
    number = findings.some(EVENTS)
    async with staged(folder, *STEADY) as stage:
        await fill(stage.url, "bulk", number)
        teams = {
            name: await team(stage, name.replace(" ", "-"), count, lanes=lanes, bare=bare)
            for name, count, lanes, bare in (
                ("1 process", 1, False, False),
                ("4 processes", 4, False, False),
                ("1 process, lanes", 1, True, False),
                ("4 processes, lanes", 4, True, False),
                ("bare 1", 1, False, True),
                ("bare 4", 4, False, True),
            )
        }
        await anyio.sleep(SETTLED)
        for turn in findings.turns:
            for one in teams.values():
                await consume(stage, one, number, counts=bool(turn))
        tell(findings, teams)
        for one in list(teams.values())[1:]:
            for program in one.processes:
                await program.end()
        await beside_peers(findings, stage, teams["1 process"])


async def team(stage: Stage, prefix: str, count: int, *, lanes: bool, bare: bool) -> Team:
    """Start so many processes and wait until all of them read."""
    await stage.client.xgroup_create(f"{prefix}:inbound", GROUP, "0", mkstream=True)
    line = ("baseline", "consume", stage.url, prefix) if bare else ("listener", "idle")
    extra = ("lanes",) if lanes else ()
    settings = {"REDIS_URL": stage.url, "QQBUS_PREFIX": prefix}
    made = Team(
        prefix,
        [stage.start(f"tests.bench.{line[0]}", *line[1:], *extra, **settings) for _ in range(count)],
    )
    if not lanes:  # there only one of them reads the stream
        await consumers(stage, prefix, count)
    return made


async def consumers(stage: Stage, prefix: str, count: int) -> None:
    """Wait until so many consumers have read."""
    with anyio.fail_after(30):
        while True:
            (row,) = await stage.client.xinfo_groups(f"{prefix}:inbound")
            if row["consumers"] >= count:
                return
            await anyio.sleep(0.02)


async def consume(stage: Stage, one: Team, number: int, *, counts: bool) -> None:
    """All events appear in one moment; measured until the last one is acknowledged."""
    stream = f"{one.prefix}:inbound"
    before = one.cpu()
    await copy(stage.client, "bulk:inbound", stream, number)
    began = time.perf_counter()
    last = (await stage.client.xinfo_stream(stream))["last-generated-id"]
    with anyio.fail_after(90):
        while True:
            (row,) = await stage.client.xinfo_groups(stream)
            if row["last-delivered-id"] == last and not row["pending"]:
                break
            await anyio.sleep(0.005)
    seconds = time.perf_counter() - began
    await stage.client.xtrim(stream, maxlen=0, approximate=False)
    if counts:
        one.rates.append(number / seconds)
        one.spent.append((one.cpu() - before) / number * 1e6)


def tell(findings: Findings, teams: dict[str, Team]) -> None:
    """Measure the rows of our own teams."""
    one, four = teams["1 process"], teams["4 processes"]
    lane, lanes = teams["1 process, lanes"], teams["4 processes, lanes"]
    bare, bares = teams["bare 1"], teams["bare 4"]

    def add(what: str, ours: Team, beside: str, other: Team, want: Want | None = None) -> None:
        findings.add(NAME, what, "events/s", ours.rates, beside=beside, others=other.rates, want=want)

    add("1 process", one, "bare loop, batched acks", bare, Want(least=0.6))
    add("4 processes", four, "4 bare loops", bares)
    # The machine's own measure: two cores are nearly full with one process and the server it keeps busy.
    add("4 bare loops", bares, "1 bare loop", bare)
    add("4 processes", four, "1 process", one, Want(least=1.6))
    add("1 process, lanes", lane, "without lanes", one, Want(least=0.8))
    add("4 processes, lanes", lanes, "without lanes", four, Want(least=0.8))
    findings.add(
        NAME, "CPU, 1 process", "µs/event", one.spent, beside="bare loop, batched acks", others=bare.spent
    )
    findings.add(
        NAME, "CPU, 4 processes, lanes", "µs/event", lanes.spent, beside="without lanes", others=four.spent
    )


async def beside_peers(findings: Findings, stage: Stage, ours: Team) -> None:
    """In each turn every framework has about a second's worth, then one process of ours."""
    found = await anyio.to_thread.run_sync(peers.prepared)
    rates = {name: list[float]() for name in found}
    mine = list[float]()
    running = {
        name: stage.launch(str(place), str(peers.script(name)), stage.url, environment=peers.environment())
        for name, place in found.items()
        if isinstance(place, Path)
    }
    number = findings.some(EVENTS)
    for turn in findings.turns:
        for name, program in running.items():
            answer = await program.ask(findings.some(peers.PEERS[name].events))
            if turn:
                rates[name].append(answer["events"] / answer["seconds"])
        await consume(stage, ours, number, counts=True)
        if turn:
            mine.append(ours.rates[-1])
    fastest = max((statistics.median(values) for values in rates.values() if values), default=0.0)
    for name, place in found.items():
        label = f"{name} {peers.PEERS[name].version}"
        if not isinstance(place, Path):
            findings.add(NAME, f"1 process beside {label}", "events/s", [], note=place)
            continue
        best = statistics.median(rates[name]) == fastest
        want = Want(least=10.0) if best else None
        findings.add(NAME, "1 process", "events/s", mine, beside=label, others=rates[name], want=want)
