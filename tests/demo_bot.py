"""A bot of nonebot2 in the place of the demo's echo worker, at a gateway: `make demo BOT=nonebot`.

The bot runs in an environment of its own, which is made on first use from pinned packages. In a checkout that
lies beside those of the peers, in an installation in the user's cache folder.
"""

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import anyio
from anyio.abc import TaskStatus

from adapter.i18n import _

from .peers import environment

BOTS = ("nonebot",)
PACKAGES = ("nonebot2[websockets]", "nonebot-adapter-onebot")
PEERS = Path(environment.__file__).parent
FILE = PEERS / "demo" / "bots" / "nonebot_bot.py"
CONSTRAINTS = PEERS / "onebot" / "constraints.txt"
NAME = "nonebot2"
# Seconds until the bot is connected: its framework may be compiled first.
START = 60.0

Say = Callable[[str, str], None]


def environments() -> Path:
    """Return the folder for environments of bots."""
    if __package__ == "tests":
        return environment.FOLDER
    # The XDG base directory specification ignores a path that is not absolute.
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "qqbus" / "bots"


async def prepared(say: Say) -> Path:
    """Install the bot's framework if it is not there; returns its Python. Raises PreparationError."""
    place = environments()
    if not (place / "demo" / ".done").exists():
        say(NAME, _("is installed into {folder}, once").format(folder=place / "demo"))

    def prepare() -> Path:
        return environment.prepare("demo", PACKAGES, CONSTRAINTS, place)

    return await anyio.to_thread.run_sync(prepare, abandon_on_cancel=True)


def unavailable(exc: environment.PreparationError) -> str:
    """Return why there is no bot, and what helps."""
    last = str(exc).strip().rpartition("\n")[2]
    advice = _("nonebot2 cannot be installed; a package index must be reachable, see PIP_INDEX_URL: {reason}")
    return advice.format(reason=last)


async def _listening(url: str) -> None:
    """Wait until the gateway takes connections: a bot that comes too early prints a traceback."""
    parts = urlsplit(url)
    with anyio.fail_after(START):
        while True:
            try:
                stream = await anyio.connect_tcp(parts.hostname or "", parts.port or 0)
            except OSError:
                await anyio.sleep(0.1)
            else:
                await stream.aclose()
                return


async def run(
    python: Path,
    home: Path,
    gateway: AbstractAsyncContextManager[object],
    url: str,
    say: Say,
    *,
    task_status: TaskStatus[None],
) -> None:
    """Run the gateway, and a bot at its `url`, until cancelled; say what the bot prints.

    It has started when the bot is connected.
    """
    stack = AsyncExitStack()
    try:
        await stack.enter_async_context(gateway)
        await _listening(url)
        script = environment.script(python, FILE, home=home, BOT_URL=url)
        bot = await stack.enter_async_context(script)
        bot.on_line = partial(say, NAME)
        await bot.until(lambda: any("connected" in line for line in bot.lines), "a connection", START)
        task_status.started()
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await stack.aclose()
