"""Commands: `#name` in a chat runs a program from an allow-list and answers with what it printed.

The list is a TOML file:

    administrators = ["qq:10001", "friend:3"]   # QQ numbers or chats; of a group: everybody in it

    [commands.uptime]
    argv = ["uptime"]
    help = "how long the machine has been up"

    [commands.ping]
    argv = ["ping", "-c", "1", "{1}"]           # {1} is the first word after the command
    arguments = ["[a-z0-9][a-z0-9.-]{0,62}"]    # what each word must match as a whole
    who = "everybody"                           # without this: administrators only
    seconds = 5

No shell is involved, so no character has a meaning. `#help` lists what one may do; `#exit` logs the
account out (administrators).
"""

import argparse
import asyncio
import os
import re
import signal
import sys
import time
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from consumers.runtime.event import Event
from consumers.runtime.worker import Worker

MARK: Final = "#"
# Programs run longer than this only if the list says so.
SECONDS: Final = 10.0
# Longer output is cut: a chat is not a terminal.
MAX_OUTPUT: Final = 6_000
PART: Final = 600
# A command that waited longer for this worker is no longer meant.
STALE: Final = 300.0
# A grandchild that left the group may hold the output open for ever.
_REAP: Final = 2.0
_ADMINISTRATOR: Final = re.compile(r"qq:\d{5,20}|(friend|group|discuss):\d{1,20}", re.ASCII)
_PLACE: Final = re.compile(r"\{(\d)\}")


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the list."""

    argv: tuple[str, ...]
    arguments: tuple[re.Pattern[str], ...] = ()
    help: str = ""
    everybody: bool = False
    seconds: float = SECONDS

    def line(self, words: list[str]) -> list[str] | None:
        """What to run for these words; None where they do not fit."""
        if len(words) != len(self.arguments):
            return None
        if not all(form.fullmatch(word) for form, word in zip(self.arguments, words, strict=True)):
            return None
        return [_PLACE.sub(lambda place: words[int(place[1]) - 1], part) for part in self.argv]


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may do what."""

    administrators: frozenset[str]
    commands: Mapping[str, Command]

    @classmethod
    def read(cls, text: str) -> "Rules":
        """Read the TOML. Raises ValueError in words."""
        value = tomllib.loads(text)
        administrators = value.get("administrators", [])
        for each in administrators:
            if not isinstance(each, str) or not _ADMINISTRATOR.fullmatch(each):
                raise ValueError(f"administrator {each!r} is neither qq:<number> nor a chat such as friend:3")
        commands = {name: _command(name, each) for name, each in value.get("commands", {}).items()}
        return cls(frozenset(administrators), commands)

    def is_administrator(self, event: Event) -> bool:
        """By QQ number, where upstream tells it, or by the chat."""
        return event.chat in self.administrators or f"qq:{event.received.sender_qq}" in self.administrators

    def allowed(self, event: Event) -> dict[str, Command]:
        """What this speaker may do."""
        if self.is_administrator(event):
            return dict(self.commands)
        return {name: command for name, command in self.commands.items() if command.everybody}


def _command(name: str, value: Any) -> Command:
    match value:
        case {"argv": [str(), *_] as argv} if all(isinstance(part, str) for part in argv):
            forms = tuple(re.compile(form) for form in value.get("arguments", []))
        case _:
            raise ValueError(f"commands.{name} has no argv: give a list of texts, never one line for a shell")
    places = {int(place) for part in argv for place in _PLACE.findall(part)}
    if places - set(range(1, len(forms) + 1)):
        raise ValueError(f"commands.{name}: argv names a word that `arguments` does not describe")
    if _PLACE.search(argv[0]):
        raise ValueError(f"commands.{name}: the program itself cannot come from the chat")
    who = value.get("who", "administrators")
    if who not in {"administrators", "everybody"}:
        raise ValueError(f"commands.{name}: who is neither administrators nor everybody")
    help_, seconds = str(value.get("help", "")), float(value.get("seconds", SECONDS))
    return Command(tuple(argv), forms, help_, who == "everybody", seconds)


class Commands:
    """Answers lines that begin with `#`."""

    def __init__(self, worker: Worker, rules: Rules) -> None:
        self._worker = worker
        self._rules = rules

    async def obey(self, event: Event) -> None:
        """One line. Whoever may do nothing here is told so only about commands that exist."""
        words = event.text.strip().removeprefix(MARK).split()
        if not words or time.time() - int(event.received.entry.partition("-")[0]) / 1000 > STALE:
            return
        name, allowed = words[0], self._rules.allowed(event)
        if name == "exit":
            await self._exit(event)
        elif name == "help":
            await event.reply(_help(allowed, administrator=self._rules.is_administrator(event)))
        elif name in allowed:
            await self._run(event, name, allowed[name], words[1:])
        elif name in self._rules.commands:
            await event.reply(f"{MARK}{name}: not for you")
        elif allowed:
            await event.reply(f"{MARK}{name}: no such command, see {MARK}help")

    async def _exit(self, event: Event) -> None:
        if not self._rules.is_administrator(event):
            await event.reply(f"{MARK}exit: not for you")
            return
        await event.reply("logging out")
        await self._worker.control("logout", f"{event.chat} {event.sender}")

    async def _run(self, event: Event, name: str, command: Command, words: list[str]) -> None:
        line = command.line(words)
        if line is None:
            await event.reply(f"{MARK}{name}: these words are not allowed")
            return
        if event.delivery > 1:
            # It may have run already: twice could do harm, so a person decides.
            await event.reply(f"{MARK}{name} was interrupted; say it again if it is still wanted")
            return
        for part in parts(await output_of(line, command.seconds)):
            await event.reply(part)


async def output_of(line: list[str], seconds: float) -> str:
    """Run a program and return what it printed, at most MAX_OUTPUT bytes, within so many seconds."""
    try:
        process = await asyncio.create_subprocess_exec(
            *line,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as exc:
        return f"{line[0]} cannot be run: {exc}"
    assert process.stdout is not None  # noqa: S101 – asked for above
    printed, end = bytearray(), ""
    try:
        async with asyncio.timeout(seconds):
            while len(printed) <= MAX_OUTPUT and (piece := await process.stdout.read(4096)):
                printed += piece
            if len(printed) <= MAX_OUTPUT:
                await process.wait()
    except TimeoutError:
        end = f"\n(stopped after {seconds:g} s)"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await _reap(process, process.stdout)
    if len(printed) > MAX_OUTPUT:
        del printed[MAX_OUTPUT:]
        end = "\n(cut here)"
    elif not end and process.returncode:
        end = f"\n(exit code {process.returncode})"
    return (printed.decode("utf-8", "replace").strip() + end).strip() or "(done, nothing printed)"


async def _reap(process: asyncio.subprocess.Process, printed: asyncio.StreamReader) -> None:
    """Take the dead process off the table; what it had still printed stands in the way of that."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_REAP):
            while await printed.read(65_536):
                pass
            await process.wait()


def parts(text: str) -> list[str]:
    """The text in parts of at most PART characters, cut at line ends where there are any."""
    found, rest = [], text
    while len(rest) > PART:
        cut = rest.rfind("\n", 1, PART + 1)
        cut = cut if cut > 0 else PART
        found.append(rest[:cut])
        rest = rest[cut:].removeprefix("\n")
    return [part for part in (*found, rest) if part.strip()]


def _help(allowed: Mapping[str, Command], *, administrator: bool) -> str:
    lines = [
        f"{MARK}{name}{' …' * len(each.arguments)}  {each.help}".rstrip() for name, each in allowed.items()
    ]
    if administrator:
        lines.append(f"{MARK}exit  log the account out")
    return "\n".join(lines) or "nothing here is for you"


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m consumers.commands",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rules", type=Path, help="the TOML file")
    options = parser.parse_args()
    try:
        rules = Rules.read(options.rules.read_text(encoding="utf-8"))
    except (OSError, ValueError, re.error) as exc:
        print(f"{options.rules}: {exc}", file=sys.stderr)
        sys.exit(2)
    # What was said before this application existed is nobody's command.
    worker = Worker("commands", start="$")
    worker.on("message", text=rf"^\s*{MARK}")(Commands(worker, rules).obey)
    worker.main()


if __name__ == "__main__":
    main()
