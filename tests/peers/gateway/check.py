"""Run the bots of tests/peers/onebot unchanged on the gateway, with the adapter on OneBot behind it."""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from adapter.bus.embedded import run_server
from tests.onebot_server import OneBotServer
from tests.peers.environment import Script, prepare, script
from tests.peers.onebot.check import HERE as ONEBOT
from tests.peers.onebot.check import PACKAGES, TOKEN, converse, free_port, say, seen

# The bus names a friend as the account has noted it.
REMARK = "明明"
# Seconds until a program of ours is ready, and until a bot that was killed is back.
START_SECONDS = 60.0


async def check() -> None:
    """Check both bots, forward and reverse, and a restart of each."""
    python = prepare("onebot", PACKAGES, ONEBOT / "constraints.txt")
    port = free_port()
    forward = f"127.0.0.1:{port}"
    async with bus_on_onebot("--listen", forward) as (server, home):
        settings = {"BOT_URL": f"ws://{forward}/", "BOT_TOKEN": TOKEN}
        async with script(python, ONEBOT / "bots" / "nonebot_bot.py", home=home, **settings) as bot:
            await converse(server, bot, REMARK)
            assert bot.refused == [], bot.refused
        await check_restart(server, python, home, settings)
    print("gateway: nonebot2, forward: accepted", flush=True)
    port = free_port()
    async with bus_on_onebot("--connect", f"ws://127.0.0.1:{port}/ws/") as (server, home):
        settings = {"BOT_PORT": str(port), "BOT_TOKEN": TOKEN}
        async with script(python, ONEBOT / "bots" / "aiocqhttp_bot.py", home=home, **settings) as bot:
            await converse(server, bot, REMARK)
            assert bot.refused == [], bot.refused
    print("gateway: aiocqhttp, reverse: accepted", flush=True)


async def check_restart(server: OneBotServer, python: Path, home: Path, settings: dict[str, str]) -> None:
    """Say things while no bot runs; the next one answers them in order."""
    before = server.record.received.count
    for number in range(5):
        server.say("friend:10001", f"while away {number}")
    async with script(python, ONEBOT / "bots" / "nonebot_bot.py", home=home, **settings) as bot:
        await bot.until(lambda: len(seen(bot, "message")) >= 5, "what came in between", START_SECONDS)
        texts = [one["text"] for one in seen(bot, "message")]
        assert texts == [f"while away {number}" for number in range(5)], texts
        await server.wait_received(before + 5)
        await say(server, "friend:10001", "again")


@contextlib.asynccontextmanager
async def bus_on_onebot(*options: str) -> AsyncIterator[tuple[OneBotServer, Path]]:
    """Run Redis, an implementation, the adapter and the gateway."""
    with tempfile.TemporaryDirectory(prefix="qqbus-peers-") as folder:
        home = Path(folder)
        async with (
            run_server(home / "redis", free_port()) as url,
            OneBotServer("napcat", token=TOKEN) as server,
        ):
            env = {
                **{name: value for name, value in os.environ.items() if not name.startswith("QQBUS_")},
                "REDIS_URL": url,
                "QQBUS_STATE_DIR": str(home / "state"),
                "QQBUS_HTTP": "off",
                "QQBUS_NETWORK": "onebot",
                "QQBUS_ONEBOT_URL": server.url,
                "QQBUS_ONEBOT_TOKEN": TOKEN,
                "QQBUS_SEND_INTERVAL": "0",
                "QQBUS_GATEWAY_TOKEN": TOKEN,
                "PYTHONUNBUFFERED": "1",
            }
            async with (
                _program("online", env, "adapter", "run"),
                _program("reads", env, "consumers.onebot", *options),
            ):
                yield server, home


@contextlib.asynccontextmanager
async def _program(ready: str, env: dict[str, str], *line: str) -> AsyncIterator[Script]:
    """Run a program of ours until it says that it is ready; end it at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *line,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = Script(process, Path(os.devnull))
    reading = asyncio.ensure_future(running.read())
    try:
        await running.until(
            lambda: any(ready in one for one in running.lines), f"{line[0]} is ready", START_SECONDS
        )
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        await reading
