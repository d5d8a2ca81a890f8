"""Decide when an account needs a person: it is not online, or it is online and silent. Pure.

An account that answers every poll and delivers nothing looks well and is not. After `silence_seconds`
online without an event the monitor asks for three remedies in turn, each once for a silence: probe the
session, open it again, raise the alarm `deaf`. A state that only a person can end raises an alarm too.

At most one alarm is raised at a time, and each is cleared once. `now` is wall-clock time, in seconds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Final

from adapter.events import SessionState
from adapter.i18n import N_
from adapter.ops.wording import alarm_text, span

# An event no older than this, in seconds, proves that upstream delivers.
FRESH: Final = 600.0
# Seconds between two remedies. A poll is parked for a minute: what a remedy has freed arrives within two.
REMEDY_INTERVAL: Final = 120.0
# The longest step of time, in seconds, that counts as silence: a machine that slept was not listening.
MAX_STEP: Final = 60.0
# How long, in seconds, a state may last before an alarm: the operator may have the phone in hand.
GRACE: Final[Mapping[SessionState, float]] = {
    SessionState.QR: 120.0,
    SessionState.SCANNED: 120.0,
    SessionState.CAPTCHA: 120.0,
    SessionState.KICKED: 120.0,
}
# The same, in seconds, for SmartQQ out of reach: the adapter tries again by itself, but an outage is noticed.
NETWORK_GRACE: Final = 1800.0
# The same for a connection that does not come back: an implementation that starts again takes a minute.
CONNECTION_GRACE: Final = 120.0
_REASON_GRACE: Final[Mapping[str, float | None]] = {
    "logout": None,
    "network": NETWORK_GRACE,
    "unreachable": CONNECTION_GRACE,
    "closed": CONNECTION_GRACE,
    "silent": CONNECTION_GRACE,
}
DEAF: Final = "deaf"


class LineState(StrEnum):
    """What is believed of the line."""

    PROVEN = "proven"  # an event arrived a short while ago
    PLAUSIBLE = "plausible"  # silent, not yet for too long
    SUSPICIOUS = "suspicious"  # silent for too long
    OFFLINE = "offline"


class Remedy(Enum):
    """What the watchdog does about it."""

    PROBE = auto()
    RECONNECT = auto()
    ALARM = auto()
    CLEAR = auto()


@dataclass(frozen=True, slots=True)
class Action:
    """One remedy, with its reason as a code and as a text for the operator.

    `text` is what the log gets. `template` with `values` is the same to be translated, where it has values.
    """

    remedy: Remedy
    reason: str
    text: str
    template: str = ""
    values: Mapping[str, object] = field(default_factory=dict)


# The text of the last remedy.
_SILENT: Final = N_("online, but no event for {span}; opening the session again did not help")
# The remedies of a silence in their order, each with what its text adds.
_REMEDIES: Final = (
    (Remedy.PROBE, ""),
    (Remedy.RECONNECT, "; the session looks well"),
    (Remedy.ALARM, "; opening the session again did not help"),
)


@dataclass(slots=True)
class _Silence:
    """The time online without an event, and the remedies that were tried."""

    follows_event: bool = False  # else a login
    seconds: float = 0.0
    remedies: int = 0
    next_remedy: float = 0.0  # in seconds of this silence


@dataclass(slots=True)
class DeliveryMonitor:
    """Watch one account: report each state and event, and tick at least once a minute.

    `silence_seconds` is 0 to accept any silence. `alarm` is the reason of the raised alarm, "" for none;
    the caller keeps it over a restart.
    """

    silence_seconds: float = 0.0
    alarm: str = ""
    state: SessionState = SessionState.STOPPED
    reason: str = ""
    _since: float = 0.0
    _silence: _Silence | None = None
    _ticked: float | None = None

    def observe_state(self, state: SessionState, reason: str, now: float) -> None:
        """Note the state of the session; the same again changes nothing."""
        if (state, reason) == (self.state, self.reason):
            return
        if state is SessionState.ONLINE:
            self._silence = self._silence or self._begin_silence()
        else:
            self._ticked = None
            # A silence goes on behind the reconnect that was its remedy.
            if state is not SessionState.RELINKING:
                self._silence = None
        if not (state in GRACE and self.state in GRACE):
            self._since = now
        self.state, self.reason = state, reason

    def observe_delivery(self) -> None:
        """Note that upstream delivered a message or a notice."""
        if self.state is SessionState.ONLINE:
            self._silence = self._begin_silence(follows_event=True)
            self._ticked = None

    def line_state(self) -> LineState:
        """Return what is believed of the line."""
        silence = self._silence
        if self.state is not SessionState.ONLINE or silence is None:
            return LineState.OFFLINE
        if self._is_too_long(silence):
            return LineState.SUSPICIOUS
        is_fresh = silence.follows_event and silence.seconds <= FRESH
        return LineState.PROVEN if is_fresh else LineState.PLAUSIBLE

    def tick(self, now: float) -> list[Action]:
        """Return what to do now; each action is returned once."""
        if self.state is not SessionState.ONLINE or self._silence is None:
            return list(self._check_state(now))
        if self._ticked is not None:
            self._silence.seconds += min(max(0.0, now - self._ticked), MAX_STEP)
        self._ticked = now
        return [*self._check_recovery(self._silence), *self._check_silence(self._silence)]

    # --- online --------------------------------------------------------------------------------

    def _begin_silence(self, *, follows_event: bool = False) -> _Silence:
        return _Silence(follows_event, next_remedy=self.silence_seconds)

    def _is_too_long(self, silence: _Silence) -> bool:
        return 0 < self.silence_seconds <= silence.seconds

    def _check_recovery(self, silence: _Silence) -> Iterator[Action]:
        if self.alarm == DEAF:
            # An event ends it, but not the one before the silence that raised it.
            if silence.follows_event and silence.remedies < len(_REMEDIES):
                self.alarm = ""
                yield Action(Remedy.CLEAR, "online", N_("events arrive again"))
        elif self.alarm:
            self.alarm = ""
            yield Action(Remedy.CLEAR, "online", N_("online again"))

    def _check_silence(self, silence: _Silence) -> Iterator[Action]:
        is_due = self._is_too_long(silence) and silence.seconds >= silence.next_remedy
        if not is_due or silence.remedies >= len(_REMEDIES):
            return
        remedy, addition = _REMEDIES[silence.remedies]
        if remedy is Remedy.ALARM:
            if self.alarm:
                return
            self.alarm = DEAF
        silence.remedies += 1
        silence.next_remedy = silence.seconds + REMEDY_INTERVAL
        text = f"online, but no event for {span(silence.seconds, N_)}{addition}"
        yield Action(remedy, DEAF, text, _SILENT, {"seconds": silence.seconds})

    # --- not online ----------------------------------------------------------------------------

    def _check_state(self, now: float) -> Iterator[Action]:
        if self.alarm and self.reason == "logout":
            self.alarm = ""
            yield Action(Remedy.CLEAR, "logout", N_("logged out on request"))
        grace = self._grace()
        if grace is not None and not self.alarm and now - self._since >= grace:
            is_offline = self.state is SessionState.OFFLINE
            self.alarm = (self.reason or "offline") if is_offline else self.state.value
            yield Action(Remedy.ALARM, self.alarm, alarm_text(self.alarm))

    def _grace(self) -> float | None:
        """Return how many seconds the present state may last; None for ever."""
        if self.state is SessionState.OFFLINE:
            return _REASON_GRACE.get(self.reason, 0.0)
        return GRACE.get(self.state)
