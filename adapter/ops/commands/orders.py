"""`qqbus logout`, `refresh`, `pause`, `resume`: a word to the adapter on `qq:control`."""

import argparse
import sys

from adapter.bus.desk import Desk
from adapter.config import Config
from adapter.ops.commands.login import caller
from adapter.ops.terminal import say

_ORDERS = {
    "logout": ("leave SmartQQ and stay away until `qqbus login`", "asked to log out"),
    "refresh": ("load all contacts again", "asked to load all contacts again"),
    "pause": ("hold all sends", "asked to hold all sends; `qqbus resume` lets them go"),
    "resume": ("let held sends go", "asked to let held sends go"),
}


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    for name, (what, _) in _ORDERS.items():
        subs.add_parser(name, help=what).set_defaults(command=order, order=name)


async def order(config: Config, arguments: argparse.Namespace) -> int:
    """Give the order. The adapter's log and `qqbus status` tell what came of it."""
    async with Desk.open(config.redis_url, config.prefix) as desk:
        if await desk.held() is False:
            print("qqbus: no adapter is running: start one with `qqbus run`", file=sys.stderr)
            return 1
        await desk.ask(arguments.order, caller())
    say(_ORDERS[arguments.order][1])
    return 0
