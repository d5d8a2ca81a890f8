"""Demo: a simulated QQ, the adapter, an echo worker, and what they say to each other.

Each runs as a process of its own on a free port, with its data in a temporary folder.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import redis.asyncio as redis

from adapter.bus.connection import connect
from adapter.bus.embedded import run_server
from adapter.cli.qr import draw_code
from adapter.codec.outbound import decode_request
from adapter.content import render
from tests.support.helpers import clean_environment
from tests.support.ports import free_port

FRIEND = 10001
PROCFILE = Path(__file__).resolve().parent.parent / "Procfile"
START = 20.0
STOP = 5.0
# Columns of the names before each line.
INDENT = 11
BOLD, DIM, OFF = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


def say(who: str, what: str) -> None:
    """Print one line of what happens."""
    print(f"{DIM}{who:>9}{OFF}  {what}", flush=True)


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
    """Call the simulator's control API."""

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
                    say("QQ", "shows a code; the simulated phone scans it by itself")
                elif state == "scanned":
                    say("phone", "scanned the code and confirms")
                elif state == "online":
                    say("adapter", f"online as {fields[b'account'].decode()}")
                    return
            last = last or "0"


def draw(text: str) -> None:
    """Draw a QR code, if this terminal can show it."""
    columns = shutil.get_terminal_size().columns - INDENT
    is_terminal = sys.stdout.isatty()
    for row in draw_code(text, columns, encoding=sys.stdout.encoding, colour=is_terminal) or []:
        print(" " * INDENT + row)


async def follow(client: "redis.Redis", stream: str, who: str) -> None:
    """Print each entry of a stream."""
    last: Any = "0"
    while True:
        found: Any = await client.xread({stream: last}, block=1000)
        for last, fields in found[0][1] if found else []:
            say(who, f"{BOLD}{stream}{OFF}  {describe(stream, last.decode(), fields)}")


def describe(stream: str, entry: str, fields: dict[bytes, bytes]) -> str:
    """Return an entry in one line."""
    row = {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
    if stream == "qq:inbound":
        return f"{row['type']}  {row['chat']}  {row['text']}".rstrip()
    if stream == "qq:outbound":
        request = decode_request(entry, fields, "qq")
        return f"to {request.to}  {render(request.segments)}"
    return f"{row['status']}  to {row['to']}  {row['detail']}".rstrip()


async def phone(origin: str) -> None:
    """Print what the simulated people receive."""
    after = 0
    while True:
        for message in await control(origin, f"/sim/received?after={after}&wait=10"):
            after = message["n"]
            say("phone", f"{message['chat']} receives: {BOLD}{message['text']}{OFF}")


def hints(url: str, page: str, origin: str, chat: str) -> None:
    """Print what to try next."""
    qqbus = Path(sys.executable).with_name("qqbus")
    qqbus = qqbus.relative_to(Path.cwd()) if qqbus.is_relative_to(Path.cwd()) else qqbus
    print(
        f"""
{BOLD}It runs. In a browser:{OFF}

  {origin}/phone   phones of the friends: write, see the replies
  {page}/        status page of the adapter

{BOLD}In another terminal:{OFF}

  export REDIS_URL={url}
  {qqbus} tail
  {qqbus} send {chat} "hello"
  redis-cli -p {url.rpartition(":")[2]} XADD qq:outbound '*' to {chat} text hello
  curl -s {origin}/sim/say \\
    -d '{{"chat": "friend:{FRIEND}", "text": "你好 [微笑]"}}'

Ctrl-C ends it.
""",
        flush=True,
    )


async def main() -> None:
    """Run the demo until Ctrl-C."""
    with tempfile.TemporaryDirectory(prefix="qqbus-demo-") as name:
        folder = Path(name)
        async with (
            run_server(folder / "redis", free_port()) as url,
            process("simulator", folder, "tests.simulator", "--port", "0", "--auto-scan") as simulator,
        ):
            assert simulator.stdout is not None
            line = await anyio.to_thread.run_sync(simulator.stdout.readline)
            origin = next(word for word in line.split() if word.startswith("http://")).rstrip("/")
            say("redis", f"embedded server on {url}")
            say("QQ", f"simulated on {origin}")
            page = free_port()
            settings = {
                "REDIS_URL": url,
                "QQBUS_SMARTQQ_URL": origin,
                "QQBUS_STATE_DIR": str(folder / "state"),
                "QQBUS_SEND_INTERVAL": "1",
                "PORT": str(page),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            }
            client = connect(url, timeout=10.0)
            async with (
                process(
                    "honcho", folder, "honcho", "--procfile", str(PROCFILE), "start", **settings
                ) as programs,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(_interrupted, tasks.cancel_scope)
                tasks.start_soon(_alive, programs, folder / "honcho.log")
                await login(client)
                tasks.start_soon(follow, client, "qq:inbound", "event")
                tasks.start_soon(follow, client, "qq:outbound", "worker")
                tasks.start_soon(follow, client, "qq:results", "result")
                tasks.start_soon(phone, origin)
                say("phone", f'the friend {FRIEND} writes: {BOLD}hello 😀 [微笑] "<&>"{OFF}')
                await control(
                    origin, "/sim/say", {"chat": f"friend:{FRIEND}", "text": 'hello 😀 [微笑] "<&>"'}
                )
                hints(url, f"http://127.0.0.1:{page}", origin, await _answered(client))
            await client.aclose()
    print("\nended cleanly")


async def _answered(client: "redis.Redis") -> str:
    """Return the chat of the first reply that was sent."""
    with anyio.fail_after(START):
        while True:
            found: Any = await client.xread({"qq:results": "0"}, block=1000)
            if found:
                await anyio.sleep(0.1)  # let the lines about it come first
                return str(found[0][1][0][1][b"to"].decode())


async def _interrupted(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()
            return


async def _alive(programs: "subprocess.Popen[str]", log: Path) -> None:
    while programs.poll() is None:  # noqa: ASYNC110 – another process has no event of ours
        await anyio.sleep(0.2)
    sys.exit(f"adapter and worker ended by themselves:\n{log.read_text(encoding='utf-8')}")


if __name__ == "__main__":
    anyio.run(main)
