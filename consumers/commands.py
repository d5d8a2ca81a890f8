"""Run programs from an allow-list: `#name` in a chat replies with the program's output.

The list is a TOML file:

    administrators = ["qq:10001", "group:3"]    # QQ numbers, or chats with all their members, if QQ tells
                                                # the chat's number (`identity` is `exact`)

    environment = ["KUBECONFIG"]                # variables that programs get beside PATH, HOME and the locale

    [commands.uptime]
    argv = ["uptime"]
    help = "how long the machine has been up"

    [commands.ping]
    argv = ["ping", "-c", "1", "{1}"]           # {1}: the first word after the command
    arguments = ["[a-z0-9][a-z0-9.-]{0,62}"]    # full match of each word
    who = "everybody"                           # default: administrators
    seconds = 5

No shell is involved, so no character is special. `#help` lists the commands that the sender may run;
`#exit` logs the account out (administrators).
"""

import argparse
import asyncio
import os
import re
import signal
import sys
import time
import tomllib
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

from adapter import ConfigError
from adapter.graphemes import last_boundary
from adapter.i18n import _, terminal_texts, translate_error
from qqbus import Event, Worker

MARK: Final = "#"
# Variables that programs of the list get.
KEPT_VARIABLES: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
# Seconds that a program may run unless the list says otherwise.
DEFAULT_SECONDS: Final = 10.0
# Bytes of output: a chat is not a terminal. Longer output is cut.
MAX_OUTPUT: Final = 6_000
# Characters of one reply: QQ cuts longer messages.
MAX_REPLY: Final = 600
# Seconds after which a command that waited for this worker is ignored.
MAX_AGE: Final = 300.0
# Seconds. A grandchild that left the process group may hold the output open without end.
_REAP_SECONDS: Final = 2.0
_ADMINISTRATOR: Final = re.compile(r"qq:\d{5,20}|(friend|group|discuss):\d{1,20}", re.ASCII)
_PLACEHOLDER: Final = re.compile(r"\{(\d)\}")


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the list."""

    argv: tuple[str, ...]
    arguments: tuple[re.Pattern[str], ...] = ()
    help: str = ""
    everybody: bool = False
    seconds: float = DEFAULT_SECONDS

    def fill(self, words: list[str]) -> list[str] | None:
        """Return the argv for these words; None if they do not match."""
        if len(words) != len(self.arguments):
            return None
        if not all(pattern.fullmatch(word) for pattern, word in zip(self.arguments, words, strict=True)):
            return None
        return [_PLACEHOLDER.sub(lambda match: words[int(match[1]) - 1], part) for part in self.argv]


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may run what."""

    administrators: frozenset[str]
    commands: Mapping[str, Command]
    environment: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Rules":
        """Parse the TOML. Raises ConfigError that names what to change."""
        value = tomllib.loads(text)
        administrators, environment = value.get("administrators", []), value.get("environment", [])
        if not isinstance(administrators, list) or not isinstance(value.get("commands", {}), dict):
            raise ConfigError("administrators is a list, each command a table [commands.name]")
        for each in administrators:
            if not isinstance(each, str) or not _ADMINISTRATOR.fullmatch(each):
                raise ConfigError(
                    "administrator {each!r} is neither qq:<number> nor a chat such as friend:3", each=each
                )
        commands = {name: _command(name, each) for name, each in value.get("commands", {}).items()}
        if not isinstance(environment, list) or not all(isinstance(name, str) for name in environment):
            raise ConfigError("environment: give a list of names of variables")
        return cls(frozenset(administrators), commands, tuple(environment))

    def is_administrator(self, event: Event) -> bool:
        """Return whether the sender's QQ number, if known, or the chat is listed.

        The id of a chat counts if its number proves it: a chat that was matched by its name may belong to
        a person who has taken that name.
        """
        chat = event.received.body.get("chat")
        is_exact = isinstance(chat, dict) and chat.get("identity") == "exact"
        return (is_exact and event.chat in self.administrators) or (
            f"qq:{event.received.sender_qq}" in self.administrators
        )

    def allowed(self, event: Event) -> dict[str, Command]:
        """Return the commands that the sender may run."""
        if self.is_administrator(event):
            return dict(self.commands)
        return {name: command for name, command in self.commands.items() if command.everybody}


def _command(name: str, value: Any) -> Command:
    match value:
        case {"argv": [str(), *_] as argv} if all(isinstance(part, str) for part in argv):
            patterns = tuple(re.compile(pattern) for pattern in value.get("arguments", []))
        case _:
            raise ConfigError(
                "commands.{name} has no argv: give a list of strings, not a shell line", name=name
            )
    numbers = {int(number) for part in argv for number in _PLACEHOLDER.findall(part)}
    if numbers - set(range(1, len(patterns) + 1)):
        raise ConfigError("commands.{name}: argv uses a word that `arguments` has no pattern for", name=name)
    if _PLACEHOLDER.search(argv[0]):
        raise ConfigError("commands.{name}: the program itself cannot come from the chat", name=name)
    who = value.get("who", "administrators")
    if who not in {"administrators", "everybody"}:
        raise ConfigError("commands.{name}: who must be administrators or everybody", name=name)
    help_, seconds = str(value.get("help", "")), float(value.get("seconds", DEFAULT_SECONDS))
    return Command(tuple(argv), patterns, help_, who == "everybody", seconds)


class Commands:
    """Handles messages that begin with `#`."""

    def __init__(self, worker: Worker, rules: Rules) -> None:
        self._worker = worker
        self._rules = rules

    async def execute(self, event: Event) -> None:
        """Run one command. A sender without any rights gets replies only to commands that exist."""
        words = event.text.strip().removeprefix(MARK).split()
        if not words or time.time() - int(event.received.entry.partition("-")[0]) / 1000 > MAX_AGE:
            return
        name, allowed = words[0], self._rules.allowed(event)
        if name == "exit":
            await self._exit(event)
        elif name == "help":
            await event.reply(_help(allowed, administrator=self._rules.is_administrator(event)))
        elif name in allowed:
            await self._run(event, name, allowed[name], words[1:])
        elif name in self._rules.commands:
            await event.reply(f"{MARK}{name}: permission denied")
        elif allowed:
            await event.reply(f"{MARK}{name}: no such command, see {MARK}help")

    async def _exit(self, event: Event) -> None:
        if not self._rules.is_administrator(event):
            await event.reply(f"{MARK}exit: permission denied")
            return
        await event.reply("logging out")
        await self._worker.control("logout", f"{event.chat} {event.sender}")

    async def _run(self, event: Event, name: str, command: Command, words: list[str]) -> None:
        argv = command.fill(words)
        if argv is None:
            await event.reply(f"{MARK}{name}: these arguments are not allowed")
            return
        if event.delivery > 1:
            # It may have run already, and twice could do harm: the sender decides.
            await event.reply(f"{MARK}{name} was interrupted; send it again to run it")
            return
        for part in split_output(await output_of(argv, command.seconds, self._rules.environment)):
            await event.reply(part)


async def output_of(argv: list[str], seconds: float, variables: Collection[str] = ()) -> str:
    """Run a program for `seconds` at most; returns up to MAX_OUTPUT bytes of its output.

    `variables`: what the program gets of this worker's environment, which holds passwords.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            env={name: os.environ[name] for name in (*KEPT_VARIABLES, *variables) if name in os.environ},
        )
    except (OSError, ValueError) as exc:
        return f"{argv[0]} cannot be run: {exc}"
    assert process.stdout is not None  # noqa: S101 – requested above
    printed, note = bytearray(), ""
    try:
        async with asyncio.timeout(seconds):
            while len(printed) <= MAX_OUTPUT and (piece := await process.stdout.read(4096)):
                printed += piece
            if len(printed) <= MAX_OUTPUT:
                await process.wait()
    except TimeoutError:
        note = f"\n(stopped after {seconds:g} s)"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await _reap(process, process.stdout)
    if len(printed) > MAX_OUTPUT:
        del printed[MAX_OUTPUT:]
        note = "\n(output cut)"
    elif not note and process.returncode:
        note = f"\n(exit code {process.returncode})"
    return (printed.decode("utf-8", "replace").strip() + note).strip() or "(done, no output)"


async def _reap(process: asyncio.subprocess.Process, printed: asyncio.StreamReader) -> None:
    """Wait for the killed process; unread output would block that."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_REAP_SECONDS):
            while await printed.read(65_536):
                pass
            await process.wait()


def split_output(text: str) -> list[str]:
    """Split at line ends, where there are any, into parts of at most MAX_REPLY characters."""
    found, rest = [], text
    while len(rest) > MAX_REPLY:
        cut = rest.rfind("\n", 1, MAX_REPLY + 1)
        cut = cut if cut > 0 else last_boundary(rest, MAX_REPLY) or MAX_REPLY
        found.append(rest[:cut])
        rest = rest[cut:].removeprefix("\n")
    return [part for part in (*found, rest) if part.strip()]


def _help(allowed: Mapping[str, Command], *, administrator: bool) -> str:
    lines = [
        f"{MARK}{name}{' …' * len(each.arguments)}  {each.help}".rstrip() for name, each in allowed.items()
    ]
    if administrator:
        lines.append(f"{MARK}exit  log the account out")
    return "\n".join(lines) or "there are no commands for you"


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    with terminal_texts():
        parser = argparse.ArgumentParser(
            prog="python -m consumers.commands",
            description=_(cleandoc(__doc__)),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("rules", type=Path, help=_("the TOML file with the list"))
        options = parser.parse_args()
    try:
        rules = Rules.parse(options.rules.read_text(encoding="utf-8"))
    except (ConfigError, OSError, ValueError, re.error) as exc:
        why = translate_error(exc) if isinstance(exc, ConfigError) else str(exc)
        print(f"{options.rules}: {why}", file=sys.stderr)
        sys.exit(2)
    # Messages from before the group existed are no commands.
    worker = Worker("commands", start="$")
    worker.on("message", text=rf"^\s*{MARK}")(Commands(worker, rules).execute)
    worker.main()


if __name__ == "__main__":
    main()
