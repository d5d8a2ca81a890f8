"""Commands to the adapter on `qq:control`: logout, refresh, pause, resume, captcha, lapse, restore."""

import argparse
import getpass
from typing import NamedTuple

from adapter.aio import host_name
from adapter.bus.admin import AdminClient
from adapter.bus.keys import GROUP
from adapter.cli.errors import CommandError
from adapter.cli.terminal import say
from adapter.config import Config
from adapter.events import SessionState
from adapter.i18n import N_, _
from adapter.ops.wording import GONE
from adapter.plain_text import harmless

# Streams that consumer groups may hold back.
_GROUPED_STREAMS = ("inbound", "results", "outbound", "dead")

# What OneBot leaves to the page of its implementation.
_LOGIN_COMMANDS = frozenset({"login", "logout", "captcha"})


class _Command(NamedTuple):
    """Confirmation to print, and the field of the argument."""

    confirmation: str
    field: str = ""


_COMMANDS = {
    "logout": _Command(N_("sent: log out")),
    "refresh": _Command(N_("sent: load all contacts again")),
    "pause": _Command(N_("sent: hold all sends; `qqbus resume` ends it")),
    "resume": _Command(N_("sent: send what is held")),
    "captcha": _Command(N_("sent: the captcha"), "text"),
    "lapse": _Command(N_("sent: stop keeping events for {group}"), "group"),
    "restore": _Command(N_("sent: keep events again for {group}"), "group"),
}


async def control(config: Config, arguments: argparse.Namespace) -> int:
    """Send the command. The adapter's log and `qqbus status` show its effect."""
    command = _COMMANDS[arguments.sent]
    details = {command.field: arguments.detail} if command.field else {}
    async with AdminClient.open(config.redis_url, config.prefix) as admin:
        await require_adapter(admin)
        await _check_effect(admin, arguments.sent, details)
        await admin.send_command(arguments.sent, caller(), **details)
    say(_(command.confirmation).format(group=harmless(details.get("group", ""))))
    return 0


async def require_adapter(admin: AdminClient) -> None:
    """Raise CommandError if no adapter holds the lease.

    It passes if this user may not read the lease.
    """
    if await admin.lease_held() is False:
        raise CommandError("{headline}: {hint}", headline=N_(GONE.headline), hint=N_(GONE.cli_hint))


def caller() -> str:
    """Return user and host of this process, for the adapter's log."""
    try:
        return f"{getpass.getuser()}@{host_name()}"
    except (KeyError, OSError):  # a user without a name, as in some containers
        return host_name()


async def require_support(admin: AdminClient, name: str) -> None:
    """Raise CommandError if the adapter's network lacks the command: the adapter says so in its log alone."""
    if name in _LOGIN_COMMANDS and (await admin.status()).get("network") == "onebot":
        raise CommandError(
            "{name} is not supported by onebot: log in and out at the implementation's own page", name=name
        )


async def _check_effect(admin: AdminClient, name: str, details: dict[str, str]) -> None:
    """Raise CommandError if the command would change nothing."""
    await require_support(admin, name)
    if name == "captcha" and (await admin.status()).get("state") != SessionState.CAPTCHA:
        raise CommandError("SmartQQ asks for no captcha now: see `qqbus status`")
    if name == "lapse" and details["group"] == GROUP:
        raise CommandError("{group} is the adapter's own group: its events are always kept", group=GROUP)
    if name == "lapse":
        known = {group.name for stream in _GROUPED_STREAMS for group in await admin.groups(stream)}
        if details["group"] not in known:
            names = ", ".join(sorted(known)) or N_("none")
            raise CommandError("no such consumer group: there are {names}", names=names)
