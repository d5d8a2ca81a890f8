"""Sentinel moves the master: the adapter goes on with the new one, and nothing is missing there."""

import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis.asyncio as redis

from adapter.bus.bus import Bus
from adapter.bus.connection import connect, map_redis_errors
from adapter.bus.embedded import find_server, run_server
from adapter.errors import BusUnavailable
from tests.chaos.line import Line
from tests.support.helpers import wait_until
from tests.support.ports import free_port
from tests.support.system_harness import system

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def sentinel(folder: Path, master: int) -> AsyncIterator[int]:
    """One Sentinel that watches the master on a port; yields its own."""
    port = free_port()
    config = folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor qq 127.0.0.1 {master} 1\n"
        "sentinel down-after-milliseconds qq 500\nsentinel failover-timeout qq 3000\n"
    )
    line = [str(find_server()), str(config), "--sentinel", "--logfile", str(folder / "sentinel.log")]
    with subprocess.Popen(line, stdin=subprocess.DEVNULL) as process:  # noqa: ASYNC220 – starting takes no time
        try:
            yield port
        finally:
            process.kill()


async def knows_replica(port: int) -> bool:
    client = redis.Redis(port=port, retry=None, protocol=2)
    try:
        with map_redis_errors():
            return bool(await client.execute_command("SENTINEL", "REPLICAS", "qq"))
    except BusUnavailable:
        return False
    finally:
        await client.aclose()


@pytest.mark.long
async def test_the_adapter_follows_a_failover(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    follows = ["--replicaof", "127.0.0.1", str(first)]
    async with (
        run_server(tmp_path / "one", first) as url,
        run_server(tmp_path / "two", second, options=follows) as other,
        sentinel(tmp_path, first) as watcher,
    ):
        await wait_until(lambda: knows_replica(watcher), "Sentinel knows the replica")
        pid = (await _info(url))["process_id"]
        address = f"redis+sentinel://127.0.0.1:{watcher}/qq"
        async with Bus.open(other, "qq") as bus, system(bus, address, tmp_path) as it:
            it.settings["QQBUS_REPLICAS"] = "0"
            adapter = it.start("adapter", "run")
            await it.online(adapter)
            it.sim.say("friend:10001", "before")
            await it.events(1)
            os.kill(pid, signal.SIGSTOP)
            try:
                it.sim.say("friend:10001", "meanwhile")
                rows = await it.events(2)
                assert [row["text"] for row in rows] == ["before", "meanwhile"]
                await it.ask(rows[0]["chat"], "and back")
                assert (await it.results(1))[0]["status"] == "sent"
                assert [int(row["seq"]) for row in await it.rows("inbound")] == [1, 2, 3]
            finally:
                os.kill(pid, signal.SIGCONT)
            assert await adapter.stop() == 0


async def _info(url: str) -> dict[str, int]:
    client = connect(url)
    try:
        info: dict[str, int] = await client.info("server")
        return info
    finally:
        await client.aclose()


async def test_whoever_stands_by_waits_for_a_redis_that_is_away(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it, Line(int(redis_url.rpartition(":")[2])) as line:
        await bus.client.set(bus.keys("lease"), "another", px=60_000)
        program = it.start("adapter", "run", REDIS_URL=f"redis://127.0.0.1:{line.port}")
        await wait_until(lambda: "standing by" in program.text(), "it stands by", 20)
        await line.cut()
        await wait_until(lambda: "waiting for it" in program.text(), "it waits")
        await bus.client.delete(bus.keys("lease"))
        await line.mend()
        await it.online(program)
