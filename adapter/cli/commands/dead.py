"""`qqbus dead`: list, redrive or drop dead letters, the entries that could not be handled."""

import argparse
import json
import re
import sys
import time
from typing import Any

import msgpack

from adapter.bus.adapter_letters import written_by_adapter
from adapter.bus.admin import PAGE_SIZE, AdminClient
from adapter.cli.commands.send import entry_texts
from adapter.cli.parser import NEWEST_DEAD
from adapter.cli.terminal import (
    as_json,
    clip,
    complain,
    draw_table,
    say,
    show_progress,
)
from adapter.codec.dead_letters import original_fields
from adapter.config import Config
from adapter.errors import BusError, BusUnavailable, ConfigError, SchemaError, WrongKeyType
from adapter.i18n import N_, _
from adapter.ops.dead_letters import redrive
from adapter.ops.wording import entry_time, span
from adapter.plain_text import harmless

# Columns of the preview: address and the first words.
_PREVIEW_COLUMNS = 40
# Letters dropped by one XDEL.
_DROP_BATCH = 100
_HEADER = ("ID", N_("AGE"), N_("BY"), N_("STREAM"), N_("GROUP"), N_("TRIES"), N_("WHAT"), N_("REASON"))

Fields = dict[bytes, bytes]


async def dead(config: Config, arguments: argparse.Namespace) -> int:
    """Run the action. Exit code 1 if an id is gone."""
    if arguments.action != "list" and bool(arguments.ids) == arguments.all:
        raise ConfigError("dead {action}: give ids, or --all", action=arguments.action)
    for letter in arguments.ids:
        if not re.fullmatch(r"\d{1,20}-\d{1,20}", letter, re.ASCII):
            raise ConfigError("{letter!r} is not the id of an entry: `qqbus dead` lists them", letter=letter)
    async with AdminClient.open(config.redis_url, config.prefix) as admin:
        match arguments.action:
            case "redrive":
                return await _redrive(admin, arguments)
            case "drop":
                return await _drop(admin, arguments)
            case _:
                return await _list(admin, arguments)


async def _list(admin: AdminClient, arguments: argparse.Namespace) -> int:
    # A filter looks at all letters: those of its group may be older than the newest ones.
    if arguments.all or arguments.group is not None:
        letters = [entry async for entry in admin.entries("dead")]
    else:
        letters = await admin.last_entries("dead", NEWEST_DEAD)
    letters = [letter for letter in letters if not arguments.ids or letter[0] in arguments.ids]
    letters = [letter for letter in letters if _is_of_group(letter[1], arguments.group)]
    marks = await _writers(admin, [entry for entry, _ in letters])
    if arguments.json:
        for entry, fields in letters:
            texts = entry_texts(fields) | {"by": marks[entry]}
            say(as_json({"id": entry} | texts | {"fields": _original_values(fields)}))
    elif letters:
        now = time.time()
        rows = [_cells(entry, marks[entry], fields, now) for entry, fields in letters]
        say(*draw_table([_(name) for name in _HEADER], rows, colour=arguments.colour))
    else:
        say(_("no dead letters"))
    return 0


async def _writers(admin: AdminClient, letters: list[str]) -> dict[str, str]:
    """Return by letter who wrote it: `adapter`, `worker`, or `?` if this user may not know."""
    found = dict.fromkeys(letters, "?")
    for start in range(0, len(letters), PAGE_SIZE):
        marks = await written_by_adapter(admin.client, admin.keys, letters[start : start + PAGE_SIZE])
        if marks is None:
            break
        found |= {letter: "adapter" if is_own else "worker" for letter, is_own in marks.items()}
    return found


def _original_texts(fields: Fields) -> dict[str, str]:
    return {name: value.decode("utf-8", "replace") for name, value in original_fields(fields).items()}


def _original_values(fields: Fields) -> dict[str, Any]:
    """Return the fields of the entry that it was, with its body decoded if that is msgpack or JSON."""
    values: dict[str, Any] = dict(_original_texts(fields))
    body = original_fields(fields).get("body")
    if body:
        try:
            values["body"] = json.loads(body) if body[:1] == b"{" else msgpack.unpackb(body)
        except (ValueError, RecursionError, msgpack.UnpackException):
            values["body"] = body
    return values


def _is_of_group(fields: Fields, group: str | None) -> bool:
    return group is None or fields.get(b"group", b"") == group.encode()


def _cells(entry: str, by: str, fields: Fields, now: float) -> list[str]:
    letter, original = entry_texts(fields), _original_texts(fields)
    chat = original.get("to") or original.get("chat") or ""
    return [
        entry,
        span(now - entry_time(entry)),
        by,
        letter.get("stream", "?"),
        letter.get("group", ""),
        letter.get("attempts", "?"),
        clip(harmless(f"{chat} {original.get('text', '')}".strip()), _PREVIEW_COLUMNS),
        ": ".join(filter(None, (letter.get("reason", ""), letter.get("detail", "")))),
    ]


async def _chosen(admin: AdminClient, arguments: argparse.Namespace) -> list[str]:
    """Return the ids that were given, or those of all letters of the group."""
    if not arguments.all:
        return list(dict.fromkeys(arguments.ids))
    with show_progress(_("reading the dead letters")):
        return [
            entry async for entry, fields in admin.entries("dead") if _is_of_group(fields, arguments.group)
        ]


async def _redrive(admin: AdminClient, arguments: argparse.Namespace) -> int:
    letters = await _chosen(admin, arguments)
    failed = 0
    for number, letter in enumerate(letters, 1):
        progress = f"{number}/{len(letters)}  " if len(letters) > 1 and sys.stdout.isatty() else ""
        fields = await admin.get_entry("dead", letter)
        if fields is None:
            failed += 1
            complain("{letter} is not in {stream}", letter=letter, stream=admin.keys("dead"))
            continue
        try:
            where = await redrive(admin, letter, fields, to_all=arguments.to_all)
        except (BusError, SchemaError) as exc:  # a group that is gone, a key of another type
            if isinstance(exc, BusUnavailable) and not isinstance(exc, WrongKeyType):
                raise
            failed += 1
            complain("{letter} cannot be redriven: {error}", letter=letter, error=exc)
            continue
        text = _("{letter} was redriven by another command").format(letter=letter)
        say(progress + (f"{letter} → {where}" if where else text))
    return 1 if failed else 0


async def _drop(admin: AdminClient, arguments: argparse.Namespace) -> int:
    letters = await _chosen(admin, arguments)
    batches = [letters[start : start + _DROP_BATCH] for start in range(0, len(letters), _DROP_BATCH)]
    dropped = sum([await admin.drop(batch) for batch in batches])
    say(_("{dropped} dropped").format(dropped=dropped))
    return 0 if dropped == len(letters) else 1
