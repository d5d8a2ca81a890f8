"""Console: a chat in the terminal. Shows what is said on the bus; what you type goes to the chat.

Start a line with an address, as in `@friend:1 hello`, to speak there from now on; `/quit` to leave.
"""

import argparse
import asyncio
import contextlib
import sys
import threading
import time
from datetime import datetime
from typing import Any, Final

from redis.exceptions import RedisError

from adapter import Received, SchemaError, Status, parse_address, read_event
from consumers.runtime.client import BusClient
from consumers.runtime.connection import BLOCK_MS, Settings, backoff, consumer_name, is_transient
from consumers.runtime.event import Request, fresh_id

_RESULT_WITHIN: Final = 60.0
_READ: Final = 100


class Console:
    """One person at one terminal. `chat` is where typed lines go: the one named, else the one last heard."""

    def __init__(self, office: BusClient, chat: str) -> None:
        self._office = office
        self._only = chat
        self.chat = chat

    async def watch(self, since: str) -> None:
        """Show everything after this entry, or what is new. A group would hold back the trimming."""
        stream, delays = self._office.settings.key("inbound"), backoff(most=2.0)
        while True:
            try:
                since = since or await self._newest(stream)
                line = ("XREAD", "COUNT", _READ, "BLOCK", BLOCK_MS, "STREAMS", stream, since)
                answer: Any = await self._office.reader.execute_command(*line)  # type: ignore[no-untyped-call]
            except (RedisError, OSError) as exc:
                if not is_transient(exc):
                    raise
                await asyncio.sleep(next(delays))
                continue
            delays = backoff(most=2.0)
            if answer:
                rows = next(iter(answer.values())) if isinstance(answer, dict) else answer[0][1]
                for entry, flat in rows:
                    since = entry.decode()
                    with contextlib.suppress(SchemaError):
                        self.show(read_event(since, dict(zip(flat[::2], flat[1::2], strict=True))))

    async def _newest(self, stream: str) -> str:
        rows: Any = await self._office.client.xrevrange(stream, count=1)
        newest: bytes = rows[0][0] if rows else b"0-0"
        return newest.decode()

    def show(self, received: Received) -> None:
        """One line for each event."""
        if self._only and received.chat not in {"", self._only}:
            return
        clock = datetime.fromtimestamp(received.time).astimezone().strftime("%H:%M:%S")
        if received.type.startswith("message.") and received.chat:
            if not self._only and not received.own:
                self.chat = received.chat
            who = "me" if received.own else received.sender_name or received.sender
            where = "" if self._only else f" {received.chat}"
            print(f"{clock}{where} {_plain(who)}: {_plain(received.text)}", flush=True)
        elif received.type != "notice.typing":
            print(f"{clock} -- {_plain(received.text or received.type)}", flush=True)

    async def say(self, line: str) -> None:
        """Send one line, and tell when it did not arrive."""
        if line.startswith("@"):
            address, _, line = line[1:].partition(" ")
            try:
                self.chat = str(parse_address(address))
            except SchemaError as exc:
                print(f"-- {exc}", flush=True)
                return
        if not line.strip():
            return
        if not self.chat:
            print("-- nobody has said anything yet: start with @friend:1 or another address", flush=True)
            return
        request = Request(self.chat, line, fresh_id(self._office.application))
        try:
            result = await self._office.ask(request, _RESULT_WITHIN)
        except TimeoutError:
            print(f"-- no result within {_RESULT_WITHIN:g} s: it waits in qq:outbound", flush=True)
            return
        if result.status != Status.SENT:
            print(f"-- {result.status}: {result.code} {_plain(result.detail)}", flush=True)


async def converse(chat: str, since: str, settings: Settings) -> None:
    """Show and send until the input ends and everything typed has its result."""
    lines = _typed_lines()
    async with BusClient.open("console", consumer_name(), settings) as office, asyncio.TaskGroup() as tasks:
        console, stop = Console(office, chat), asyncio.Event()
        writer = tasks.create_task(office.run(stop, _RESULT_WITHIN))
        watcher = tasks.create_task(console.watch(since))
        async with asyncio.TaskGroup() as said:
            while (line := await lines.get()) is not None and line.strip() != "/quit":
                said.create_task(console.say(line.rstrip("\n")))
        watcher.cancel()
        stop.set()
        office.outlet.wake()
        await writer


def _typed_lines() -> "asyncio.Queue[str | None]":
    """Lines of the terminal, None at the end.

    A thread, because a terminal cannot be awaited; a daemon, because it cannot be interrupted either.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _plain(text: str) -> str:
    """Nothing in a message may steer the terminal."""
    return "".join(char if char.isprintable() or char == "\t" else " " for char in text)


def main() -> None:
    """Run until the input ends, `/quit` or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m consumers.console",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("chat", nargs="?", default="", help="show and answer only this address, e.g. group:2")
    parser.add_argument("--since", type=float, metavar="SECONDS", help="show first what was said so recently")
    options = parser.parse_args()
    try:
        chat = str(parse_address(options.chat)) if options.chat else ""
    except SchemaError as exc:
        parser.error(str(exc))
    since = "" if options.since is None else str(int((time.time() - options.since) * 1000))
    try:
        asyncio.run(converse(chat, since, Settings.read()))
    except KeyboardInterrupt:
        sys.exit(0)
    except BaseExceptionGroup as group:
        refused, others = group.split((RedisError, OSError))
        if refused is None or others is not None:
            raise
        sys.exit(f"Redis cannot be used: {refused.exceptions[0]}")


if __name__ == "__main__":
    main()
