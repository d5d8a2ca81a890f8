"""`python -m tests.simulator`: a SmartQQ on a port until SIGTERM or SIGINT."""

import argparse
import asyncio
import json
import signal
import sys
from gettext import gettext as _
from pathlib import Path
from typing import Any

from . import scripts
from .faults import FaultError
from .options import NAMES, PROFILES, OptionError
from .sample import ACCOUNT
from .simulator import Simulator

_USAGE = 2
_SETTABLE = NAMES - {"profile"}  # an era is chosen as a whole, by --profile


def _arguments(program: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=program, description=_("A simulated SmartQQ, until SIGTERM or SIGINT.")
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help=_("0 lets the system choose (default)"))
    add("--host", default="127.0.0.1", help=_("address to listen on (default 127.0.0.1)"))
    add(
        "--profile",
        choices=tuple(PROFILES),
        default="e3",
        help=_("the service of 2015, of 2017 (default) or of 2018"),
    )
    add("--account", type=int, default=ACCOUNT, help=_("the QQ number of the account"))
    add("--auto-scan", action="store_true", help=_("codes are scanned and confirmed by themselves"))
    add("--poll-seconds", type=float, default=60.0, help=_("when an idle poll is answered"))
    add("--strict", action="store_true", help=_("want the exact headers of a browser"))
    add("--faults", type=Path, metavar="FILE", help=_("a fault script (JSON)"))
    add("--set", action="append", default=[], metavar="NAME=VALUE", help=_("any option, the value as JSON"))
    return parser.parse_args()


def _options(settings: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in _SETTABLE:
            raise OptionError(f"no such option for --set: {name}")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def _script(path: Path | None) -> scripts.Script:
    if path is None:
        return scripts.Script()
    try:
        return scripts.parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as exc:
        raise FaultError(f"{path}: {exc}") from exc


async def _serve(sim: Simulator, script: scripts.Script) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with sim:
        print(sim.url, flush=True)
        playing = asyncio.ensure_future(sim.play(script))
        playing.add_done_callback(lambda played: _stop_if_failed(played, stop))
        await stop.wait()
    playing.cancel()
    await asyncio.wait([playing])
    return 0 if playing.cancelled() or playing.exception() is None else _explain(playing.exception())


def _stop_if_failed(played: asyncio.Future[None], stop: asyncio.Event) -> None:
    if not played.cancelled() and played.exception() is not None:
        stop.set()


def _explain(error: BaseException | None) -> int:
    print(f"simulator: {error}", file=sys.stderr)
    return _USAGE


def main(program: str = f"python -m {__package__}") -> int:
    """Run until told to stop; 2 for a mistake in the arguments or in a script."""
    arguments = _arguments(program)
    switches = {name: getattr(arguments, name) for name in ("auto_scan", "poll_seconds", "strict")}
    try:
        sim = Simulator(
            arguments.profile,
            port=arguments.port,
            host=arguments.host,
            account=arguments.account,
            **switches | _options(arguments.set),
        )
        return asyncio.run(_serve(sim, _script(arguments.faults)))
    except (OptionError, FaultError, OSError) as exc:
        return _explain(exc)


if __name__ == "__main__":
    sys.exit(main())
