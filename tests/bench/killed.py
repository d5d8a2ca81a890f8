"""The same bot on every framework, its process killed again and again: what is lost, done twice, left lying.

Also how many lines each takes (tests/bench/bots), and what becomes of an event that can never be handled.
"""

import ast
import io
import random
import subprocess
import sys
import time
import tokenize
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import redis.asyncio as redis
from redis.exceptions import ResponseError

from tests.bench import peers
from tests.bench.figures import Findings, Want
from tests.bench.stage import Program, Stage, staged
from tests.support.bus_events import fields, message
from tests.support.helpers import clean_environment

NAME = "killed"
BOTS = Path(__file__).with_name("bots")
SEED = 7
EVENTS, A_SECOND, CHATS, KILLS = 2_000, 80, 50, 10
# A kill comes so soon after a process has begun to work: what waited for it is in hand then.
SOON = 0.5
# No process takes longer until its first event; those that never get one are killed all the same.
BEGINS = 15.0
# Longer than any of them takes to find out that a process is gone (arq: 15 s), and the end in any case.
QUIET, MOST = 20.0, 120.0
# Two at a time: a core each on the smallest machine.
TOGETHER = 2

Held = Callable[["redis.Redis"], Awaitable[int]]


def of_group(stream: str, group: str) -> Held:
    """Return what a consumer group has not acknowledged, or not read yet."""

    async def held(client: "redis.Redis") -> int:
        rows: list[Any] = await client.xinfo_groups(stream)
        return sum(row["pending"] + (row["lag"] or 0) for row in rows if row["name"] == group.encode())

    return held


async def of_arq(client: "redis.Redis") -> int:
    """Jobs in its queue; one in hand stays there until it is done."""
    return int(await client.zcard("arq:queue"))


async def of_docket(client: "redis.Redis") -> int:
    """Tasks that are due, and those that will be."""
    return int(await client.xlen("pong:stream")) + int(await client.zcard("pong:queue"))


async def nobody(_: "redis.Redis") -> int:
    """Without a group nothing is kept for anybody."""
    return 0


@dataclass(frozen=True)
class Contender:
    """A bot, how it is set, and where its framework keeps what is not done.

    `peer`: whose interpreter runs it; ours if empty. `bridge`: a job queue has to be fed from the stream.
    """

    name: str
    how: str
    bot: str
    held: Held
    peer: str = ""
    bridge: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        version = f" {peers.PEERS[self.peer].version}" if self.peer else ""
        return self.name.replace(self.peer, self.peer + version) if self.peer else self.name

    def lines(self) -> int:
        return code_lines((BOTS / f"{self.bot}.py").read_text(encoding="utf-8"))


BUS = of_group("qq:inbound", "pong")
CONTENDERS = (
    Contender("qqbus", "claim_after 5 s", "qqbus_bot", BUS),
    Contender("qqbus, lanes", "lease 6 s", "qqbus_bot", BUS, settings={"PONG_LANES": "1"}),
    Contender(
        "FastStream",
        "NACK_ON_ERROR, a second subscriber with min_idle_time 5 s",
        *("faststream_bot", BUS, "FastStream"),
    ),
    Contender("FastStream, a group alone", "group and consumer", "faststream_plain_bot", BUS, "FastStream"),
    Contender(
        "FastStream, defaults",
        "the stream's name and nothing else",
        *("faststream_plain_bot", nobody, "FastStream"),
        settings={"PONG_NO_GROUP": "1"},
    ),
    Contender("arq", "max_tries 5, job_timeout 5 s", "arq_bot", of_arq, "arq", "arq"),
    Contender(
        "taskiq-redis",
        "RedisStreamBroker, idle_timeout 5 s, SmartRetryMiddleware and a scheduler",
        *("taskiq_redis_bot", of_group("taskiq", "taskiq"), "taskiq-redis", "taskiq_redis"),
    ),
    Contender(
        "docket",
        "redelivery_timeout 5 s, ExponentialRetry",
        *("docket_bot", of_docket, "docket", "docket"),
    ),
)


@dataclass
class Outcome:
    """What became of one contender's events."""

    lost: int
    left: int
    twice: int
    disorder: int
    tries: list[float]
    buried: bool
    kills: int
    seconds: float


@dataclass
class Said:
    """The events of one contender, in the order in which they were said."""

    chats: dict[str, str] = field(default_factory=dict)
    poison: str = ""

    async def publish(self, client: "redis.Redis", text: str, chat: str) -> str:
        draft = message(text, chat)
        await client.execute_command("XADD", "qq:inbound", "*", *fields(draft))  # type: ignore[no-untyped-call]
        return draft.id

    async def all(self, client: "redis.Redis", number: int) -> None:
        """So many, at an even pace."""
        began = time.monotonic()
        for n in range(number):
            await anyio.sleep(max(0.0, began + n / A_SECOND - time.monotonic()))
            chat = f"group:{n % CHATS + 1}"
            self.chats[await self.publish(client, f"#ping {n}", chat)] = chat


class Trial:
    """One contender at work on a server of its own."""

    def __init__(self, stage: Stage, contender: Contender, python: str) -> None:
        self.stage = stage
        self.contender = contender
        self.said = Said()
        self._log = stage.folder / "work.txt"
        self._log.touch()
        ours = clean_environment(PYTHONPATH=str(peers.ROOT)) if not contender.peer else peers.environment()
        self._environment = ours | {"REDIS_URL": stage.url, "PONG_LOG": str(self._log), **contender.settings}
        self._python = python

    def start(self, script: str, *arguments: str) -> Program:
        """Start one of the scripts; it is ended with the stage."""
        line = (self._python, str(BOTS / f"{script}.py"), *arguments)
        log = self.stage.folder / f"{len(self.stage.programs)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                line, env=self._environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self.stage.programs.append(Program(process, log))
        return self.stage.programs[-1]

    def work(self) -> list[tuple[float, str]]:
        """Return the work done so far, with the time."""
        rows = (line.split() for line in self._log.read_text(encoding="ascii").splitlines())
        return [(float(moment), event) for moment, event in rows]

    async def run(self, number: int, kills: int) -> Outcome:
        """Talk, kill, and see what becomes of it."""
        began = time.monotonic()
        client = self.stage.client
        if self.contender.held is not nobody:
            await client.xgroup_create("qq:inbound", "pong", "0", mkstream=True)
        if self.contender.bridge:
            self.start("bridge", self.contender.bridge)
        done = 0
        async with anyio.create_task_group() as group:
            group.start_soon(self.said.all, client, number)
            for soon in moments(kills):
                done += await self._killed_after(soon)
            self.start(self.contender.bot)
        self.said.poison = await self.said.publish(client, "#ping poison", "group:1")
        await self._settled()
        return await self._outcome(done, time.monotonic() - began)

    async def _killed_after(self, soon: float) -> bool:
        """One process; whether it was killed at work."""
        before = self._log.stat().st_size
        program = self.start(self.contender.bot)
        with anyio.move_on_after(BEGINS):
            while self._log.stat().st_size == before:
                assert program.process.poll() is None, program.log.read_text(encoding="utf-8")
                await anyio.sleep(0.002)
        await anyio.sleep(soon)
        program.process.kill()
        await anyio.to_thread.run_sync(program.process.wait)
        return self._log.stat().st_size > before

    async def _settled(self) -> None:
        """Until all is done, or nothing has changed for a while."""
        end = time.monotonic() + MOST
        seen, since = -1, time.monotonic()
        while time.monotonic() < min(end, since + QUIET):
            size = self._log.stat().st_size
            if size != seen:
                seen, since = size, time.monotonic()
            buried = await self.stage.client.xlen("qq:dead")
            if buried and not await self._held() and len(await self._answered()) == len(self.said.chats):
                return
            await anyio.sleep(0.2)

    async def _held(self) -> int:
        with suppress(ResponseError):  # before there is such a stream
            return await self.contender.held(self.stage.client)
        return 0

    async def _answered(self) -> set[str]:
        rows: Any = await self.stage.client.xrange("qq:outbound")
        return {row[b"cause"].decode() for _, row in rows}

    async def _outcome(self, kills: int, seconds: float) -> Outcome:
        work = self.work()
        times = Counter(event for _, event in work if event != self.said.poison)
        silent = len(self.said.chats.keys() - await self._answered())
        buried = bool(await self.stage.client.xlen("qq:dead"))
        tries = [moment for moment, event in work if event == self.said.poison]
        held = await self._held() - (bool(tries) and not buried)
        left = min(silent, max(0, held))
        return Outcome(
            lost=silent - left,
            left=left,
            twice=sum(count > 1 for count in times.values()),
            disorder=disorder([event for _, event in work], self.said.chats),
            tries=tries,
            buried=buried,
            kills=kills,
            seconds=seconds,
        )


async def run(findings: Findings, folder: Path) -> None:
    """All contenders, two at a time, each with a server of its own."""
    found = await anyio.to_thread.run_sync(peers.prepared)
    number, kills = findings.some(EVENTS), 2 if findings.quick else KILLS
    outcomes: dict[str, Outcome | str] = {}
    limit = anyio.CapacityLimiter(TOGETHER)

    async def one(contender: Contender) -> None:
        place = found[contender.peer] if contender.peer else Path(sys.executable)
        if not isinstance(place, Path):
            outcomes[contender.name] = place
            return
        async with limit, staged(folder / contender.name.replace(" ", "-")) as stage:
            outcomes[contender.name] = await Trial(stage, contender, str(place)).run(number, kills)

    async with anyio.create_task_group() as group:
        for contender in CONTENDERS:
            group.start_soon(one, contender)
    print(table([(contender, outcomes[contender.name]) for contender in CONTENDERS], number))
    for contender in CONTENDERS:
        outcome = outcomes[contender.name]
        if isinstance(outcome, str):
            findings.add(NAME, contender.label, "events", [], note=outcome)
            continue
        want = None if contender.peer else Want(most=0.0)
        what = f"{contender.label}: lost or left lying"
        findings.add(NAME, what, "events", [float(outcome.lost + outcome.left)], want=want)


def moments(kills: int) -> list[float]:
    """When the kills come, in seconds after a process has begun to work; the same for everybody.

    Most come early, while it works off what has waited for it.
    """
    chance = random.Random(SEED)
    return [SOON * chance.random() ** 2 for _ in range(kills)]


def disorder(worked: list[str], chats: dict[str, str]) -> int:
    """How many events were first handled after a later one of their chat."""
    place = {event: number for number, event in enumerate(chats)}
    latest: dict[str, int] = {}
    late = 0
    for event in dict.fromkeys(worked):
        if event not in place:
            continue
        chat = chats[event]
        late += place[event] < latest.get(chat, -1)
        latest[chat] = max(place[event], latest.get(chat, -1))
    return late


def code_lines(source: str) -> int:
    """Lines that hold code: no blank ones, comments or docstrings."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    code = {n for token in tokens if token.string.strip() for n in range(token.start[0], token.end[0] + 1)}
    lines = source.splitlines()
    remarks = {n for n in code if lines[n - 1].lstrip().startswith("#")}
    words = {
        n
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for n in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return len(code - words - remarks)


HEAD = "| | lines | lost | left lying | handled twice | out of order | tries of a failing one, s between | dead letter |"


def table(rows: list[tuple[Contender, Outcome | str]], number: int) -> str:
    """For the terminal and the README."""
    shown = [
        f"{number:,} events in {CHATS} chats, {A_SECOND} a second; killed at work as often as stands behind each.",
        *("", HEAD, "|---|" + "---:|" * 5 + "---|---|"),
    ]
    notes = [""]
    for contender, outcome in rows:
        if isinstance(outcome, str):
            shown.append(f"| {contender.label} | {contender.lines()} | {outcome} | | | | | |")
            continue
        gaps = [f"{b - a:.1f}" for a, b in zip(outcome.tries, outcome.tries[1:], strict=False)]
        tries = f"{len(outcome.tries)}" + (f": {', '.join(gaps)}" if gaps else "")
        figures = (contender.lines(), outcome.lost, outcome.left, outcome.twice, outcome.disorder)
        cells = [contender.label, *map(str, figures), tries, "yes" if outcome.buried else "no"]
        shown.append(f"| {' | '.join(cells)} |")
        fed = ", fed by a bridge that is not killed" if contender.bridge else ""
        notes.append(
            f"{contender.label}: {contender.how}{fed}; {outcome.kills} kills, {outcome.seconds:.0f} s"
        )
    return "\n".join([*shown, *notes, ""])
