"""`qqbus contacts`: who can be written to, with the address to use."""

import argparse
from typing import Any

from adapter.bus.admin import AdminClient
from adapter.cli.terminal import Paint, as_json, say, table
from adapter.codec.address import parse_address
from adapter.config import Config
from adapter.errors import ConfigError, SchemaError
from adapter.events import ListKind
from adapter.ops.contact_search import LISTS, contact_rows, has_members, matches


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    one = subs.add_parser("contacts", help="friends, groups, discussions and members, with their addresses")
    one.add_argument(
        "words",
        nargs="*",
        metavar="friends|groups|discusses|members CHAT|SEARCH",
        help="which list, and what to look for in it",
    )
    one.add_argument("--json", action="store_true", help="one JSON object a line")
    one.set_defaults(command=contacts)


async def contacts(config: Config, arguments: argparse.Namespace) -> int:
    """Print one list or all; exit code 1 where nobody is found."""
    kinds, chat, search = _asked(arguments.words)
    rows: list[dict[str, Any]] = []
    async with AdminClient.open(config.redis_url, config.prefix) as desk:
        if chat:
            rows += contact_rows(ListKind.MEMBERS.value, await desk.hash(f"members:{chat}"), chat)
        for kind in kinds:
            rows += contact_rows(kind, await desk.hash(kind))
    rows = [row for row in rows if matches(row, search)]
    if arguments.json:
        for row in rows:
            say(as_json(row))
    elif rows:
        say(*_page(rows, Paint(arguments.colour)))
    else:
        say(
            "nobody there" + (f" like {search!r}" if search else "; `qqbus refresh` loads the contacts again")
        )
    return 0 if rows else 1


def _asked(words: list[str]) -> tuple[list[str], str, str]:
    if words[:1] == [ListKind.MEMBERS.value]:
        if len(words) == 1:
            raise ConfigError("members of what? give a chat, for example group:2419712345")
        try:
            chat = str(parse_address(words[1]))
        except SchemaError as exc:
            raise ConfigError(str(exc)) from exc
        if not has_members(chat):
            raise ConfigError(f"{chat} has no members: give a group or a discussion")
        return [], chat, " ".join(words[2:])
    if words and words[0] in LISTS:
        return words[:1], "", " ".join(words[1:])
    return list(LISTS), "", " ".join(words)


def _page(rows: list[dict[str, Any]], paint: Paint) -> list[str]:
    cells = [["ADDRESS", "NAME", "NICK OR CARD", "QQ", "STATUS"]]
    for row in sorted(
        rows, key=lambda row: (str(row["address"]).partition(":")[0], str(row.get("name", "")))
    ):
        name = str(row.get("name", ""))
        other = str(row.get("card") or row.get("nick") or "")
        cells.append(
            [
                str(row["address"]),
                name or "(no name)",
                other if other != name else "",
                str(row.get("qq", "")),
                str(row.get("status", "")),
            ]
        )
    lines = table(cells)
    return [paint(lines[0], "dim"), *lines[1:]]
