"""Texts for people: what a state means and what to do about it, lengths of time. Pure."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from adapter.codec.inbound import YEAR_9999
from adapter.events import SessionState
from adapter.i18n import N_, _
from adapter.ops.network_texts import NETWORKS
from adapter.ops.state_text import Level, StateText

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_UNITS = {"s": 1, "m": _MINUTE, "h": _HOUR, "d": _DAY}


STATES: Final[Mapping[SessionState, StateText]] = {
    SessionState.STARTING: StateText(Level.BUSY, N_("connecting"), N_("wait a moment"), N_("Wait a moment.")),
    SessionState.QR: StateText(
        Level.ACT,
        N_("a QR code waits to be scanned"),
        N_("run `qqbus login` and scan the code with QQ on the phone"),
        N_("Open QQ on the phone, tap +, then Scan, and confirm the login there."),
    ),
    SessionState.SCANNED: StateText(
        Level.ACT,
        N_("the login waits for the phone"),
        N_("confirm the login on the phone"),
        N_("Confirm the login on the phone: the code was scanned."),
    ),
    SessionState.CAPTCHA: StateText(
        Level.ACT,
        N_("a captcha waits to be typed"),
        N_("run `qqbus login` to see it"),
        N_("Type the characters of the picture."),
    ),
    SessionState.ONLINE: StateText(Level.GOOD, N_("online")),
    SessionState.RELINKING: StateText(
        Level.BUSY,
        N_("connecting again"),
        N_("wait a moment; requests wait too"),
        N_("Nothing to do: requests wait until the session is back."),
    ),
    SessionState.OFFLINE: StateText(
        Level.BAD, N_("offline"), N_("run `qqbus login`"), N_("Log in again when you can scan a code.")
    ),
    SessionState.KICKED: StateText(
        Level.BAD,
        N_("logged in somewhere else"),
        N_("close WebQQ there, then run `qqbus login`"),
        N_("Close WebQQ there. The adapter tries once more; after that, log in again here."),
    ),
    SessionState.STANDBY: StateText(
        Level.BUSY,
        N_("standing by for another adapter"),
        N_("nothing: it takes over by itself"),
        N_("Another adapter holds the connection. This one takes over by itself."),
    ),
    SessionState.STOPPED: StateText(
        Level.BAD, N_("stopped"), N_("start it with `qqbus run`"), N_("Start the adapter with: qqbus run")
    ),
}
# Why a session is offline or was kicked, where the reason says more than the state.
REASONS: Final[Mapping[str, StateText]] = {
    "network": StateText(
        Level.BUSY,
        N_("SmartQQ does not answer"),
        N_("nothing: the adapter tries again by itself"),
        N_("Nothing to do: the adapter tries again by itself."),
    ),
    "qr.unscanned": StateText(
        Level.BAD,
        N_("no QR code was scanned"),
        N_("run `qqbus login` with the phone at hand"),
        N_("Ask for a new code when you have the phone at hand."),
    ),
    "logout": StateText(
        Level.BAD,
        N_("logged out"),
        N_("run `qqbus login`"),
        N_("The account stays offline until you log in again."),
    ),
    "login.refused": StateText(
        Level.BAD,
        N_("SmartQQ refuses the login"),
        N_("read the detail, then run `qqbus login`"),
        N_("Read the detail below, then log in again."),
    ),
    "login.blocked": StateText(
        Level.BAD,
        N_("SmartQQ has blocked the login"),
        N_("wait ten minutes or longer, then run `qqbus login`"),
        N_("This address has logged in too often. Wait ten minutes or longer, then log in again."),
    ),
    "kicked.again": StateText(
        Level.BAD,
        N_("another client keeps taking the account"),
        N_("close the other client, then run `qqbus login`"),
        N_("Close the other client, then log in again here."),
    ),
}
DEAF: Final = StateText(
    Level.BAD,
    N_("online, but no events arrive"),
    N_("look at QQ on the phone, then run `qqbus logout` and `qqbus login`"),
    N_("Opening the session again did not help. Look at QQ on the phone, then log out (⋯) and in again."),
)
MUTE: Final = StateText(
    Level.BAD,
    N_("online, but no message gets out"),
    N_("look at QQ on the phone, then run `qqbus logout` and `qqbus login`"),
    N_(
        "Events arrive, but what becomes of messages is not known. Look at QQ on the phone, "
        "then log out and in."
    ),
)
DISK_FULL: Final = StateText(
    Level.BAD,
    N_("the disk is full"),
    N_("make room on the adapter's disk: SmartQQ is not polled until then"),
    N_("Make room on the adapter's disk. SmartQQ is not polled until then, and drops what waits too long."),
)
# Alarms of a session that looks well.
_ALARMS: Final = {"deaf": DEAF, "mute": MUTE}
NEVER_RUN: Final = StateText(
    Level.BAD, N_("no adapter has run yet"), N_("start one with `qqbus run`"), N_("Start one with: qqbus run")
)
GONE: Final = StateText(
    Level.BAD,
    N_("no adapter is running"),
    N_("start one with `qqbus run`"),
    N_("The last adapter did not stop cleanly. Start one with: qqbus run"),
)
# What `session.*` events say beside the state.
_GAP: Final = N_("events may be missing")
# Reasons of `session.*` that are codes, in words.
_REASON_WORDS: Final[Mapping[str, str]] = {
    "probe": N_("the former session is still valid"),
    "relink": N_("the session was opened again"),
    "reopen": N_("a new session was opened with the former login"),
    "quick": N_("logged in again without a code"),
    "full": N_("a new login"),
    "kicked": N_("another client took the account"),
    "session.lost": N_("the session could not be saved"),
    "request.refused": N_("SmartQQ refuses all requests"),
    "poll": N_("a poll was cut off"),
    "silence": N_("the adapter was silent for too long"),
    "token": N_("the token was refused"),
    "path": N_("the address has a wrong path"),
    "login": N_("QQ is not logged in there"),
    "unreachable": N_("the network cannot be reached"),
    "silent": N_("the connection was silent"),
    "closed": N_("the connection was closed"),
    "shutdown": N_("it was stopped"),
}
# What the delivery monitor believes of the line, by `LineState`.
LINES: Final[Mapping[str, str]] = {
    "proven": N_("Events arrive."),
    "plausible": N_("Quiet."),
    "suspicious": N_("Silent for too long: the session is being checked."),
}


def describe(
    status: Mapping[str, str], *, is_lease_held: bool | None, alarm: str = "", disk_error: str = ""
) -> StateText:
    """Say how the adapter is, by `qq:status` and what is known beside it.

    `is_lease_held` is None if Redis does not tell; `alarm` is the reason of the raised alarm, "" for none.
    """
    state = status.get("state", "")
    if not state:
        return NEVER_RUN
    if state != SessionState.STOPPED and is_lease_held is False:
        return GONE
    texts = NETWORKS.get(status.get("network", ""), {})
    if state != SessionState.STOPPED and disk_error:
        return texts.get("disk", DISK_FULL)
    if state == SessionState.ONLINE and alarm in _ALARMS:
        return texts.get(alarm, _ALARMS[alarm])
    if state in {SessionState.OFFLINE, SessionState.KICKED}:
        reason = status.get("reason", "")
        if (text := texts.get(reason) or REASONS.get(reason)) is not None:
            return text
    known = STATES[SessionState(state)] if state in set(SessionState) else StateText(Level.BUSY, state)
    return texts.get(state, known)


def reason_text(reason: str, network: str = "") -> str:
    """Say why a session is offline or was kicked; a reason that is not known stays as it is."""
    for texts in (NETWORKS.get(network, {}), REASONS, *NETWORKS.values()):
        if reason in texts:
            return texts[reason].headline
    return reason


def alarm_text(reason: str) -> str:
    """Say why an alarm was raised, by its reason: a state, or why the session is offline."""
    if reason in set(SessionState):
        return STATES[SessionState(reason)].headline
    words = reason_text(reason)
    return f"offline: {reason}" if words == reason else words


def event_words(event_type: str, reason: str) -> list[str]:
    """Say what a `session.*` event means, and why if its reason says more.

    An unknown reason stays as it is.
    """
    state = event_type.partition(".")[2]
    known = STATES[SessionState(state)].headline if state in set(SessionState) else state
    headline = _GAP if state == "gap" else known
    why = REASONS[reason].headline if reason in REASONS else _REASON_WORDS.get(reason, reason)
    return [headline, why] if why and why != headline else [headline]


def line_text(line_state: str, alarm: str) -> str:
    """Say what is believed of the line; "" while offline."""
    if line_state in LINES and alarm == "deaf":
        return N_("Nothing arrives: look at QQ on the phone.")
    if line_state in LINES and alarm == "mute":
        return "Events arrive, but no message gets out."
    return LINES.get(line_state, "")


def as_sentence(text: str) -> str:
    """Begin with a capital."""
    return text[:1].upper() + text[1:]


def moment(text: str) -> float | None:
    """Return the seconds since 1970 of an RFC 3339 time; None if `text` is none."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when.timestamp() if when.tzinfo else None


def before(entry: str) -> str:
    """Return the id before all entries of the same millisecond, in whatever stream.

    The answer to an entry may stand in another stream under the very same id.
    """
    return f"{max(0, int(entry.partition('-')[0] or '0') - 1)}-18446744073709551615"


def entry_time(entry: str) -> float:
    """Return when an entry was added, in seconds since 1970, by its id."""
    return int(entry.partition("-")[0] or "0") / 1000


def span(seconds: float, translate: Callable[[str], str] = _) -> str:
    """Format a length of time: `42 s`, `5 min`, `3 h 12 min`, `4 d 2 h`.

    `translate`: `N_` for a log, which is English.
    """
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return translate("{s} s").format(s=whole)
    if whole < _HOUR:
        return translate("{m} min").format(m=whole // _MINUTE)
    if whole < _DAY:
        return translate("{h} h {m} min").format(h=whole // _HOUR, m=whole % _HOUR // _MINUTE)
    return translate("{d} d {h} h").format(d=whole // _DAY, h=whole % _DAY // _HOUR)


def ago(text: str, now: float) -> str:
    """Format how long ago an RFC 3339 time was; "never" if `text` is none."""
    when = moment(text)
    return _("never") if when is None else _("{span} ago").format(span=span(now - when))


def clock(seconds: float) -> str:
    """Format the local time of day, with the date if it is not today's; `–` if no calendar holds it."""
    if not 0 <= seconds < YEAR_9999 - _DAY:
        return "–"
    when = datetime.fromtimestamp(seconds, UTC).astimezone()
    form = "%H:%M:%S" if when.date() == datetime.now(UTC).astimezone().date() else "%m-%d %H:%M:%S"
    return when.strftime(form)


def local_moment(text: str, now: float) -> float | None:
    """Return the seconds since 1970 of a local time as people and `clock` write it.

    `yesterday`, `today`, `11:00`, `11-30 11:00:05`, `2026-11-30`, `2026-11-30 11:00`. A time without a day
    is the last one before now. None if `text` is none of them.
    """
    here = datetime.fromtimestamp(now, UTC).astimezone()
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    if text in {"today", "yesterday"}:
        return (midnight - timedelta(days=text == "yesterday")).timestamp()
    for given, day in ((text, ""), (f"{here.year}-{text}", "year"), (f"{here.date()} {text}", "day")):
        try:
            when = datetime.fromisoformat(given).astimezone()
            if day == "day" and when > here:
                when -= timedelta(days=1)
            if day == "year" and when > here:
                when = when.replace(year=when.year - 1)
        except (ValueError, OverflowError):  # the year 1, or a 29 February of another year
            continue
        return when.timestamp()
    return None


def length(text: str) -> float | None:
    """Parse `90`, `90s`, `10m`, `2h` or `1d` to seconds; None if `text` is none of them."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhd]?)", text, re.ASCII)
    return float(found[1]) * _UNITS[found[2] or "s"] if found else None


def start_id(text: str, now: float) -> str | None:
    """Return the entry id to read on from, given an id, a time or an age; None for anything else."""
    if re.fullmatch(r"\d{1,20}-\d{1,20}|0", text, re.ASCII):
        return text if "-" in text else "0-0"
    if re.fullmatch(r"\d{13}", text, re.ASCII):
        return f"{int(text) - 1}-18446744073709551615"
    when = moment(text)
    if when is None and (back := length(text)) is not None:
        when = now - back
    if when is None:
        when = local_moment(text, now)
    return None if when is None else f"{max(0, int(when * 1000) - 1)}-18446744073709551615"
