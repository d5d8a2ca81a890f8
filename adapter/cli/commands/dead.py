"""`qqbus dead`: entries that could not be handled; look at them, try them again, or drop them."""

import argparse
import re
import sys
import time

from adapter.bus.admin import AdminClient
from adapter.cli.commands.send import texts
from adapter.cli.terminal import Paint, as_json, clip, harmless, say, table
from adapter.codec.dead_letters import original_fields, restored_fields
from adapter.config import Config
from adapter.errors import ConfigError
from adapter.ops.wording import entry_time, span

_SHOWN = 100
_PREVIEW = 40
# Where a redriven entry may go: nobody but the adapter makes results and sessions.
_STREAMS = ("outbound", "inbound")

Fields = dict[bytes, bytes]


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    one = subs.add_parser("dead", help="dead letters: list them, redrive or drop them")
    one.add_argument("action", nargs="?", choices=["list", "redrive", "drop"], default="list")
    one.add_argument("ids", nargs="*", metavar="ID")
    one.add_argument("--all", action="store_true", help=f"all of them (list shows the newest {_SHOWN})")
    one.add_argument("--json", action="store_true", help="one JSON object a line")
    one.set_defaults(command=dead)


async def dead(config: Config, arguments: argparse.Namespace) -> int:
    """Do what was asked; exit code 1 where an id was not there."""
    if arguments.action != "list" and bool(arguments.ids) == arguments.all:
        raise ConfigError(f"dead {arguments.action}: give ids, or --all")
    for ident in arguments.ids:
        if not re.fullmatch(r"\d{1,20}-\d{1,20}", ident, re.ASCII):
            raise ConfigError(f"{ident!r} is not the id of an entry: `qqbus dead` lists them")
    async with AdminClient.open(config.redis_url, config.prefix) as desk:
        match arguments.action:
            case "redrive":
                return await _redrive(desk, arguments)
            case "drop":
                return await _drop(desk, arguments)
            case _:
                return await _list(desk, arguments)


async def _list(desk: AdminClient, arguments: argparse.Namespace) -> int:
    if arguments.all:
        found = [entry async for entry in desk.entries("dead")]
    else:
        found = await desk.last_entries("dead", _SHOWN)
    found = [entry for entry in found if not arguments.ids or entry[0] in arguments.ids]
    if arguments.json:
        for entry, fields in found:
            original = {
                name: value.decode("utf-8", "replace") for name, value in original_fields(fields).items()
            }
            say(as_json({"id": entry} | texts((entry, fields)) | {"fields": original}))
        return 0
    if not found:
        say("no dead letters")
        return 0
    now = time.time()
    rows = [["ID", "AGE", "STREAM", "TRIES", "WHAT", "REASON"]]
    rows += [_row(entry, fields, now) for entry, fields in found]
    lines = table(rows)
    say(Paint(arguments.colour)(lines[0], "dim"), *lines[1:])
    return 0


def _row(entry: str, fields: Fields, now: float) -> list[str]:
    known = texts((entry, fields))
    original = {name: value.decode("utf-8", "replace") for name, value in original_fields(fields).items()}
    where = original.get("to") or original.get("chat") or ""
    what = clip(harmless(f"{where} {original.get('text', '')}".strip()), _PREVIEW)
    reason = ": ".join(filter(None, (known.get("reason", ""), known.get("detail", ""))))
    return [
        entry,
        span(now - entry_time(entry)),
        known.get("stream", "?"),
        known.get("attempts", "?"),
        what,
        reason,
    ]


async def _redrive(desk: AdminClient, arguments: argparse.Namespace) -> int:
    wanted = [entry async for entry, _ in desk.entries("dead")] if arguments.all else arguments.ids
    failed = 0
    for ident in wanted:
        fields = await desk.get_entry("dead", ident)
        if fields is None:
            failed += 1
            print(f"qqbus: {ident} is not there", file=sys.stderr)
            continue
        stream, original = fields.get(b"stream", b"").decode("utf-8", "replace"), restored_fields(fields)
        if stream not in {desk.keys(name) for name in _STREAMS} or not original:
            failed += 1
            print(f"qqbus: {ident} cannot be redriven to {harmless(stream)!r}", file=sys.stderr)
            continue
        again = await desk.redrive(ident, stream, [item for pair in original.items() for item in pair])
        say(f"{ident} → {stream} {again}" if again else f"{ident} was redriven meanwhile")
    return 1 if failed else 0


async def _drop(desk: AdminClient, arguments: argparse.Namespace) -> int:
    if arguments.all:
        ids = [entry async for entry, _ in desk.entries("dead")]
    else:
        ids = list(dict.fromkeys(arguments.ids))
    dropped = sum([await desk.drop(ids[at : at + _SHOWN]) for at in range(0, len(ids), _SHOWN)])
    say(f"{dropped} dropped")
    return 0 if dropped == len(ids) else 1
