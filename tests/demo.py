"""Demo: a simulated QQ, the adapter, an echo worker, and what they say to each other.

`python -m tests.demo --network onebot`; without a network SmartQQ. `--bot nonebot`: a gateway and a bot of
nonebot2 in the place of the worker. Each part runs as a process of its own, on
its usual port if that is free, with its data in a temporary folder. Ctrl-C ends all of them, and so does closing
the terminal. `--no-echo`, or ECHO=0: no worker, so that another one alone answers.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import redis.asyncio as redis
from anyio.abc import TaskStatus
from rich.cells import cell_len

from adapter.aio import host_name
from adapter.bus.connection import connect, redact_url
from adapter.bus.embedded import run_server
from adapter.cli.qr import draw_code
from adapter.cli.terminal import clip
from adapter.codec.outbound import decode_request
from adapter.config import Config
from adapter.content import render
from adapter.errors import SchemaError
from adapter.i18n import _, terminal_texts
from adapter.ops.page.tokens import PageToken, SignInLinks, sign_in_link
from adapter.plain_text import harmless

from . import demo_bot
from .demo_networks import NETWORKS, Network
from .peers.environment import PreparationError
from .support.helpers import clean_environment
from .support.ports import free_port, is_free

FRIEND = 10001
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# In the checkout it stands beside `tests`, in an installation beside this file.
PROCFILE = next(
    path for folder in Path(__file__).resolve().parents[:2] if (path := folder / "Procfile").exists()
)
START = 20.0
# Seconds for honcho, which gives its own programs five before it kills them.
STOP = 8.0
# Columns of the names before each line, and of a line.
INDENT, WIDTH = 11, 79
# Where each part is looked for, if no other program is there.
REDIS_PORT, PAGE_PORT, GATEWAY_PORT = 6379, 8710, 3005
BOLD, DIM, OFF = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


def say(who: str, what: str, strong: str = "") -> None:
    """Print one line of what happens: the part `strong` in bold, the rest cut at the edge."""
    line = clip(harmless(what), WIDTH - INDENT)
    line = line.replace(strong, f"{BOLD}{strong}{OFF}", 1) if strong else line
    name = clip(harmless(who), INDENT - 2)
    print(f"{' ' * (INDENT - 2 - cell_len(name))}{DIM}{name}{OFF}  {line}", flush=True)


def port_near(wanted: int, *, is_any: bool) -> int:
    """Return the usual port of a part if it is free, else another one."""
    return wanted if not is_any and is_free(wanted) else free_port()


@asynccontextmanager
async def process(
    name: str, folder: Path, *line: str, **settings: str
) -> AsyncIterator[subprocess.Popen[str]]:
    """Run a process whose log goes to a file; end it afterwards."""
    log = (folder / f"{name}.log").open("w", encoding="utf-8")
    with (
        log,
        subprocess.Popen(  # noqa: ASYNC220 – starting takes no time
            [sys.executable, "-m", *line],
            env=clean_environment(**settings),
            stdout=log if name == "honcho" else subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C is ours: we end them in order
        ) as started,
    ):
        try:
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            with anyio.CancelScope(shield=True), anyio.move_on_after(STOP):
                while started.poll() is None:  # noqa: ASYNC110 – another process has no event of ours
                    await anyio.sleep(0.02)
            started.kill()


async def control(origin: str, path: str, body: object = None) -> Any:
    """Call the control interface of the simulated network."""

    def ask() -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(origin + path, data)) as answer:  # noqa: S310
            return json.load(answer)

    return await anyio.to_thread.run_sync(ask, abandon_on_cancel=True)


async def login(client: "redis.Redis") -> None:
    """Follow the session until it is online, and draw the code on the way."""
    last = "0"
    with anyio.fail_after(START):
        while True:
            found: Any = await client.xread({"qq:session": last}, block=1000)
            for last, fields in (found or [[b"", []]])[0][1]:  # noqa: B007
                state = fields[b"state"].decode()
                if state == "qr":
                    draw(fields[b"text"].decode())
                    say("QQ", _("shows a code; the simulated phone scans it by itself"))
                elif state == "scanned":
                    say(_("phone"), _("scanned the code and confirms"))
                elif state == "online":
                    say(_("adapter"), _("online as {account}").format(account=fields[b"account"].decode()))
                    return
            last = last or "0"


def draw(text: str) -> None:
    """Draw a QR code, if this terminal can show it."""
    columns = min(WIDTH, shutil.get_terminal_size().columns) - INDENT
    is_terminal = sys.stdout.isatty()
    for row in draw_code(text, columns, encoding=sys.stdout.encoding, colour=is_terminal) or []:
        print(" " * INDENT + row)


async def follow(client: "redis.Redis", stream: str, who: str = "") -> None:
    """Print each entry of a stream. `who`: empty for the author of a request."""
    last: Any = "0"
    while True:
        found: Any = await client.xread({stream: last}, block=1000)
        for last, fields in found[0][1] if found else []:
            name = who or author(fields)
            say(name, f"{stream}  {describe(stream, last.decode(), fields)}", stream)


def author(fields: dict[bytes, bytes]) -> str:
    """Return who asked for a message: ids of workers and of the page begin with their name."""
    name, slash = fields.get(b"id", b"").decode(errors="replace").partition("/")[:2]
    return name if slash and name else _("you")


def describe(stream: str, entry: str, fields: dict[bytes, bytes]) -> str:
    """Return an entry in one line."""
    row = {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
    if stream == "qq:inbound":
        return "  ".join(row.get(name, "?") for name in ("type", "chat", "text")).rstrip()
    if stream == "qq:outbound":
        try:
            request = decode_request(entry, fields, "qq")
        except SchemaError as exc:  # the adapter rejects it, and goes on
            return _("cannot be read: {exc}").format(exc=exc)
        return _("to {to}").format(to=request.to) + f"  {row.get('op', '')}{render(request.segments)}"
    to = _("to {to}").format(to=row.get("to", "?"))
    return f"{row.get('status', '?')}  {to}  {row.get('detail', '')}".rstrip()


async def phone(origin: str) -> None:
    """Print what the simulated people receive."""
    after = 0
    while True:
        for message in await control(origin, f"/sim/received?after={after}&wait=10"):
            after = message["n"]
            what = _("{chat} receives: {text}").format(chat=message["chat"], text=message["text"])
            say(_("phone"), what, message["text"])


def hints(network: Network, url: str, page: str, origin: str, chat: str) -> None:
    """Print what to try next."""
    qqbus, python = _program("qqbus"), _program("python")
    browser, terminal = _("It runs. In a browser:"), _("In another terminal:")
    own, end = _("A worker of your own, the first one of README.md:"), _("Ctrl-C ends it.")
    phones = _("phones of the friends: write, see replies")
    status = _("status page of the adapter; this link signs in one browser, once")
    print(
        f"""
{BOLD}{browser}{OFF}
{_tunnel(page, origin)}
{network.hints.format(origin=origin, phones=phones)}  {page}
      {status}

{BOLD}{terminal}{OFF}

  export REDIS_URL={url}
  {qqbus} tail --all
  {qqbus} send {chat} "hello"
  redis-cli -u $REDIS_URL XADD qq:outbound '*' to {chat} text hi
  curl -s {origin}/sim/say \\
    -d '{{"chat": "friend:{FRIEND}", {network.example}}}'

{BOLD}{own}{OFF}

  {python} hello.py

{end}
""",
        flush=True,
    )


def _tunnel(*addresses: str) -> str:
    """Return how a browser elsewhere gets here, if this terminal is one of ssh."""
    if "SSH_CONNECTION" not in os.environ:
        return ""
    forwards = " ".join(f"-L {port}:127.0.0.1:{port}" for port in (urlsplit(one).port for one in addresses))
    return "\n  " + _("on the machine with the browser, first:") + f"\n  ssh {forwards} {host_name()}\n"


def _program(name: str) -> Path:
    """Return how to start a program of this installation from here."""
    path = Path(sys.executable).with_name(name)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


async def main(network: Network, *, bot: str, has_echo: bool, is_any_port: bool) -> None:
    """Run the demo until Ctrl-C or until the terminal closes. Later signals do not disturb the end."""
    scope = anyio.CancelScope()
    async with anyio.create_task_group() as watch:
        await watch.start(_cancel_at_signal, scope)
        with scope:
            try:
                python = await demo_bot.prepared(say) if bot else None
            except PreparationError as exc:
                sys.exit(demo_bot.unavailable(exc))
            await _run(network, python, has_echo=has_echo, is_any_port=is_any_port)
        watch.cancel_scope.cancel()
    with suppress(OSError):  # the terminal may be gone
        print("\n" + _("ended cleanly"), flush=True)


async def _run(network: Network, bot: Path | None, *, has_echo: bool, is_any_port: bool) -> None:
    """Start all parts in a temporary folder, and show them until cancelled. `bot`: the Python of one."""
    with tempfile.TemporaryDirectory(prefix="qqbus-demo-") as name:
        folder = Path(name)
        ports: list[str] = []
        for option, wanted in network.ports.items():
            ports += [option, str(port_near(wanted, is_any=is_any_port))]
        async with (
            run_server(folder / "redis", port_near(REDIS_PORT, is_any=is_any_port), has_password=True) as url,
            process("network", folder, *network.line, *ports) as simulated,
        ):
            origin, address = await _addresses(simulated, network)
            say("redis", _("embedded server on {url}").format(url=redact_url(url)))
            say("QQ", _("simulated on {address}").format(address=address))
            page = port_near(PAGE_PORT, is_any=is_any_port)
            settings = network.settings | {
                "REDIS_URL": url,
                network.address_setting: address,
                "QQBUS_STATE_DIR": str(folder / "state"),
                "QQBUS_SEND_INTERVAL": "1",
                "PORT": str(page),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            }
            parts = () if has_echo and bot is None else ("adapter",)
            line = ("honcho", "--procfile", str(PROCFILE), "start", *parts)
            start_bot = None
            if bot is not None:
                place = f"127.0.0.1:{port_near(GATEWAY_PORT, is_any=is_any_port)}"
                gateway = process("gateway", folder, "consumers.onebot", "--listen", place, REDIS_URL=url)
                start_bot = partial(demo_bot.run, bot, folder, gateway, f"ws://{place}/", say)
            async with process("honcho", folder, *line, **settings) as programs:
                stream = "qq:inbound" if parts and bot is None else "qq:results"
                addresses = (url, f"http://127.0.0.1:{page}", origin)
                await _show(network, programs, folder / "honcho.log", stream, addresses, start_bot)


async def _addresses(simulated: "subprocess.Popen[str]", network: Network) -> tuple[str, str]:
    """Return the address of the control interface and that for the adapter."""
    assert simulated.stdout is not None
    words = (await anyio.to_thread.run_sync(simulated.stdout.readline)).split()
    origin = next(word for word in words if word.startswith("http://"))
    address = next(word for word in words if word.startswith(network.scheme))
    return origin.rstrip("/"), address.rstrip("/")


async def _show(
    network: Network,
    programs: "subprocess.Popen[str]",
    log: Path,
    stream: str,
    addresses: tuple[str, str, str],
    start_bot: "partial[Any] | None",
) -> None:
    """Follow the session, let a friend write, and show the streams until cancelled.

    What to try next is printed when `stream` has something about that friend's chat. `addresses`: of Redis, of
    the page and of the control interface. `start_bot` runs in the task group, and is ready before the friend
    writes.
    """
    url, page, origin = addresses
    client = connect(url, timeout=10.0)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_alive, programs, log)
            await login(client)
            if start_bot is not None:
                await tasks.start(start_bot)
            tasks.start_soon(follow, client, "qq:inbound", _("event"))
            tasks.start_soon(follow, client, "qq:outbound")
            tasks.start_soon(follow, client, "qq:results", _("result"))
            tasks.start_soon(phone, origin)
            what = _("the friend {friend} writes: {text}").format(friend=FRIEND, text=network.shown)
            say(_("phone"), what, network.shown)
            await control(origin, "/sim/say", {"chat": f"friend:{FRIEND}", **network.greeting})
            token = PageToken.load(Config.from_env({"QQBUS_STATE_DIR": str(log.parent / "state")}))
            hints(network, url, sign_in_link(page, SignInLinks(token)), origin, await _chat(client, stream))
    finally:
        with anyio.CancelScope(shield=True):
            await client.aclose()


async def _chat(client: "redis.Redis", stream: str) -> str:
    """Return the chat of the first entry that names one."""
    last: Any = "0"
    with anyio.fail_after(START):
        while True:
            found: Any = await client.xread({stream: last}, block=1000)
            for last, fields in found[0][1] if found else []:  # noqa: B007
                if chat := fields.get(b"to") or fields.get(b"chat"):
                    await anyio.sleep(0.1)  # let the lines about it come first
                    return str(chat.decode())


async def _cancel_at_signal(scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(*SIGNALS) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()


async def _alive(programs: "subprocess.Popen[str]", log: Path) -> None:
    while programs.poll() is None:  # noqa: ASYNC110 – another process has no event of ours
        await anyio.sleep(0.2)
    sys.exit(_("adapter and worker ended by themselves:") + f"\n{log.read_text(encoding='utf-8')}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}.demo", description=__doc__)
    add = parser.add_argument
    add("--network", choices=NETWORKS, default="smartqq", help=_("smartqq (default) or onebot"))
    bot = _("a bot of nonebot2 in the place of the worker, at a gateway")
    add("--bot", choices=demo_bot.BOTS, default="", help=bot)
    add("--no-echo", action="store_true", help=_("start no worker, so that yours alone answers"))
    add("--any-ports", action="store_true", help=_("take other ports than 6379, 8710 and 8017"))
    return parser.parse_args()


if __name__ == "__main__":
    with terminal_texts():
        given = _arguments()
    has_echo = not given.no_echo and os.environ.get("ECHO") != "0"
    network, bot = NETWORKS[given.network], given.bot
    anyio.run(partial(main, network, bot=bot, has_echo=has_echo, is_any_port=given.any_ports))
