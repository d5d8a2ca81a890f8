"""`qqbus tail`: events as they come, one a line. Reads without a group: nobody misses what it sees."""

import argparse
import time
from collections.abc import Mapping
from typing import Any

import msgpack

from adapter.bus.admin import AdminClient
from adapter.cli.terminal import Paint, as_json, harmless, say
from adapter.config import Config
from adapter.contract.tables import TYPES
from adapter.errors import ConfigError
from adapter.ops.wording import clock, moment, start_id

_STYLES = {"message": "bold", "session": "yellow", "notice": "dim"}


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    one = subs.add_parser("tail", help="events as they come, one a line")
    one.add_argument("--json", action="store_true", help="one JSON object a line, with the body")
    one.add_argument(
        "--since",
        metavar="ID|TIME",
        help="begin there: an entry id, an RFC 3339 time, or so long ago (10m, 2h)",
    )
    one.add_argument(
        "--type",
        action="append",
        default=[],
        metavar="TYPE",
        help="only these: message.group, or notice for all notices; may be repeated",
    )
    one.set_defaults(command=tail, interrupted=0)


async def tail(config: Config, arguments: argparse.Namespace) -> int:
    """Print events until Ctrl-C."""
    since = None if arguments.since is None else start_id(arguments.since, time.time())
    if arguments.since is not None and since is None:
        raise ConfigError(
            f"--since {arguments.since!r} is neither an entry id nor a time nor a length such as 10m"
        )
    for kind in arguments.type:
        if not any(wanted(known, [kind]) for known in TYPES):
            raise ConfigError(f"--type {kind!r} is the type of nothing: give one of {', '.join(TYPES)}")
    paint = Paint(arguments.colour)
    async with AdminClient.open(config.redis_url, config.prefix) as desk:
        after = since or await desk.last_id("inbound")
        while True:
            for entry, fields in await desk.tail("inbound", after):
                after = entry
                event = readable(fields)
                if wanted(str(event.get("type", "")), arguments.type):
                    say(as_json({"entry": entry} | event) if arguments.json else line(event, paint))


def wanted(kind: str, types: list[str]) -> bool:
    """Whether a type is asked for: by its whole name or its first word."""
    return not types or any(kind == one or kind.startswith(f"{one}.") for one in types)


def readable(fields: Mapping[bytes, bytes]) -> dict[str, Any]:
    """An entry of `qq:inbound` with its body as a map, whoever wrote it."""
    event: dict[str, Any] = {
        name.decode("utf-8", "replace"): value.decode("utf-8", "replace")
        for name, value in fields.items()
        if name != b"body"
    }
    if b"body" in fields:
        try:
            event["body"] = msgpack.unpackb(fields[b"body"])
        except (ValueError, msgpack.UnpackException):
            event["body"] = fields[b"body"]
    return event


def line(event: Mapping[str, Any], paint: Paint) -> str:
    """An event for people: when, what, where, who, and what was said."""
    body = event.get("body")
    body = body if isinstance(body, dict) else {}
    when = moment(str(event.get("time", "")))
    kind = str(event.get("type", "?"))
    where = str(event.get("chat", ""))
    if not where.startswith("friend:"):  # a friend is named as the speaker already
        where = _called(where, body.get("chat"))
    who = _called("", body.get("sender")) or str(event.get("sender", ""))
    if event.get("self") == "1":
        who = f"{who} (self)".strip()
    what = harmless(str(event.get("text", "")))
    head = [
        paint(clock(when) if when else "?", "dim"),
        paint(harmless(kind), _STYLES.get(kind.partition(".")[0], "dim")),
        paint(harmless(where), "cyan"),
    ]
    said = f"{harmless(who)}: {what}" if who else what
    return "  ".join([part for part in head if part] + [said])


def _called(address: str, party: object) -> str:
    if not isinstance(party, dict):
        return address
    name = str(party.get("card") or party.get("name") or "")
    return " ".join(filter(None, (address, name))) or str(party.get("id", ""))
