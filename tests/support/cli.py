"""The command line for tests: commands as real processes, and what they need on the bus."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from adapter.bus.bus import Bus
from adapter.contract.samples import goldens
from tests.support.helpers import clean_environment
from tests.support.system_harness import System, system

GOLDENS = {golden.name: golden for golden in goldens()}
LINE = [sys.executable, "-m", "adapter"]


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Cli:
    """Runs commands against one server and prefix."""

    settings: dict[str, str]
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    async def __call__(self, *arguments: str, stdin: str = "", **settings: str) -> Done:
        with anyio.fail_after(30):
            done = await anyio.run_process(
                [*LINE, *arguments],
                input=stdin.encode(),
                env=clean_environment(**(self.settings | settings)),
                check=False,
            )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(
        self, *arguments: str, stdout: int = subprocess.PIPE, **settings: str
    ) -> "subprocess.Popen[bytes]":
        """Start a command that does not end by itself; `over` ends it, whatever happens."""
        process = subprocess.Popen(
            [*LINE, *arguments],
            env=clean_environment(**(self.settings | settings)),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )
        self.processes.append(process)
        return process

    def over(self) -> None:
        """End what was started."""
        for process in self.processes:
            process.kill()
            with process:
                pass


@contextmanager
def command_line(bus: Bus, redis_url: str) -> Iterator[Cli]:
    """Commands for one test; what they leave running is ended."""
    made = Cli({"REDIS_URL": redis_url, "QQBUS_PREFIX": bus.keys.prefix})
    try:
        yield made
    finally:
        made.over()


@asynccontextmanager
async def running(
    bus: Bus, redis_url: str, folder: Path, **options: Any
) -> AsyncIterator[tuple[System, Cli]]:
    async with system(bus, redis_url, folder, **options) as it:
        cli = Cli(it.settings)
        try:
            yield it, cli
        finally:
            cli.over()


async def publish(bus: Bus, name: str, **changes: str) -> None:
    await bus.client.xadd(bus.keys("inbound"), dict[Any, Any](GOLDENS[name].fields | changes))


async def alive(bus: Bus, **figures: str) -> None:
    """As if an adapter were running."""
    await bus.client.set(bus.keys("lease"), "host:1:x", ex=60)
    await bus.client.hset(bus.keys("status"), mapping=dict[Any, Any](GOLDENS["status"].fields | figures))


async def lines_of(process: "subprocess.Popen[bytes]", count: int) -> list[str]:
    assert process.stdout
    with anyio.fail_after(40):
        return [
            (await anyio.to_thread.run_sync(process.stdout.readline, abandon_on_cancel=True))
            .decode()
            .rstrip("\n")
            for _ in range(count)
        ]


async def ended(process: "subprocess.Popen[bytes]", number: int = signal.SIGINT) -> tuple[int, bytes]:
    process.send_signal(number)
    _, errors = await finished(process)
    return process.returncode, errors


async def finished(process: "subprocess.Popen[bytes]") -> tuple[bytes, bytes]:
    return await anyio.to_thread.run_sync(lambda: process.communicate(timeout=15))
