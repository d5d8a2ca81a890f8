"""Words for people: what a state means, what to do about it, how long ago something was."""

import re
from datetime import UTC, datetime

from adapter.events import SessionState

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_UNITS = {"s": 1, "m": _MINUTE, "h": _HOUR, "d": _DAY}

STATES = {
    SessionState.STARTING: ("connecting", "wait a moment"),
    SessionState.QR: (
        "a QR code waits to be scanned",
        "run `qqbus login` and scan the code with QQ on the phone",
    ),
    SessionState.SCANNED: ("the code was scanned", "confirm the login on the phone"),
    SessionState.CAPTCHA: ("SmartQQ wants a captcha typed", "run `qqbus login` to see it"),
    SessionState.ONLINE: ("online", ""),
    SessionState.RELINKING: ("connecting again", "wait a moment; requests wait too"),
    SessionState.OFFLINE: ("offline", "run `qqbus login`"),
    SessionState.KICKED: ("logged in somewhere else", "close WebQQ there, then run `qqbus login`"),
    SessionState.STANDBY: ("standing by for another adapter", "nothing: it takes over by itself"),
    SessionState.STOPPED: ("stopped", "start it with `qqbus run`"),
}
REASONS = {
    "network": "SmartQQ does not answer; it is tried again by itself",
    "qr.unscanned": "nobody scanned the codes",
    "logout": "logged out",
    "login.refused": "SmartQQ refuses the login",
    "login.blocked": "SmartQQ has blocked the login",
}


def moment(text: str) -> float | None:
    """Seconds since 1970 of an RFC 3339 time; None where it is none."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when.timestamp() if when.tzinfo else None


def entry_time(entry: str) -> float:
    """When an entry was added, by its id."""
    return int(entry.partition("-")[0] or "0") / 1000


def span(seconds: float) -> str:
    """A length of time with two units at most: `42 s`, `5 min`, `3 h 12 min`, `4 d 2 h`."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def ago(text: str, now: float) -> str:
    """How long ago a time on the bus was; "never" for none."""
    when = moment(text)
    return "never" if when is None else f"{span(now - when)} ago"


def clock(seconds: float) -> str:
    """Local time of day, and the day where it is not today's."""
    when = datetime.fromtimestamp(seconds, UTC).astimezone()
    form = "%H:%M:%S" if when.date() == datetime.now(UTC).astimezone().date() else "%m-%d %H:%M:%S"
    return when.strftime(form)


def length(text: str) -> float | None:
    """Seconds of `90`, `90s`, `10m`, `2h`, `1d`; None where it is no length of time."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhd]?)", text, re.ASCII)
    return float(found[1]) * _UNITS[found[2] or "s"] if found else None


def start_id(text: str, now: float) -> str | None:
    """From which entry id on to read: an id, a time, or so long ago; None where it is none of these."""
    if re.fullmatch(r"\d{1,20}-\d{1,20}|0", text, re.ASCII):
        return text if "-" in text else "0-0"
    if re.fullmatch(r"\d{13}", text, re.ASCII):
        return f"{int(text) - 1}-18446744073709551615"
    when = moment(text)
    if when is None and (back := length(text)) is not None:
        when = now - back
    return None if when is None else f"{max(0, int(when * 1000) - 1)}-18446744073709551615"
