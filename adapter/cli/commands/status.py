"""`qqbus status`: what is going on, and what to do about it."""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio

from adapter.bus.admin import AdminClient, GroupInfo
from adapter.cli.terminal import CLEAR, Paint, as_json, say, table
from adapter.config import Config
from adapter.events import SessionState
from adapter.ops.wording import REASONS, STATES, ago, entry_time, moment, span

_LEAST = 0.2
_COUNTED = ("inbound", "outbound", "results", "dead")
# The adapter writes its figures every second; older than this they are no longer the present.
_STALE = 150.0


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    one = subs.add_parser("status", help="what is going on, and what to do about it")
    one.add_argument("--json", action="store_true", help="one JSON object")
    one.add_argument(
        "--watch", type=float, nargs="?", const=2.0, metavar="SECONDS", help="again and again (default 2 s)"
    )
    one.set_defaults(command=status, interrupted=0)


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is shown, taken at one moment. `held`: None where the user may not know."""

    now: float
    figures: Mapping[str, str]
    held: bool | None
    lengths: Mapping[str, int]
    groups: Sequence[GroupInfo]


async def status(config: Config, arguments: argparse.Namespace) -> int:
    """Show it once, or until Ctrl-C."""
    paint = Paint(arguments.colour)
    async with AdminClient.open(config.redis_url, config.prefix) as desk:
        while True:
            picture = await take(desk)
            lines = [as_json(as_map(picture))] if arguments.json else page(picture, paint)
            if arguments.watch and arguments.colour and not arguments.json:
                lines[0] = CLEAR + lines[0]
            say(*lines)
            if arguments.watch is None:
                return 0
            await anyio.sleep(max(arguments.watch, _LEAST))


async def take(desk: AdminClient) -> Picture:
    """Look at everything."""
    return Picture(
        time.time(),
        await desk.status(),
        await desk.lease_held(),
        {stream: await desk.length(stream) for stream in _COUNTED},
        await desk.groups("inbound"),
    )


def as_map(picture: Picture) -> dict[str, object]:
    """The picture for programs: the fields of `qq:status`, and what was counted."""
    return {
        **picture.figures,
        "adapter": picture.held,
        "entries": dict(picture.lengths),
        "groups": [group._asdict() for group in picture.groups],
    }


def advice(picture: Picture) -> str:
    """The one thing to do now; empty where everything is as it should be."""
    figures = picture.figures
    if not figures:
        return "no adapter has run on this Redis under this prefix: start one with `qqbus run`"
    if picture.held is False:
        return "no adapter is running: start one with `qqbus run`"
    if figures.get("disk"):
        return "make room on the adapter's disk: SmartQQ is not asked for more until then"
    if figures.get("paused") == "1":
        return "sends are held: `qqbus resume` lets them go"
    state = _state(figures)
    if state and STATES[state].cli_hint:
        return STATES[state].cli_hint
    return "look at the dead letters: `qqbus dead`" if picture.lengths.get("dead") else ""


def page(picture: Picture, paint: Paint) -> list[str]:
    """The picture for people."""
    figures, now = picture.figures, picture.now
    todo = advice(picture)
    rows = [["session", session_words(picture)]]
    if figures:
        rows += [
            [
                "account",
                " ".join(filter(None, (figures.get("account"), figures.get("nick")))) or "not known yet",
            ],
            ["adapter", _adapter(picture)],
            ["last poll", ago(figures.get("last_poll", ""), now)],
            ["last event", ago(figures.get("last_event", ""), now)],
        ]
    if figures.get("disk") and picture.held is not False:
        rows.append(["disk", figures["disk"]])
    rows += [
        [
            "inbound",
            f"{picture.lengths['inbound']:,} kept, newest is seq {figures.get('inbound_seq') or '0'}",
        ],
        ["outbound", f"{figures.get('outbound_pending') or '?'} waiting"],
        ["dead letters", f"{picture.lengths['dead']:,}"],
        ["to do", todo or "nothing: messages flow"],
    ]
    lines = table(rows)
    good = picture.held is not False and _state(figures) is SessionState.ONLINE and not figures.get("disk")
    lines[0] = paint(lines[0], "green" if good else "yellow")
    lines[-1] = paint(lines[-1], "bold" if todo else "dim")
    return [*lines, "", *_groups(picture, paint)]


def session_words(picture: Picture) -> str:
    """The state of the session in a few words."""
    figures = picture.figures
    if not figures or picture.held is False:
        return "no adapter is running"
    state = _state(figures)
    words = STATES[state].headline if state else figures.get("state", "unknown")
    since = moment(figures.get("since", ""))
    if since is not None:
        words += f" for {span(picture.now - since)}"
    reason = figures.get("reason", "")
    if reason and state is not SessionState.ONLINE:
        words += f" ({REASONS[reason].headline if reason in REASONS else reason})"
    return words


def _state(figures: Mapping[str, str]) -> SessionState | None:
    try:
        return SessionState(figures.get("state", ""))
    except ValueError:
        return None


def _adapter(picture: Picture) -> str:
    figures = picture.figures
    words = f"qqbus {figures.get('version', '?')}, epoch {figures.get('epoch', '?')}"
    holder = figures.get("holder", "")
    if holder and picture.held is not False:
        words += f", {holder.rpartition(':')[0] or holder}"
    polled = moment(figures.get("last_poll", ""))
    if _state(figures) is SessionState.ONLINE and polled and picture.now - polled > _STALE:
        words += " – silent: is it stuck?"
    return words


def _groups(picture: Picture, paint: Paint) -> list[str]:
    if not picture.groups:
        return [paint("no worker reads qq:inbound yet: start one with `python -m consumers.echo`", "dim")]
    rows = [["GROUP", "CONSUMERS", "UNREAD", "UNFINISHED", "OLDEST"]]
    rows += [
        [
            group.name,
            str(group.consumers),
            "?" if group.lag is None else f"{group.lag:,}",
            f"{group.pending:,}",
            span(picture.now - entry_time(group.oldest)) if group.oldest else "–",
        ]
        for group in picture.groups
    ]
    lines = table(rows, right=frozenset({1, 2, 3, 4}))
    return [paint(lines[0], "dim"), *lines[1:]]
