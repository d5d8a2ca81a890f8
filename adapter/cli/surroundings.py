"""Checks of `qqbus doctor` for what others and the machine do to the bus. Pure."""

from collections.abc import Iterator

from adapter.bus.inspection import BusFindings
from adapter.cli.diagnostics import Check, Level
from adapter.i18n import _


def check_findings(found: BusFindings) -> Iterator[Check]:
    """Yield what is wrong with keys, ids and rights."""
    for key in found.foreign_keys:
        yield Check(
            Level.BAD,
            _("{key}: another program uses this key").format(key=key),
            _("set another QQBUS_PREFIX, or delete the key"),
        )
    for key in found.exhausted:
        yield Check(
            Level.BAD,
            _("{key} takes no more entries: its last possible id is used up").format(key=key),
            _("a running adapter mends qq:outbound and qq:dead; else save what is unread and delete it"),
        )
    for key in found.far_ahead:
        yield Check(
            Level.WARN,
            _(
                "the newest id of {key} lies in the future: relative `expires` of new entries come late"
            ).format(key=key),
            _("look who wrote it (`XREVRANGE … COUNT 1`); a new stream begins with the present time"),
        )
    for group, consumer in found.idle_gateways:
        yield Check(
            Level.WARN,
            _("gateway {consumer} of group {group} has had no bot for an hour").format(
                consumer=consumer, group=group
            ),
            _("start the bot and compare addresses and token; the gateway's log names each connection"),
        )
    missing = dict(found.missing_rights)
    if len(missing) == 1 and "adapter" in missing:
        yield Check(
            Level.GOOD,
            _("user {user} may use the command line, and not run the adapter").format(user=found.user),
        )
    elif "adapter" in missing:
        yield Check(
            Level.BAD,
            _("user {user} lacks rights: {names}").format(
                user=found.user, names=", ".join(missing["adapter"])
            ),
            _("`qqbus acl adapter` and `qqbus acl operator` print users; ACL SAVE keeps them over a restart"),
        )


def check_append_only_file(damaged: str, copies: tuple[str, ...]) -> Iterator[Check]:
    """Yield what is wrong with the file of the embedded server. `damaged`: its path if its end is."""
    if damaged:
        yield Check(
            Level.WARN,
            _("{damaged} does not end as a whole command does").format(damaged=damaged),
            _("start `qqbus run`: it copies the file and cuts what follows the last whole command"),
        )
    for copy in copies:
        yield Check(
            Level.WARN,
            _("the file of the embedded server was damaged at its end and was cut: {copy} is a copy").format(
                copy=copy
            ),
            _("see what the adapter logged; delete the copy when nothing is missed"),
        )
