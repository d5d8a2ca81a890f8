"""Deaf or just quiet? Decides from what upstream delivers, by the habit of the hour, what to do. Pure.

An account that answers every poll and never delivers a message looks well and is not. What counts is
delivered traffic, compared with what this account is used to at this time of day:

    proven       something was delivered a short while ago
    plausible    silent, and no wonder at this hour
    suspicious   silent, and it ought not to be: probe the session, then open it again

If it stays silent after that, or if only a person can log in again, one alarm is raised for the whole
episode, and one all-clear when it is over. `now` is wall-clock time in seconds since 1970, always.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Final

from adapter.events import SessionState

BIN: Final = 300.0
"""Seconds in which one message counts as much as a hundred: talk comes in bursts."""

HOURS: Final = 24
WEIGHT: Final = 14 * 12.0
"""Bins of one hour of the day that are remembered: about two weeks; older ones fade."""

LEARNT: Final = 12.0
"""Bins of this hour that must have been seen before its habit is believed: one hour of watching."""

FRESH: Final = 2 * BIN
"""Traffic no older than this proves that we hear."""

ODD: Final = 6.0
"""Active bins that were to be expected and did not come: once in four hundred such silences by chance."""

STILL: Final = 2.0
"""Further ones after each remedy, and at least `PATIENCE` seconds, before the next is tried."""

PATIENCE: Final = 600.0
UNKNOWN_MOST: Final = 6 * 3600.0
"""Silence without any habit to compare with: a probe costs nothing."""

GRACE: Final = {
    SessionState.QR: 120.0,
    SessionState.SCANNED: 120.0,
    SessionState.CAPTCHA: 120.0,
    SessionState.KICKED: 120.0,
}
"""How long these states may last before somebody is called: he may be there, phone in hand."""

NETWORK_GRACE: Final = 1800.0
"""SmartQQ cannot be reached: it is tried again by itself, but not unnoticed for ever."""

DEAF: Final = "deaf"
ALARMED: Final = 3
"""Remedies after which a person has been called: probe, relink, alarm."""

NEEDS: Final = {
    "qr": "a QR code waits to be scanned",
    "scanned": "the login waits to be confirmed on the phone",
    "captcha": "a captcha waits to be typed",
    "kicked": "the account was logged in somewhere else",
    "kicked.again": "the account is fought over with another client",
    "qr.unscanned": "nobody scanned the QR codes",
    "login.refused": "SmartQQ refuses the login",
    "login.blocked": "SmartQQ has blocked the login",
    "network": "SmartQQ has not been reached for half an hour",
}
"""What to tell the person who is called."""


class LineState(StrEnum):
    """What is believed of the line."""

    PROVEN = "proven"
    PLAUSIBLE = "plausible"
    SUSPICIOUS = "suspicious"
    OFFLINE = "offline"


class Remedy(Enum):
    """What is to be done about it."""

    PROBE = auto()
    RELINK = auto()
    ALARM = auto()
    CLEAR = auto()


@dataclass(frozen=True, slots=True)
class Action:
    """A deed and why, in a word and in a sentence."""

    deed: Remedy
    reason: str
    words: str


class TrafficBaseline:
    """For each hour of the day (UTC) the share of its five minutes in which something was delivered."""

    def __init__(self, rows: Sequence[Sequence[float]] = ()) -> None:
        self._active = [0.0] * HOURS
        self._seen = [0.0] * HOURS
        if len(rows) == HOURS and all(len(row) == 2 and 0 <= row[0] <= row[1] for row in rows):  # noqa: PLR2004
            self._active = [float(row[0]) for row in rows]
            self._seen = [float(row[1]) for row in rows]

    def rows(self) -> list[list[float]]:
        """What to keep over a restart: `[active, seen]` for each hour."""
        return [[round(a, 3), round(s, 3)] for a, s in zip(self._active, self._seen, strict=True)]

    def learn(self, now: float, *, active: bool) -> None:
        """Five minutes online have passed, with or without traffic."""
        hour = _hour(now)
        fade = max(0.0, 1.0 - 1.0 / WEIGHT) if self._seen[hour] >= WEIGHT else 1.0
        self._active[hour] = self._active[hour] * fade + active
        self._seen[hour] = self._seen[hour] * fade + 1.0

    def share(self, now: float) -> float | None:
        """How likely traffic is within five minutes at this hour; None where that is not known."""
        hour = _hour(now)
        return self._active[hour] / self._seen[hour] if self._seen[hour] >= LEARNT else None


def _hour(now: float) -> int:
    return int(now // 3600) % HOURS


@dataclass(slots=True)
class _Silence:
    """One silence: when it began and whether behind a message, what was missed, what was done about it."""

    since: float
    heard: bool = False
    missed: float = 0.0
    done: int = 0
    done_at: float = 0.0
    done_missed: float = 0.0


@dataclass(slots=True)
class DeliveryMonitor:
    """Watches one account. Feed it everything that happens, and tick it at least once a minute.

    `alarm` is the reason of the one that has been raised and not cleared, "" for none: keep it and
    `habit` over a restart.
    """

    habit: TrafficBaseline = field(default_factory=TrafficBaseline)
    alarm: str = ""
    state: SessionState = SessionState.STOPPED
    reason: str = ""
    _since: float = 0.0
    _silence: _Silence | None = None
    _bin: float | None = None
    _active: bool = False
    _ticked: float | None = None

    def changed(self, state: SessionState, reason: str, now: float) -> None:
        """The session moved, or did not."""
        if (state, reason) == (self.state, self.reason):
            return
        if state is SessionState.ONLINE:
            self._silence = self._silence or _Silence(now)
        else:
            self._bin = self._ticked = None
            # A silence that is being remedied goes on behind the relink.
            if state is not SessionState.RELINKING:
                self._silence = None
        if not (state in GRACE and self.state in GRACE):
            self._since = now
        self.state, self.reason = state, reason

    def heard(self, now: float) -> None:
        """Upstream delivered a message or a notice."""
        if self.state is SessionState.ONLINE:
            self._silence = _Silence(now, heard=True)
            self._active = True

    def hearing(self, now: float) -> LineState:
        """What is believed at this moment."""
        silence = self._silence
        if self.state is not SessionState.ONLINE or silence is None:
            return LineState.OFFLINE
        if silence.heard and now - silence.since <= FRESH:
            return LineState.PROVEN
        return LineState.SUSPICIOUS if self._odd(silence, now) else LineState.PLAUSIBLE

    def tick(self, now: float) -> list[Action]:
        """What is to be done now; every order is given once."""
        if self.state is not SessionState.ONLINE:
            return list(self._mind(now))
        self._learn(now)
        return list(self._listen(now))

    # --- habits --------------------------------------------------------------------------------

    def _learn(self, now: float) -> None:
        silence = self._silence
        # A machine that slept has not been listening: long steps are cut.
        step = 0.0 if self._ticked is None else min(max(0.0, now - self._ticked), BIN)
        self._ticked = now
        if silence is not None and now - silence.since > BIN:
            silence.missed += (self.habit.share(now) or 0.0) * step / BIN
        if self._bin is None or not 0 <= now - self._bin < 2 * BIN:
            self._bin, self._active = now, False
        elif now - self._bin >= BIN:
            # A line that is under suspicion is not what we are used to.
            if self._active or silence is None or silence.missed < ODD:
                self.habit.learn(self._bin, active=self._active)
            self._bin, self._active = self._bin + BIN, False

    def _odd(self, silence: _Silence, now: float) -> bool:
        unknown = self.habit.share(now) is None and now - silence.since >= UNKNOWN_MOST
        return silence.missed >= ODD or unknown

    # --- online --------------------------------------------------------------------------------

    def _listen(self, now: float) -> Iterator[Action]:
        silence = self._silence
        if silence is None:
            return
        if self.alarm and (self.alarm != DEAF or (silence.heard and silence.done < ALARMED)):
            words = "messages arrive again" if self.alarm == DEAF else "online again"
            self.alarm = ""
            yield Action(Remedy.CLEAR, "online", words)
        if not self._odd(silence, now) or not self._due(silence, now):
            return
        known = silence.missed >= ODD
        words = f"online, but nothing was delivered for {math.floor((now - silence.since) / 60)} minutes"
        match silence.done:  # how many remedies were tried
            case 0:
                yield Action(Remedy.PROBE, DEAF, words)
            case 1 if known:
                yield Action(Remedy.RELINK, DEAF, f"{words}, and the session looks well")
            case 2 if not self.alarm:
                self.alarm = DEAF
                yield Action(Remedy.ALARM, DEAF, f"{words}, and opening the session again did not help")
            case _:
                return
        silence.done += 1
        silence.done_at, silence.done_missed = now, silence.missed

    def _due(self, silence: _Silence, now: float) -> bool:
        """Whether the last remedy has had its chance."""
        if not silence.done:
            return True
        return now - silence.done_at >= PATIENCE and silence.missed - silence.done_missed >= STILL

    # --- not online ----------------------------------------------------------------------------

    def _mind(self, now: float) -> Iterator[Action]:
        if self.alarm and self.reason == "logout":
            self.alarm = ""
            yield Action(Remedy.CLEAR, "logout", "logged out on purpose")
        grace = self._grace()
        if grace is not None and not self.alarm and now - self._since >= grace:
            offline = self.state is SessionState.OFFLINE
            self.alarm = (self.reason or "offline") if offline else self.state.value
            yield Action(Remedy.ALARM, self.alarm, NEEDS.get(self.alarm, "offline: only a person can help"))

    def _grace(self) -> float | None:
        """How long the present state may last; None for ever."""
        if self.state is SessionState.OFFLINE:
            return {"logout": None, "network": NETWORK_GRACE}.get(self.reason, 0.0)
        return GRACE.get(self.state)
