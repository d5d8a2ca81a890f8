"""Chat in the terminal: show the events of the bus, and send typed lines.

The chat that a line goes to stands in front of it, and is fixed from the first key on. Start a line with an
address, as in `@friend:1 hello`, to switch to that chat; `/help` lists the commands, `/quit` ends.
"""

import argparse
import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import AsyncIterator
from datetime import datetime
from inspect import cleandoc
from typing import Any, Final

from redis.exceptions import RedisError

from adapter import ConfigError, Received, SchemaError, Status, parse_address, read_event
from adapter.cli.terminal import open_standard_streams, say
from adapter.i18n import N_, _, terminal_texts, translate_error
from adapter.plain_text import harmless
from consumers.runtime.client import BusClient
from consumers.runtime.connection import BLOCK_MS, Settings, consumer_name, describe_error
from consumers.runtime.replies import entries_of, mapping_of, only_stream
from consumers.runtime.requests import Request, fresh_id
from consumers.runtime.tasks import TaskSupervisor

# Seconds to wait for the result of a line.
_RESULT_TIMEOUT: Final = 60.0
# Chats whose names are remembered.
_MAX_NAMES: Final = 1_000
# Seconds between two looks at which chat is the last one.
_REFRESH_SECONDS: Final = 0.2
# Entries in one read.
_READ_COUNT: Final = 100


_GREETING: Final = (
    N_("Lines that you type go to the chat that stands in front of them. It is that of the last message,"),
    N_("and stays fixed from your first key on. @friend:1 chooses another chat; /help lists the commands."),
)
_HELP: Final = (
    N_("@friend:1 hello   send to this chat, and stay in it"),
    N_("@friend:1         stay in this chat"),
    N_("/who              the chats that were heard"),
    N_("/help             this list"),
    N_("/quit             leave"),
)


class Console:
    """One user at one terminal. Typed lines go to `chat`: the one given, else that of the last message."""

    def __init__(self, client: BusClient, chat: str) -> None:
        self._client = client
        self._only = chat
        self.chat = chat
        # What to call the chats that were heard, by address.
        self._names: dict[str, str] = {}

    def label(self, chat: str) -> str:
        """Return an address with the name that is known for it."""
        return f"{chat} {self._names.get(chat, '')}".rstrip()

    async def watch(self, since: str) -> None:
        """Show everything after this entry, or what is new. A group would hold up retention."""
        stream = self._client.settings.key("inbound")

        async def read() -> None:
            nonlocal since
            since = since or await self._newest(stream)
            args = ("XREAD", "COUNT", _READ_COUNT, "BLOCK", BLOCK_MS, "STREAMS", stream, since)
            reply: Any = await self._client.reader.execute_command(*args)  # type: ignore[no-untyped-call]
            for entry, fields in entries_of(only_stream(reply)):
                since = entry
                with contextlib.suppress(SchemaError):
                    self.show(read_event(entry, mapping_of(fields)))

        while True:
            await self._client.retries.run(read)

    async def _newest(self, stream: str) -> str:
        rows: Any = await self._client.client.xrevrange(stream, count=1)
        newest: bytes = rows[0][0] if rows else b"0-0"
        return newest.decode()

    def show(self, received: Received) -> None:
        """Print an event."""
        if self._only and received.chat not in {"", self._only}:
            return
        clock = datetime.fromtimestamp(received.time).astimezone().strftime("%H:%M:%S")
        if received.type.startswith("message.") and received.chat:
            self._remember(received)
            if not self._only and not received.own:
                self.chat = received.chat
            who = _("me") if received.own else received.sender_name or received.sender
            where = "" if self._only else f" {received.chat}"
            say(f"{clock}{where} {harmless(who)}: {harmless(received.text)}")
        elif received.type != "notice.typing":
            say(f"{clock} -- {harmless(received.text or received.type)}")

    def _remember(self, received: Received) -> None:
        is_friend = received.chat.startswith("friend:") and not received.own
        name = received.chat_name or (received.sender_name if is_friend else "")
        if name and (received.chat in self._names or len(self._names) < _MAX_NAMES):
            self._names[received.chat] = harmless(name)

    def command(self, line: str) -> None:
        """Carry out a line that begins with a slash. It is never sent."""
        match line.split(maxsplit=1)[0]:
            case "/help":
                say(*map(_, _HELP))
            case "/who":
                say(*(list(map(self.label, self._names)) or [_("-- no message yet")]))
            case word:
                say(_("-- {word} is no command, and was not sent: /help lists them").format(word=word))

    async def say(self, line: str, chat: str) -> None:
        """Send one line to a chat, and print what became of it."""
        if line.startswith("/"):
            self.command(line)
            return
        if line.startswith("@"):
            address, _blank, line = line[1:].partition(" ")
            try:
                chat = self.chat = str(parse_address(address))
            except SchemaError as exc:
                say(f"-- {translate_error(exc)}")
                return
        if not line.strip():
            return
        if not chat:
            say(_("-- no message yet: start the line with an address, such as @friend:1"))
            return
        request = Request(chat, line, fresh_id(self._client.application))
        where = f"{self.label(chat)}: {harmless(line)}"
        try:
            result = await self._client.confirm(request, _RESULT_TIMEOUT)
        except TimeoutError:
            text = _("… {where} -- no result within {seconds:g} s: the request waits in qq:outbound")
            say(text.format(where=where, seconds=_RESULT_TIMEOUT))
            return
        if result.status == Status.SENT:
            say(f"✓ {where}")
        else:
            say(f"✗ {where} -- {result.status}: {result.code} {harmless(result.detail)}")


async def converse(chat: str, since: str, settings: Settings) -> None:
    """Show and send until the input ends and every line has its result."""
    async with BusClient.open("console", consumer_name(), settings) as client:
        console, ended = Console(client, chat), asyncio.Event()
        lines = _prompted_lines(console) if sys.stdin.isatty() else _piped_lines(console)
        tasks = TaskSupervisor(ended.set)
        try:
            writer = client.start(tasks)
            tasks.start(console.watch(since))
            tasks.start(_send_lines(console, lines, ended))
            await ended.wait()
            client.writer.close()
            await asyncio.wait([writer], timeout=_RESULT_TIMEOUT)
        finally:
            await tasks.close()


async def _send_lines(console: Console, lines: AsyncIterator[tuple[str, str]], ended: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as sending:
        async for line, chat in lines:
            if line.strip() == "/quit":
                break
            sending.create_task(console.say(line, chat))
    ended.set()


async def _piped_lines(console: Console) -> AsyncIterator[tuple[str, str]]:
    """Yield the lines of a pipe, each with the chat of its moment."""
    lines = _typed_lines()
    while (line := await lines.get()) is not None:
        yield line.rstrip("\n"), console.chat


async def _prompted_lines(console: Console) -> AsyncIterator[tuple[str, str]]:
    """Yield the lines of a terminal, each with the chat that stood in front of it.

    The chat is fixed with the first key. What is heard is printed above the line that is being typed.
    """
    from prompt_toolkit import PromptSession  # noqa: PLC0415 – 0.1 s that a pipe saves
    from prompt_toolkit.patch_stdout import patch_stdout  # noqa: PLC0415

    session: PromptSession[str] = PromptSession()
    target = [console.chat]

    def shown() -> str:
        if not session.default_buffer.text:
            target[0] = console.chat
        return f"{console.label(target[0]) or _('no chat yet')}> "

    with patch_stdout(raw=True):
        say(*map(_, _GREETING))
        while True:
            try:
                line = await session.prompt_async(shown, refresh_interval=_REFRESH_SECONDS)
            except (EOFError, KeyboardInterrupt):
                return
            yield line, target[0]


def _typed_lines() -> "asyncio.Queue[str | None]":
    """Return a queue of typed lines, None at the end.

    A terminal cannot be awaited, hence the thread; nor interrupted, hence a daemon.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def main() -> None:
    """Run until the input ends, `/quit` or Ctrl-C."""
    open_standard_streams()
    with terminal_texts():
        options = _parse_arguments()
    since = "" if options.since is None else str(int((time.time() - options.since) * 1000))
    try:
        asyncio.run(converse(options.chat, since, Settings.from_env()))
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(0)
    except ConfigError as exc:
        sys.exit(translate_error(exc))
    except (RedisError, OSError) as exc:
        sys.exit(_("Redis cannot be used: {error} (REDIS_URL names it)").format(error=describe_error(exc)))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m consumers.console",
        description=_(cleandoc(__doc__)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("chat", nargs="?", default="", help=_("show and answer only this chat, e.g. group:2"))
    parser.add_argument(
        "--since", type=float, metavar="SECONDS", help=_("show first the events of the last SECONDS")
    )
    options = parser.parse_args()
    try:
        options.chat = str(parse_address(options.chat)) if options.chat else ""
    except SchemaError as exc:
        parser.error(translate_error(exc))
    return options


if __name__ == "__main__":
    main()
