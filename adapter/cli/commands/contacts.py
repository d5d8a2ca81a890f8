"""`qqbus contacts`: friends, groups, discussions and members with their addresses."""

import argparse
from collections.abc import Iterator
from typing import Any

import anyio

from adapter.bus.admin import AdminClient
from adapter.cli.commands.control import caller
from adapter.cli.terminal import Paint, align_columns, as_json, say, show_progress
from adapter.codec.address import parse_address
from adapter.config import Config
from adapter.errors import ConfigError, SchemaError
from adapter.events import ListKind
from adapter.i18n import N_, _
from adapter.ops.contact_search import LISTS, contact_rows, has_members, matches

# Seconds to wait for members that are asked for: 9,000 come in one answer of 4 MB; and between two looks.
_MEMBERS_SECONDS, _POLL_SECONDS = 20.0, 0.2
_HEADER = (N_("ADDRESS"), N_("NAME"), N_("NICK OR CARD"), "QQ", N_("STATUS"))


async def contacts(config: Config, arguments: argparse.Namespace) -> int:
    """Print one list or all. Exit code 1 if no contact matches."""
    kinds, chat, search = _parse_words(arguments.words)
    rows: list[dict[str, Any]] = []
    async with AdminClient.open(config.redis_url, config.prefix) as admin:
        if chat:
            rows += contact_rows(ListKind.MEMBERS.value, await _members(admin, chat), chat)
        for kind in kinds:
            rows += contact_rows(kind, await admin.hgetall(kind))
    rows = [row for row in rows if matches(row, search)]
    if arguments.json:
        for row in rows:
            say(as_json(row))
    elif rows:
        header, *lines = align_columns([[_(name) for name in _HEADER], *_sorted_cells(rows)])
        say(Paint(arguments.colour)(header, "dim"), *lines)
    else:
        text = (
            N_("no contact matches {search!r}")
            if search
            else N_("no contacts: `qqbus refresh` loads them again")
        )
        say(_(text).format(search=search))
    return 0 if rows else 1


async def _members(admin: AdminClient, chat: str) -> dict[str, bytes]:
    """Return the members of a group, which OneBot loads on demand alone."""
    members = await admin.hgetall(f"members:{chat}")
    if members or not await admin.lease_held() or (await admin.status()).get("network") != "onebot":
        return members
    await admin.send_command("refresh", caller(), to=chat)
    with show_progress(_("waiting for the members")), anyio.move_on_after(_MEMBERS_SECONDS):
        while not members:
            await anyio.sleep(_POLL_SECONDS)
            members = await admin.hgetall(f"members:{chat}")
    return members


def _parse_words(words: list[str]) -> tuple[list[str], str, str]:
    """Return lists to read, chat whose members to read, text to find."""
    if words[:1] == [ListKind.MEMBERS.value]:
        if len(words) == 1:
            raise ConfigError("members of what? give a chat, for example group:2419712345")
        try:
            chat = str(parse_address(words[1]))
        except SchemaError as exc:
            raise ConfigError(exc.text, **exc.values) from exc
        if not has_members(chat):
            raise ConfigError("{chat} has no members: give a group or a discussion", chat=chat)
        return [], chat, " ".join(words[2:])
    if words and words[0] in LISTS:
        return words[:1], "", " ".join(words[1:])
    return list(LISTS), "", " ".join(words)


def _sorted_cells(rows: list[dict[str, Any]]) -> Iterator[list[str]]:
    for row in sorted(rows, key=_sort_key):
        name, other = str(row.get("name", "")), str(row.get("card") or row.get("nick") or "")
        yield [
            str(row["address"]),
            name or _("(no name)"),
            other if other != name else "",
            str(row.get("qq", "")),
            _(str(row.get("status", ""))),
        ]


def _sort_key(row: dict[str, Any]) -> tuple[str, str]:
    return str(row["address"]).partition(":")[0], str(row.get("name", ""))
