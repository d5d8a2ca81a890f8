"""A word to the adapter on `qq:control`: logout, refresh, pause, resume, captcha, lapse, restore."""

import argparse
import sys
from typing import NamedTuple

from adapter.bus.admin import AdminClient
from adapter.cli.commands.login import caller
from adapter.cli.terminal import harmless, say
from adapter.config import Config

GROUPED = ("inbound", "results", "outbound", "dead")


class _Order(NamedTuple):
    """What it does, what to say when it was given, and the field that goes with it, if any."""

    what: str
    said: str
    field: str = ""


_ORDERS = {
    "logout": _Order("leave SmartQQ and stay away until `qqbus login`", "asked to log out"),
    "refresh": _Order("load all contacts again", "asked to load all contacts again"),
    "pause": _Order("hold all sends", "asked to hold all sends; `qqbus resume` lets them go"),
    "resume": _Order("let held sends go", "asked to let held sends go"),
    "captcha": _Order("type what the picture of `qqbus login` shows", "told", "text"),
    "lapse": _Order("keep nothing for a consumer group any more", "asked to count no longer on", "group"),
    "restore": _Order("count on a lapsed consumer group again", "asked to count again on", "group"),
}


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    for name, given in _ORDERS.items():
        one = subs.add_parser(name, help=given.what)
        if given.field:
            one.add_argument("detail", metavar=given.field.upper())
        one.set_defaults(command=order, order=name)


async def _vain(desk: AdminClient, name: str, details: dict[str, str]) -> str:
    """Why the order would change nothing, as far as that can be told from here."""
    if name == "captcha" and (await desk.status()).get("state") != "captcha":
        return "nobody asks for a captcha now: `qqbus status` tells what is going on"
    if name == "lapse":
        known = {group.name for stream in GROUPED for group in await desk.groups(stream)}
        if details["group"] not in known:
            named = ", ".join(map(harmless, sorted(known)))
            return f"there is no such consumer group: there are {named or 'none'}"
    return ""


async def order(config: Config, arguments: argparse.Namespace) -> int:
    """Give the order. The adapter's log and `qqbus status` tell what came of it."""
    given = _ORDERS[arguments.order]
    details = {given.field: arguments.detail} if given.field else {}
    async with AdminClient.open(config.redis_url, config.prefix) as desk:
        if await desk.lease_held() is False:
            print("qqbus: no adapter is running: start one with `qqbus run`", file=sys.stderr)
            return 1
        if vain := await _vain(desk, arguments.order, details):
            print(f"qqbus: {vain}", file=sys.stderr)
            return 1
        await desk.send_command(arguments.order, caller(), **details)
    named = harmless(details.get("group", ""))
    say(" ".join(filter(None, (given.said, named))))
    return 0
