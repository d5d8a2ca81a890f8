"""The stage of a benchmark: a server, a simulated QQ and our programs, each a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import redis.asyncio as redis

from adapter.bus.connection import connect
from adapter.bus.embedded import run_server
from tests.support.helpers import HASTY, PAGE_TOKEN, clean_environment, wait_until
from tests.support.ports import free_port

START = 30.0
ANSWER = 90.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Program:
    """A process; its standard output is read line by line, its standard error is a file."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu(self) -> float:
        """Seconds of CPU time so far."""
        return cpu(self.pid)

    def rss(self) -> float:
        """Megabytes of memory that are really there."""
        return rss(self.pid)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Not running for a while, as if the machine were busy elsewhere."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    async def ask(self, command: object) -> Any:
        """Write a line of JSON, and read one."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()
        return await self.told()

    async def told(self) -> Any:
        """Read the next line of JSON."""
        assert self.process.stdout is not None
        with anyio.fail_after(ANSWER):
            line = await anyio.to_thread.run_sync(self.process.stdout.readline, abandon_on_cancel=True)
        assert line, f"{self.process.args!r} ended:\n{self.log.read_text(encoding='utf-8')}"
        return json.loads(line)

    async def end(self) -> None:
        """Ask it to end, and wait for that."""
        self.process.send_signal(signal.SIGTERM)
        await wait_until(lambda: self.process.poll() is not None, f"{self.process.args!r} has ended", START)


@dataclass
class Stage:
    """One server, and what was started beside it."""

    url: str
    server: int
    client: "redis.Redis"
    folder: Path
    programs: list[Program] = field(default_factory=list)

    def start(self, *line: str, **settings: str) -> Program:
        """Start `python -m …`."""
        return self.launch(sys.executable, "-m", *line, environment=clean_environment(**settings))

    def launch(self, *line: str, environment: dict[str, str]) -> Program:
        """Start any program."""
        log = self.folder / f"{len(self.programs)}.log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                line, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
        self.programs.append(Program(process, log))
        return self.programs[-1]

    async def crowd(self, *options: str) -> "Crowd":
        """Start a simulated QQ whose people talk on command."""
        program = self.start("tests.bench.traffic", *options)
        origin = (await program.told())["origin"]
        return Crowd(program, origin, {"QQBUS_SMARTQQ_URL": origin})

    async def onebot_crowd(self) -> "Crowd":
        """Start an implementation of OneBot whose people talk on command."""
        program = self.start("tests.bench.onebot_crowd")
        origin = (await program.told())["origin"]
        return Crowd(program, origin, {"QQBUS_NETWORK": "onebot", "QQBUS_ONEBOT_URL": origin})

    def adapter_settings(self, crowd: "Crowd", prefix: str) -> dict[str, str]:
        """Return the settings of an adapter of this prefix: nothing paced, all promises on."""
        return {
            "REDIS_URL": self.url,
            "QQBUS_PREFIX": prefix,
            **crowd.settings,
            "QQBUS_STATE_DIR": str(self.folder / prefix),
            "QQBUS_SEND_INTERVAL": "0",
            "QQBUS_HTTP": "off",
            "QQBUS_HTTP_TOKEN": PAGE_TOKEN,
            "QQBUS_LEASE": "60",  # it is stopped for moments while the crowd prepares
        }

    async def adapter(self, crowd: "Crowd", prefix: str) -> Program:
        """Start the adapter, and wait until it is online and polls."""
        program = self.start("adapter", "run", **self.adapter_settings(crowd, prefix))
        await self.online(program, crowd, prefix)
        return program

    async def online(self, program: Program, crowd: "Crowd", prefix: str) -> None:
        """Wait until this adapter is online and polls."""

        async def online() -> bool:
            assert program.process.poll() is None, program.log.read_text(encoding="utf-8")
            row = await self.client.hmget(f"{prefix}:status", "state", "holder")
            return row[0] == b"online" and f":{program.pid}:".encode() in (row[1] or b"")

        await wait_until(online, "the adapter is online", START)
        await crowd.polled()

    async def session(self, crowd: "Crowd", prefix: str) -> Path:
        """Return a login of this crowd, left in a folder by an adapter that has ended."""
        await (await self.adapter(crowd, prefix)).end()
        return self.folder / prefix

    async def length(self, stream: str) -> int:
        return int(await self.client.xlen(stream))

    async def grown(self, stream: str, length: int) -> None:
        """Wait until a stream has so many entries."""

        async def long_enough() -> bool:
            return await self.length(stream) >= length

        await wait_until(long_enough, f"{stream} has {length} entries", ANSWER)

    async def rate(self, stream: str, first: int) -> float:
        """Entries a second by the server's own clock, behind the `first` ones."""
        rows: list[Any] = [
            await self.client.xrange(stream, count=1),
            await self.client.xrevrange(stream, count=1),
        ]
        begun, ended = (int(row[0][0].partition(b"-")[0]) for row in rows)
        return (await self.length(stream) - first) / (max(ended - begun, 1) / 1000)

    def server_cpu(self) -> float:
        return cpu(self.server)


@dataclass
class Crowd:
    """The simulated QQ in its process; `settings` lead an adapter there."""

    program: Program
    origin: str
    settings: dict[str, str]

    async def fill(self, count: int, **options: Any) -> None:
        """So many messages wait to be polled; `batch`: so many go into one answer."""
        await self.program.ask({"do": "fill", "count": count, **options})

    async def talk(self, count: int, rate: float) -> None:
        """So many messages, so many a second; each begins with the time at which it was said."""
        await self.program.ask({"do": "talk", "count": count, "rate": rate})

    async def heard(self, count: int) -> list[float]:
        """How long the next `count` answers took, in seconds from what was said."""
        return list((await self.program.ask({"do": "heard", "count": count}))["seconds"])

    async def polled(self) -> float:
        """Wait until somebody polls; the time of that, in seconds since 1970."""
        return float((await self.program.ask({"do": "polled"}))["time"])


@asynccontextmanager
async def staged(folder: Path, *options: str) -> AsyncIterator[Stage]:
    """Run a server on a free port, and end all programs afterwards. `options`: of the server's command line."""
    folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as opened:
        url = await opened.enter_async_context(
            run_server(folder / "redis", free_port(), options=(*HASTY, *options))
        )
        client = connect(url, timeout=ANSWER)
        opened.push_async_callback(client.aclose)
        server = int((await client.info("server"))["process_id"])
        stage = Stage(url, server, client, folder)
        try:
            yield stage
        finally:
            for program in stage.programs:
                program.process.send_signal(signal.SIGCONT)
                program.process.kill()
            with anyio.CancelScope(shield=True):
                for program in stage.programs:
                    await anyio.to_thread.run_sync(program.process.wait)
                    for pipe in (program.process.stdin, program.process.stdout):
                        if pipe is not None:
                            pipe.close()


def cpu(pid: int) -> float:
    """Seconds of CPU time of a process; from its threads' statistics, which count in nanoseconds."""
    try:
        threads = Path(f"/proc/{pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        pass
    try:
        row = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(row[11]) + int(row[12])) / TICKS
    except FileNotFoundError:
        return float("nan")  # no Linux: nothing to look at


def rss(pid: int) -> float:
    """Megabytes of memory of a process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
