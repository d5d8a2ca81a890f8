"""What goes wrong: each fault is a coroutine that does it and undoes what would last."""

import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from tests.simulator import Answer

if TYPE_CHECKING:
    from tests.chaos.cluster import Stage

SENDS = ("/channel/send_buddy_msg2", "/channel/send_qun_msg2", "/channel/send_discu_msg2")
LISTS = ("/api/get_group_info_ext2", "/channel/get_discu_info")
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
    await _sleep(role.pid, stage.lease * 2)
    stage.pauses.append((role, began, time.time()))


async def kill_worker(stage: "Stage", chance: random.Random) -> None:
    """Kill -9, and a new process in its place."""
    await stage.replace(chance.choice(stage.workers), signal.SIGKILL)


async def stop_worker(stage: "Stage", chance: random.Random) -> None:
    """Pause a worker: others claim its entries, and it wakes up still holding them."""
    await _sleep(chance.choice(stage.workers).pid, PAUSE)


async def kill_server(stage: "Stage", chance: random.Random) -> None:
    """Kill -9 of Redis; what it had acknowledged is in its file, unless it is torn. Its guard starts it again."""
    os.kill(await stage.server_pid(), signal.SIGKILL)
    for file in stage.folder.glob("redis/appendonlydir/*.incr.aof") if stage.torn else ():
        os.truncate(file, max(0, file.stat().st_size - chance.randrange(TORN)))


async def maybe_send(stage: "Stage", chance: random.Random) -> None:
    """Upstream says 1202: perhaps."""
    stage.sim.next_answer(chance.choice(SENDS), Answer(json={"errmsg": "error!!!", "retcode": 1202}))


async def cut_send(stage: "Stage", chance: random.Random) -> None:
    """End the connection before or after the message was taken."""
    stage.sim.next_answer(chance.choice(SENDS), Answer(cut=chance.choice(["before", "after", "body"])))


async def slow_send(stage: "Stage", chance: random.Random) -> None:
    """Delay an answer."""
    stage.sim.next_answer(chance.choice(SENDS), Answer(delay=chance.uniform(0.2, 1.5)))


async def cut_poll(stage: "Stage", _: random.Random) -> None:
    """Break a poll off in mid-answer: upstream gives the same batch again."""
    stage.sim.next_poll(Answer(cut="body"))


async def gateway(stage: "Stage", chance: random.Random) -> None:
    """Let the gateway in front of upstream fail for a moment."""
    stage.sim.next_poll(Answer(status=chance.choice([502, 504, 404]), body=b"<html>"))


async def renew(stage: "Stage", _: random.Random) -> None:
    """116: another ptwebqq."""
    stage.sim.renew_ptwebqq()


async def relink(stage: "Stage", _: random.Random) -> None:
    """121: the link is lost and has to be made again."""
    stage.sim.next_poll(Answer(json={"retcode": 121, "t": "0"}))


async def slow_list(stage: "Stage", chance: random.Random) -> None:
    """Who somebody is takes a while to learn; what he said waits for it."""
    stage.sim.next_answer(chance.choice(LISTS), Answer(delay=chance.uniform(0.1, 1.2)))


FAULTS: dict[Callable[["Stage", random.Random], Awaitable[None]], int] = {
    kill_adapter: 4,
    end_adapter: 1,
    stop_adapter: 2,
    kill_worker: 4,
    stop_worker: 3,
    kill_server: 2,
    maybe_send: 3,
    cut_send: 3,
    slow_send: 3,
    cut_poll: 3,
    gateway: 2,
    renew: 1,
    relink: 1,
    slow_list: 4,
}


async def _sleep(pid: int, seconds: float) -> None:
    with suppress(ProcessLookupError):  # it may have ended by itself
        try:
            os.kill(pid, signal.SIGSTOP)
            await anyio.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
