"""What goes wrong on every network: a fault is a coroutine that does it and undoes what would last."""

import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from tests.chaos.cluster import Stage

TORN = 40_000  # bytes that a server which does not wait for its disk may come back without
PAUSE = 1.0  # seconds that a stopped process sleeps; longer than a third of the lease


async def kill_adapter(stage: "Stage", chance: random.Random) -> None:
    """Kill -9, and a new process in its place."""
    await stage.replace(chance.choice(stage.adapters), signal.SIGKILL)


async def end_adapter(stage: "Stage", chance: random.Random) -> None:
    """End an adapter in order, as in an upgrade."""
    await stage.replace(chance.choice(stage.adapters), signal.SIGTERM)


async def stop_adapter(stage: "Stage", chance: random.Random) -> None:
    """Pause an adapter for longer than the lease: the other one takes over, this one wakes late."""
    began, role = time.time(), chance.choice(stage.adapters)
    await pause_process(role.pid, stage.lease * 2)
    stage.pauses.append((role, began, time.time()))


async def kill_worker(stage: "Stage", chance: random.Random) -> None:
    """Kill -9, and a new process in its place."""
    await stage.replace(chance.choice(stage.workers), signal.SIGKILL)


async def stop_worker(stage: "Stage", chance: random.Random) -> None:
    """Pause a worker: others claim its entries, and it wakes up still holding them."""
    await pause_process(chance.choice(stage.workers).pid, PAUSE)


async def kill_server(stage: "Stage", chance: random.Random) -> None:
    """Kill -9 of Redis; what it had acknowledged is in its file, unless it is torn. Its guard starts it again."""
    os.kill(await stage.server_pid(), signal.SIGKILL)
    for file in stage.folder.glob("redis/appendonlydir/*.incr.aof") if stage.torn else ():
        os.truncate(file, max(0, file.stat().st_size - chance.randrange(TORN)))


Fault = Callable[["Stage", random.Random], Awaitable[None]]

# Each with its weight; a network adds its own.
COMMON: dict[Fault, int] = {
    kill_adapter: 4,
    end_adapter: 1,
    stop_adapter: 2,
    kill_worker: 4,
    stop_worker: 3,
    kill_server: 2,
}


async def pause_process(pid: int, seconds: float) -> None:
    """Stop a process for a while."""
    with suppress(ProcessLookupError):  # it may have ended by itself
        try:
            os.kill(pid, signal.SIGSTOP)
            await anyio.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
