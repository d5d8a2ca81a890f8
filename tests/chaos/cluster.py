"""The stage of the chaos run: a server, adapters and workers, all real processes, and a simulated network."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio

from adapter.bus.connection import connect, map_redis_errors
from adapter.bus.embedded import run_server
from adapter.errors import BusUnavailable
from tests.chaos.late_appends import noted
from tests.chaos.network import Network
from tests.chaos.window_timer import Marks, State, marks, overtaken, state, windows
from tests.support.helpers import clean_environment
from tests.support.ports import free_port

LEASE = 1.5
GUARD = 0.5  # how often it is looked whether somebody has ended by himself
NODE = Path(__file__).resolve().parents[2] / "consumers" / "node"


@dataclass
class Role:
    """A process that is replaced when it is killed."""

    name: str
    line: tuple[str, ...]
    settings: dict[str, str]
    log: Path
    watch: Path | None = None
    process: "subprocess.Popen[bytes] | None" = None
    kills: list[float] = field(default_factory=list)
    wanted: bool = False

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.line if self.line[0] == "node" else [sys.executable, *self.line],
                env=clean_environment(**self.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wanted = True

    def revive(self) -> bool:
        """Start it again if it has ended by itself, as an init system does; returns whether it had."""
        if self.wanted and self.process is not None and self.process.poll() is not None:
            self.start()
            return True
        return False

    async def end(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.wanted = False
        if number is signal.SIGKILL:
            self.kills.append(time.time())
        self.process.send_signal(number)
        await anyio.to_thread.run_sync(self.process.wait)


@dataclass
class Stage:
    """Everybody who plays."""

    network: Network
    url: str
    folder: Path
    lease: float = LEASE
    torn: bool = False
    adapters: list[Role] = field(default_factory=list)
    workers: list[Role] = field(default_factory=list)
    restarts: int = 0
    pauses: list[tuple[Role, float, float]] = field(default_factory=list)
    # What happened, when it began and ended, in seconds since 1970.
    happened: list[tuple[str, float, float]] = field(default_factory=list)

    async def replace(self, role: Role, number: signal.Signals) -> None:
        """End a process and put a new one in its place."""
        await role.end(number)
        self.restarts += 1
        role.start()

    async def guard(self) -> None:
        """Keep everybody at work, until cancelled."""
        while True:
            for role in (*self.adapters, *self.workers):
                if role.revive():
                    self.happened.append((f"{role.name} ended by itself", now := time.time(), now))
            await anyio.sleep(GUARD)

    async def server_pid(self) -> int:
        """Return the process id of Redis, once it serves."""
        while True:
            client = connect(self.url)
            try:
                with map_redis_errors():
                    return int((await client.info("server"))["process_id"])
            except BusUnavailable:
                await anyio.sleep(0.05)
            finally:
                await client.aclose()

    def noted(self) -> dict[str, Marks]:
        """Return what each adapter's processes noted, by its name."""
        return {role.name: marks(role.watch) for role in self.adapters if role.watch}

    def late(self) -> dict[str, frozenset[tuple[str, str]]]:
        """Return the texts that each adapter published late, by its name."""
        return {role.name: noted(role.watch) for role in self.adapters}

    def windows(self) -> tuple[list[float], list[float]]:
        """How long messages were in memory only, and how long until they were on disk; each sorted."""
        pairs = [pair for noted in self.noted().values() for pair in windows(noted)]
        return sorted(written for written, _ in pairs), sorted(synced for _, synced in pairs)

    def deaths(self) -> list[State]:
        """All kills of an adapter, oldest first."""
        noted = self.noted()
        found = []
        for role in self.adapters:
            own = noted[role.name]
            others = [theirs for name, theirs in noted.items() if name != role.name]
            found += [
                replace(state(own, kill), overtaken=overtaken(own, others, kill)) for kill in role.kills
            ]
        return sorted(found, key=lambda one: one.time)

    def sleeps(self) -> list[tuple[State, float]]:
        """All pauses of an adapter, and when each ended."""
        noted = self.noted()
        return [(state(noted[role.name], began), ended) for role, began, ended in self.pauses]

    def log(self) -> str:
        return "\n".join(
            f"--- {role.name}\n{role.log.read_text(encoding='utf-8', errors='replace')[-4000:]}"
            for role in (*self.adapters, *self.workers)
        )


def node_worker(folder: Path) -> tuple[str, ...] | None:
    """Set up the echo in Node with its packages in a folder of its own; None without Node or npm."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return None
    target = folder / "node"
    shutil.copytree(NODE, target, ignore=shutil.ignore_patterns("node_modules"))
    line = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    done = subprocess.run(line, cwd=target, capture_output=True, check=False, timeout=120)
    return None if done.returncode else ("node", str(target / "echo.js"))


@asynccontextmanager
async def staged(
    folder: Path,
    network: Network,
    adapters: int = 2,
    workers: int = 3,
    *,
    torn: bool = False,
    node: bool = True,
) -> AsyncIterator[Stage]:
    """Set the stage; all programs end with it. `torn`: a killed server comes back without its tail."""
    async with run_server(folder / "redis", free_port()) as url:
        stage = Stage(network, url, folder, torn=torn)
        settings = {
            "REDIS_URL": url,
            "QQBUS_SEND_INTERVAL": "0",
            "QQBUS_HTTP": "off",
            "QQBUS_LEASE": str(LEASE),
        }
        for number in range(adapters):
            watch = folder / f"window-{number}"
            own = settings | network.settings | {"QQBUS_STATE_DIR": str(folder / f"state-{number}")}
            log = folder / f"adapter-{number}.log"
            stage.adapters.append(Role(f"adapter {number}", network.program(watch), own, log, watch))
        for number in range(workers):
            line = ("-m", "tests.chaos.worker")
            stage.workers.append(Role(f"worker {number}", line, settings, folder / f"worker-{number}.log"))
        if node and (echo := node_worker(folder)) is not None:
            node = settings | {"QQBUS_CLAIM_MS": "2000"}
            stage.workers.append(Role("worker in Node", (*echo, "chaos"), node, folder / "worker-node.log"))
        try:
            for role in (*stage.adapters, *stage.workers):
                role.start()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stage.guard)
                yield stage
                tasks.cancel_scope.cancel()
        finally:
            for role in (*stage.adapters, *stage.workers):
                if role.process is not None and role.process.poll() is None:
                    role.process.send_signal(signal.SIGCONT)
                    role.process.kill()
                    role.process.wait()
