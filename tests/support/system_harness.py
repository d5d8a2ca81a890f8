"""The whole system for a test: a simulated QQ, a real server, and our programs as real processes."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from adapter.bus.bus import Bus
from tests.simulator import Simulator
from tests.support.helpers import PAGE_TOKEN, clean_environment, wait_until

ONLINE = 45.0
END = 30.0


@dataclass
class Program:
    """A process of ours, with what it wrote to its standard error."""

    process: "subprocess.Popen[bytes]"
    log: Path

    async def ended(self, seconds: float = END) -> int:
        """Wait for its end; returns its exit code."""
        await wait_until(lambda: self.process.poll() is not None, f"{self.process.args!r} has ended", seconds)
        return int(self.process.returncode)

    async def stop(self) -> int:
        """Ask it to end, as an init system does."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@dataclass
class Processes:
    """What a test needs to start programs against one server and one prefix."""

    bus: Bus
    folder: Path
    settings: dict[str, str]
    programs: list[Program] = field(default_factory=list)

    def start(self, module: str, *arguments: str, state: str = "state", **settings: str) -> Program:
        """Start `python -m module`."""
        log = self.folder / f"{len(self.programs)}-{module.rpartition('.')[2]}.log"
        environment = clean_environment(
            **(self.settings | {"QQBUS_STATE_DIR": str(self.folder / state)} | settings)
        )
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env=environment,
                stdout=errors,
                stderr=errors,
                stdin=subprocess.DEVNULL,
            )
        self.programs.append(Program(process, log))
        return self.programs[-1]

    async def adapter(self, **settings: str) -> Program:
        """Start the adapter and wait until it is online."""
        program = self.start("adapter", "run", **settings)
        await self.online(program)
        return program

    async def online(self, program: Program) -> None:
        """Wait until this adapter is online."""

        async def online() -> bool:
            assert program.process.poll() is None, program.text()
            status = await self.bus.hgetall(self.bus.keys("status"))
            return f":{program.process.pid}:".encode() in status.get("holder", b"") and (
                status.get("state") == b"online"
            )

        await wait_until(online, "the adapter is online", ONLINE)

    async def kill_all(self) -> None:
        """End all programs, whatever they do."""
        for program in self.programs:
            program.process.kill()
        with anyio.CancelScope(shield=True):
            for program in self.programs:
                await anyio.to_thread.run_sync(program.process.wait)

    async def ask(self, to: str, text: str, **fields: str) -> str:
        """Ask for a message; returns the entry."""
        entry: bytes = await self.bus.client.xadd(
            self.bus.keys("outbound"), {"to": to, "text": text, **fields}
        )
        return entry.decode()

    async def rows(self, stream: str) -> list[dict[str, str]]:
        """All entries of a stream, without bodies."""
        found: Any = await self.bus.client.xrange(self.bus.keys(stream))
        return [
            {n.decode(): v.decode() for n, v in fields.items() if n not in {b"body", b"png", b"fields"}}
            for _, fields in found
        ]

    async def results(
        self, count: int, seconds: float = 15.0, stream: str = "results"
    ) -> list[dict[str, str]]:
        """Wait for so many results."""

        async def enough() -> list[dict[str, str]]:
            found = await self.rows(stream)
            return found if len(found) >= count else []

        return list(await wait_until(enough, f"{count} {stream}", seconds))

    async def events(self, count: int, kind: str = "message.", seconds: float = 15.0) -> list[dict[str, str]]:
        """Wait for so many events of a type."""

        async def enough() -> list[dict[str, str]]:
            found = [row for row in await self.rows("inbound") if row["type"].startswith(kind)]
            return found if len(found) >= count else []

        return list(await wait_until(enough, f"{count} events {kind}", seconds))


@dataclass
class System(Processes):
    """Programs and their simulator of SmartQQ."""

    sim: Simulator = field(kw_only=True)

    async def online(self, program: Program) -> None:
        """Wait until this adapter is online and polls."""
        await super().online(program)
        await self.sim.wait_poll(ONLINE)


@asynccontextmanager
async def system(
    bus: Bus, redis_url: str, folder: Path, profile: str = "e3", **options: Any
) -> AsyncIterator[System]:
    """Run a system whose programs are ended afterwards, whatever happens."""
    options = {"poll_seconds": 5.0, "scan_after": 0} | options
    async with Simulator(profile, auto_scan=True, **options) as sim:
        settings = {
            "REDIS_URL": redis_url,
            "QQBUS_PREFIX": bus.keys.prefix,
            "QQBUS_SMARTQQ_URL": sim.url,
            "QQBUS_SEND_INTERVAL": "0",
            "QQBUS_HTTP": "off",
            "QQBUS_HTTP_TOKEN": PAGE_TOKEN,
        }
        made = System(bus, folder, settings, sim=sim)
        try:
            yield made
        finally:
            await made.kill_all()
