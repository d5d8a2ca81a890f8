"""`qqbus status`: the state of session, streams and consumer groups, and what to do next."""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio

from adapter.bus.admin import AdminClient, GroupInfo
from adapter.cli.terminal import CLEAR_SCREEN, Paint, as_json, draw_table, say, wrap_rows
from adapter.config import Config
from adapter.events import SessionState
from adapter.i18n import N_, _
from adapter.ops.wording import GONE, NEVER_RUN, STATES, ago, describe, entry_time, moment, reason_text, span

_MIN_WATCH_SECONDS = 0.2
_STREAMS = ("inbound", "outbound", "results", "dead")
# Seconds: a poll takes a minute at most; without an answer for longer the adapter may be stuck.
_STALE_SECONDS = 150.0
_GROUP_HEADER = (N_("GROUP"), N_("CONSUMERS"), N_("UNREAD"), N_("UNFINISHED"), N_("OLDEST"))
_RIGHT = frozenset({1, 2, 3, 4})


@dataclass(frozen=True, slots=True)
class BusStatus:
    """What Redis had at one moment. `figures` is `qq:status`.

    `is_lease_held` is None if this user may not know. `lengths`: entries by stream.
    """

    now: float
    figures: Mapping[str, str]
    is_lease_held: bool | None
    lengths: Mapping[str, int]
    groups: Sequence[GroupInfo]


async def status(config: Config, arguments: argparse.Namespace) -> int:
    """Print the status once, or until Ctrl-C."""
    clear = CLEAR_SCREEN if arguments.colour and arguments.watch and not arguments.json else ""
    async with AdminClient.open(config.redis_url, config.prefix) as admin:
        while True:
            bus = await read_status(admin)
            lines = [as_json(_as_map(bus))] if arguments.json else _lines(bus, colour=arguments.colour)
            say(clear + lines[0], *lines[1:])
            if arguments.watch is None:
                return 0
            await anyio.sleep(max(arguments.watch, _MIN_WATCH_SECONDS))


async def read_status(admin: AdminClient) -> BusStatus:
    """Read everything that the command shows."""
    return BusStatus(
        time.time(),
        await admin.status(),
        await admin.lease_held(),
        {stream: await admin.xlen(stream) for stream in _STREAMS},
        await admin.groups("inbound"),
    )


def session_text(bus: BusStatus) -> str:
    """Say in a few words how the session is."""
    if not bus.figures:
        return _(NEVER_RUN.headline)
    if bus.is_lease_held is False:
        return _(GONE.headline)
    state = _state(bus)
    text = _(STATES[state].headline) if state else bus.figures.get("state", _("unknown"))
    since = moment(bus.figures.get("since", ""))
    if since is not None:
        text = _("{state} for {span}").format(state=text, span=span(bus.now - since))
    reason = bus.figures.get("reason", "")
    if reason and state is not SessionState.ONLINE:
        text += f" ({_(reason_text(reason, bus.figures.get('network', '')))})"
    return text


def _as_map(bus: BusStatus) -> dict[str, object]:
    """Return the JSON object: the fields of `qq:status`, and what was counted."""
    return {
        **bus.figures,
        "adapter": bus.is_lease_held,
        "entries": dict(bus.lengths),
        "groups": [group._asdict() for group in bus.groups],
    }


def _advice(bus: BusStatus) -> str:
    """Return the one thing to do now; empty if all is well."""
    figures = bus.figures
    text = describe(figures, is_lease_held=bus.is_lease_held, disk_error=figures.get("disk", ""))
    hint = _(text.cli_hint)
    if not hint and figures.get("paused") == "1":
        hint = _("sends are held: `qqbus resume` sends them")
    if not hint and bus.lengths.get("dead"):
        hint = _("look at the dead letters: `qqbus dead`")
    return hint


def _lines(bus: BusStatus, *, colour: bool) -> list[str]:
    figures, advice = bus.figures, _advice(bus)
    rows = [(_("session"), session_text(bus))]
    if figures:
        account = " ".join(filter(None, (figures.get("account"), figures.get("nick"))))
        rows += [
            (_("account"), account or _("not known yet")),
            *([(_("network"), figures["network"])] if figures.get("network") else []),
            (_("adapter"), _adapter(bus)),
            (_("last poll"), ago(figures.get("last_poll", ""), bus.now)),
            (_("last event"), ago(figures.get("last_event", ""), bus.now)),
        ]
    is_running = bus.is_lease_held is not False
    disk_error = figures.get("disk", "") if is_running else ""
    if disk_error:
        rows.append((_("disk"), disk_error))
    if is_running and (offset := figures.get("clock_offset", "")):
        rows.append(
            (
                _("clock"),
                _("that of Redis is {offset} s ahead of the adapter's: let both follow a time server").format(
                    offset=offset
                ),
            )
        )
    rows += [
        (
            "inbound",
            _("{count:,} entries, newest seq {seq}").format(
                count=bus.lengths["inbound"], seq=figures.get("inbound_seq") or "0"
            ),
        ),
        ("outbound", _("{count} waiting").format(count=figures.get("outbound_pending") or "?")),
        (_("dead letters"), f"{bus.lengths['dead']:,}"),
        (_("to do"), advice or _("nothing: messages flow")),
    ]
    is_good = is_running and _state(bus) is SessionState.ONLINE and not disk_error
    styles = {0: "green" if is_good else "yellow", len(rows) - 1: "bold" if advice else "dim"}
    return [*wrap_rows(rows, colour=colour, styles=styles), "", *_groups(bus, colour=colour)]


def _state(bus: BusStatus) -> SessionState | None:
    state = bus.figures.get("state", "")
    return SessionState(state) if state in set(SessionState) else None


def _adapter(bus: BusStatus) -> str:
    figures = bus.figures
    text = f"qqbus {figures.get('version', '?')}, epoch {figures.get('epoch', '?')}"
    holder = figures.get("holder", "")
    if holder and bus.is_lease_held is not False:
        text += f", {holder.rpartition(':')[0] or holder}"
    polled = moment(figures.get("last_poll", ""))
    if _state(bus) is SessionState.ONLINE and polled and bus.now - polled > _STALE_SECONDS:
        text += _(" – no poll for long: is it stuck?")
    return text


def _groups(bus: BusStatus, *, colour: bool) -> list[str]:
    if not bus.groups:
        return [
            Paint(colour)(
                _("no worker reads qq:inbound yet: start one with `python -m consumers.echo`"), "dim"
            )
        ]
    rows = [
        [
            group.name,
            _("{n} ({gone} gone)").format(n=group.consumers, gone=group.gone)
            if group.gone
            else str(group.consumers),
            f"{group.lag:,}",
            f"{group.pending:,}",
            span(bus.now - entry_time(group.oldest)) if group.oldest else "–",
        ]
        for group in bus.groups
    ]
    header = [_(name) for name in _GROUP_HEADER]
    return draw_table(header, rows, colour=colour, right=_RIGHT)
