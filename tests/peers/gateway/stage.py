"""A bus with an adapter on one of the networks, gateways at it, and the bots that run there."""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter.bus.connection import connect
from adapter.bus.embedded import run_server
from tests.peers.environment import Script, script
from tests.peers.npm import install
from tests.peers.onebot.check import HERE as ONEBOT
from tests.peers.onebot.check import TOKEN, free_port
from tests.support.helpers import wait_until

KOISHI = Path(__file__).parent / "koishi"
# Seconds until a program of ours is ready, and until a bot that was killed is back.
START_SECONDS = 60.0


@dataclass(frozen=True)
class Peer:
    """A bot; `path`: where it is dialled, empty for one that dials."""

    name: str
    program: Path
    file: Path
    path: str = ""


def peers(python: Path) -> list[Peer]:
    """Return the bots on Python: forward first."""
    bots = ONEBOT / "bots"
    return [
        Peer("nonebot2, forward", python, bots / "nonebot_bot.py"),
        Peer("nonebot2, reverse", python, bots / "nonebot_bot.py", "/onebot/v11/ws"),
        Peer("aiocqhttp, reverse", python, bots / "aiocqhttp_bot.py", "/ws/"),
    ]


def koishi_peers() -> list[Peer] | str:
    """Install koishi if it is missing or old; returns its bots, or why there are none."""
    folder = install("koishi", KOISHI / "package.json")
    if isinstance(folder, str):
        return folder
    node = Path(shutil.which("node") or "node")
    # Beside its packages: Node looks for them there.
    file = Path(shutil.copy(KOISHI / "bot.js", folder))
    return [Peer("koishi, forward", node, file), Peer("koishi, reverse", node, file, "/ws")]


class Bus:
    """A bus with an adapter that is online."""

    def __init__(self, env: Mapping[str, str], home: Path, account: str) -> None:
        self.env = dict(env)
        self._home = home
        self._account = account

    @contextlib.asynccontextmanager
    async def gateway(self, *options: str) -> AsyncIterator[None]:
        """Run a gateway of its own name."""
        async with program("reads", self.env, "consumers.onebot", *options):
            yield

    @contextlib.asynccontextmanager
    async def serving(self, peer: Peer) -> AsyncIterator[Script]:
        """Run a gateway and this bot at it; the bot reaches loopback alone."""
        port = free_port()
        place = (
            ("--connect", f"ws://127.0.0.1:{port}{peer.path}")
            if peer.path
            else ("--listen", f"127.0.0.1:{port}")
        )
        app = f"p{port}"
        async with self.gateway("--app", app, *place), self.bot(peer, port) as bot:
            yield bot
            assert bot.refused == [], bot.refused

    @contextlib.asynccontextmanager
    async def bot(self, peer: Peer, port: int, **more: str) -> AsyncIterator[Script]:
        """Run a bot."""
        settings = {"BOT_PORT": str(port)} if peer.path else {"BOT_URL": f"ws://127.0.0.1:{port}/"}
        settings |= {"BOT_TOKEN": TOKEN, "BOT_ACCOUNT": self._account, **more}
        async with script(peer.program, peer.file, home=self._home, **settings) as bot:
            yield bot


@contextlib.asynccontextmanager
async def bus(**network: str) -> AsyncIterator[Bus]:
    """Run Redis and an adapter with the settings of a network."""
    with tempfile.TemporaryDirectory(prefix="qqbus-peers-") as folder:
        home = Path(folder)
        async with run_server(home / "redis", free_port()) as url:
            env = {
                **{name: value for name, value in os.environ.items() if not name.startswith("QQBUS_")},
                "REDIS_URL": url,
                "QQBUS_STATE_DIR": str(home / "state"),
                "QQBUS_HTTP": "off",
                "QQBUS_SEND_INTERVAL": "0",
                "QQBUS_GATEWAY_TOKEN": TOKEN,
                "PYTHONUNBUFFERED": "1",
                **network,
            }
            async with program("online", env, "adapter", "run"):
                yield Bus(env, home, await _account(url))


async def _account(url: str) -> str:
    """Return the account's number, once the status has it; koishi takes no connection of another one."""
    client = connect(url)
    try:

        async def known() -> str:
            status: Any = await client.hgetall("qq:status")
            return str(status.get(b"account", b"").decode())

        return str(await wait_until(known, "the account is known", START_SECONDS))
    finally:
        await client.aclose()


@contextlib.asynccontextmanager
async def program(ready: str, env: Mapping[str, str], *line: str) -> AsyncIterator[Script]:
    """Run a program of ours until it says that it is ready; end it at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *line,
        env=dict(env),
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
