"""Gateways in the chaos run: two of them with a bot each, one that listens and one that dials.

`python -m tests.chaos --gateway --faults 60 --seed 1`, with the adapters on OneBot.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import redis.asyncio as redis

from adapter.bus.connection import connect, map_redis_errors
from adapter.bus.keys import GROUP
from adapter.errors import BusUnavailable
from consumers.onebot.numbers import entry_number
from consumers.runtime.replies import entry_key
from tests.chaos import faults as common
from tests.chaos.checker import Verdict, rows
from tests.chaos.cluster import Role, Stage, staged
from tests.chaos.fast_gateway import CONFIRM
from tests.chaos.gateway_checker import Published, judge, read_journal
from tests.chaos.onebot import OneBot
from tests.support.helpers import wait_until
from tests.support.ports import free_port

RATE = 40.0  # messages a second
GAP = 0.8  # seconds between two faults
ONLINE = 60.0
# Seconds without any change after which the run has ended, and seconds for all of it.
STILL, SETTLE = 3, 120.0
# An action is answered by then: `--expires` and what the gateway waits beyond it.
EXPIRES = 10
GRACE = 8.0
APPS = ("forward", "reverse")

Fault = Callable[["Cast", random.Random], Awaitable[None]]


class Cast:
    """The stage, its gateways and its bots."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.gateways: list[Role] = []
        self.bots: list[Role] = []
        settings = {"REDIS_URL": stage.url, "QQBUS_GATEWAY_EXPIRES": str(EXPIRES)}
        settings["QQBUS_GATEWAY_MAX_AGE"] = "0"
        for app in APPS:
            port = free_port()
            is_forward = app == "forward"
            options = (
                ("--listen", f"127.0.0.1:{port}") if is_forward else ("--connect", f"ws://127.0.0.1:{port}/")
            )
            line = ("-m", "tests.chaos.fast_gateway", "--app", app, *options)
            self.gateways.append(Role(f"gateway {app}", line, settings, stage.folder / f"gateway-{app}.log"))
            place = f"ws://127.0.0.1:{port}/" if is_forward else str(port)
            bot = ("-m", "tests.chaos.gateway_bot", app, str(self.journal(app)), place)
            self.bots.append(Role(f"bot {app}", bot, {}, stage.folder / f"bot-{app}.log"))
        # The guard of the stage starts them again.
        stage.workers += [*self.gateways, *self.bots]
        for role in (*self.gateways, *self.bots):
            role.start()

    def journal(self, app: str) -> Path:
        """Return the file that the bot of this gateway writes."""
        return self.stage.folder / f"journal-{app}"

    @property
    def living(self) -> list[str]:
        """Return the names of the bots that run, as their journals have them."""
        return [f"{app}-{bot.pid}" for app, bot in zip(APPS, self.bots, strict=True)]


# --- faults ----------------------------------------------------------------------------------------


async def kill_gateway(cast: Cast, chance: random.Random) -> None:
    """Kill -9, and a new process in its place."""
    await cast.stage.replace(chance.choice(cast.gateways), signal.SIGKILL)


async def end_gateway(cast: Cast, chance: random.Random) -> None:
    """End a gateway in order, as in an upgrade."""
    await cast.stage.replace(chance.choice(cast.gateways), signal.SIGTERM)


async def stop_gateway(cast: Cast, chance: random.Random) -> None:
    """Pause a gateway."""
    await common.pause_process(chance.choice(cast.gateways).pid, chance.uniform(0.2, 3.0))


async def kill_bot(cast: Cast, chance: random.Random) -> None:
    """Kill -9, and a new process in its place, at once or later."""
    bot = chance.choice(cast.bots)
    await bot.end(signal.SIGKILL)
    await anyio.sleep(chance.choice([0.0, 1.0, 3.0]))
    cast.stage.restarts += 1
    bot.start()


async def hang_bot(cast: Cast, chance: random.Random) -> None:
    """Pause a bot, sometimes for longer than the gateway waits for a confirmation."""
    await common.pause_process(chance.choice(cast.bots).pid, CONFIRM * chance.uniform(0.2, 1.6))


async def reset_bot(cast: Cast, chance: random.Random) -> None:
    """Reset the sockets of a bot."""
    with suppress(ProcessLookupError):
        os.kill(chance.choice(cast.bots).pid, signal.SIGUSR1)


async def kill_adapter(cast: Cast, chance: random.Random) -> None:
    """Kill -9 an adapter."""
    await common.kill_adapter(cast.stage, chance)


async def end_adapter(cast: Cast, chance: random.Random) -> None:
    """End an adapter in order."""
    await common.end_adapter(cast.stage, chance)


async def kill_server(cast: Cast, chance: random.Random) -> None:
    """Kill -9 of Redis."""
    await common.kill_server(cast.stage, chance)


FAULTS: dict[Fault, int] = {
    kill_gateway: 5,
    end_gateway: 2,
    stop_gateway: 2,
    kill_bot: 5,
    hang_bot: 3,
    reset_bot: 3,
    kill_adapter: 3,
    end_adapter: 1,
    kill_server: 3,
}


# --- the run ---------------------------------------------------------------------------------------


async def run(faults: int, seed: int, folder: Path) -> tuple[Verdict, Stage]:
    """Run once."""
    network, chance = OneBot(), random.Random(seed)
    counts: dict[str, int] = {}
    async with network, staged(folder, network, workers=0, node=False) as stage:
        await network.wait_online(ONLINE)
        cast = Cast(stage)
        client = connect(stage.url, timeout=10.0)
        try:
            first = await _begin(client)
            stop = anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_talk, network, stop, chance)
                for number in range(faults):
                    (fault,) = chance.choices(list(FAULTS), list(FAULTS.values()))
                    name = getattr(fault, "__name__", "")
                    counts[name] = counts.get(name, 0) + 1
                    print(f"\r{number + 1}/{faults} {name:14}", end="", file=sys.stderr, flush=True)
                    await fault(cast, chance)
                    await anyio.sleep(chance.uniform(0, 2 * GAP))
                stop.set()
                tasks.cancel_scope.cancel()
            await _settled(client)
            # The answers of the last actions.
            await anyio.sleep(EXPIRES + GRACE)
            verdict = judge(
                await _published(client, first),
                {app: read_journal(cast.journal(app)) for app in APPS},
                [one.text for one in network.server.record.received.entries],
                cast.living,
            )
        finally:
            await client.aclose()
        verdict.figures = {"faults": counts, **verdict.figures}
        return verdict, stage


async def _talk(network: OneBot, stop: anyio.Event, chance: random.Random) -> None:
    while not stop.is_set():
        network.say(chance)
        await anyio.sleep(chance.expovariate(RATE))


async def _begin(client: "redis.Redis") -> str:
    """Return the newest entry before the first that both bots must hear."""

    async def has_groups() -> bool:
        with map_redis_errors():
            if not await client.exists("qq:inbound"):
                return False
            names = {row["name"].decode() for row in await client.xinfo_groups("qq:inbound")}
        return set(APPS) <= names

    await wait_until(has_groups, "both gateways have their group", ONLINE)
    newest: Any = await client.xrevrange("qq:inbound", count=1)
    return newest[0][0].decode() if newest else "0-0"


async def _settled(client: "redis.Redis") -> None:
    """Wait until everything is delivered, asked and answered, or until nothing moves any more."""
    moved, before, still = time.monotonic(), object(), 0
    while time.monotonic() - moved < SETTLE and still < STILL:
        await anyio.sleep(1.0)
        try:
            with map_redis_errors():
                now, is_done = await _progress(client)
        except BusUnavailable:
            continue
        still = still + 1 if is_done and now == before else 0
        if now != before:
            before, moved = now, time.monotonic()


async def _progress(client: "redis.Redis") -> tuple[object, bool]:
    groups = {row["name"].decode(): row for row in await client.xinfo_groups("qq:inbound")}
    newest = (await client.xinfo_stream("qq:inbound"))["last-generated-id"]
    state = {app: (groups[app]["last-delivered-id"], groups[app]["pending"]) for app in APPS}
    lengths = [await client.xlen(f"qq:{name}") for name in ("inbound", "outbound", "results")]
    waiting = (await client.xpending("qq:outbound", GROUP))["pending"] if lengths[1] else 0
    done = all(place == (newest, 0) for place in state.values()) and not waiting
    return (state, lengths), done


async def _published(client: "redis.Redis", first: str) -> list[Published]:
    found = [row for row in await rows(client, "inbound") if row["type"].startswith("message.")]
    return [
        Published(entry_number(row["entry_id"]), row["chat"], row["text"])
        for row in found
        if entry_key(row["entry_id"]) > entry_key(first)
    ]
