"""`python -m tests.onebot_server`: a OneBot implementation on a port until SIGTERM or SIGINT."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from gettext import gettext as _
from pathlib import Path
from typing import Any

from .errors import ControlError
from .narration import narrate, play, talk
from .options import Options
from .server import OneBotServer

_USAGE = 2


def _arguments(program: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=program, description=_("A simulated implementation of OneBot 11, until SIGTERM or SIGINT.")
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help=_("of the WebSocket; 0 lets the system choose (default)"))
    add("--control-port", type=int, default=0, help=_("of the control interface and of pictures"))
    add("--dialect", default="napcat", help=_("napcat (default), llbot, snowluma or go-cqhttp"))
    add(
        "--reverse",
        action="append",
        default=[],
        metavar="URL",
        help=_("connect to a client's own server, too"),
    )
    add(
        "--group",
        action="append",
        default=[],
        metavar="NUMBER=MEMBERS",
        help=_("a group of invented members"),
    )
    add("--script", type=Path, metavar="FILE", help=_("JSON: a list of {after, do, with} (see the README)"))
    add("--talk", metavar="TEXT", help=_("a friend says TEXT when a client is there"))
    add("--narrate", action="store_true", help=_("print what is said and what is answered"))
    add("--set", action="append", default=[], metavar="NAME=VALUE", help=_("any option, the value as JSON"))
    return parser.parse_args()


def _options(settings: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def _steps(path: Path | None) -> list[Mapping[str, Any]]:
    if path is None:
        return []
    try:
        steps = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ControlError(f"{path}: {exc}") from exc
    if not isinstance(steps, list) or not all(isinstance(step, dict) and "do" in step for step in steps):
        raise ControlError(f"{path}: a script is a list of objects with do")
    return steps


async def _serve(server: OneBotServer, arguments: argparse.Namespace) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    steps = _steps(arguments.script)
    for group in arguments.group:
        number, _, members = group.partition("=")
        if not (number.isdecimal() and members.isdecimal()):
            raise ControlError(f"--group is NUMBER=MEMBERS, not {group!r}")
        server.do.group(int(number), members=int(members))
    async with server:
        for url in arguments.reverse:
            server.do.reverse(url)
        print(server.url, server.control_url, flush=True)
        tasks = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(play(server, steps))]
        if arguments.narrate:
            tasks.append(asyncio.ensure_future(narrate(server)))
        if arguments.talk is not None:
            tasks.append(asyncio.ensure_future(talk(server, arguments.talk)))
        while not stop.is_set():
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            tasks = [task for task in tasks if task not in done]
            for task in done:
                task.result()
        for task in tasks:
            task.cancel()
    return 0


def main(program: str = f"python -m {__package__}") -> int:
    """Run until a signal; return 2 for a mistake in the arguments or in a script."""
    arguments = _arguments(program)
    try:
        chosen = Options().changed({"dialect": arguments.dialect, **_options(arguments.set)})
        settings = {name: value for name, value in vars(chosen).items() if name != "dialect"}
        server = OneBotServer(
            chosen.dialect, port=arguments.port, control_port=arguments.control_port, **settings
        )
        return asyncio.run(_serve(server, arguments))
    except (ControlError, OSError) as exc:
        print(f"onebot_server: {exc}", file=sys.stderr)
        return _USAGE


if __name__ == "__main__":
    sys.exit(main())
