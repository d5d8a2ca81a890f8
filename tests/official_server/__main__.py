"""Serve `python -m tests.official_server` until SIGTERM or SIGINT."""

import argparse
import asyncio
import json
import signal
import sys
from gettext import gettext as _
from pathlib import Path
from typing import Any

from .faults import FaultError, rule_from
from .options import OptionError
from .server import OfficialServer
from .world import APPID, SECRET

_USAGE = 2


def _arguments(program: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=program, description=_("A simulated official bot API, until SIGTERM or SIGINT.")
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help=_("0 lets the system choose (default)"))
    add("--appid", default=APPID, help=_("the AppID of the bot"))
    add("--secret", default=SECRET, help=_("the secret of the bot"))
    add("--seed", type=int, default=None, help=_("of ids and chances"))
    add("--tls", nargs=2, type=Path, metavar=("CERT", "KEY"), help=_("a second port speaks TLS with these"))
    add("--rules", type=Path, metavar="FILE", help=_("rules (a JSON list, as POST /sim/rule takes them)"))
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


async def _serve(server: OfficialServer) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        print(server.url, flush=True)
        await stop.wait()
    return 0


def _server(arguments: argparse.Namespace) -> OfficialServer:
    server = OfficialServer(
        appid=arguments.appid,
        secret=arguments.secret,
        port=arguments.port,
        seed=arguments.seed,
        tls=tuple(arguments.tls) if arguments.tls else None,
        **_options(arguments.set),
    )
    if arguments.rules is not None:
        try:
            rules = [rule_from(one) for one in json.loads(arguments.rules.read_text(encoding="utf-8"))]
        except (ValueError, TypeError, AttributeError) as exc:
            raise FaultError(f"{arguments.rules}: {exc}") from exc
        for rule in rules:
            server.add_rule(rule)
    return server


def main(program: str = f"python -m {__package__}") -> int:
    """Run until a signal; return 2 for a mistake in the arguments."""
    try:
        return asyncio.run(_serve(_server(_arguments(program))))
    except (OptionError, FaultError, OSError) as exc:
        print(f"official_server: {exc}", file=sys.stderr)
        return _USAGE


if __name__ == "__main__":
    sys.exit(main())
