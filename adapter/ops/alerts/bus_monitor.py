"""Raise an alarm for each fault of the streams, and clear it when the fault is over. Pure.

A fault is what other programs do to the bus: unread entries that reach the cap, ids that leave no room.
`now` is wall-clock time in seconds since 1970.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from adapter.ops.alerts.delivery_monitor import Action, Remedy

# Seconds without a fault that end it: the services look every few seconds.
CALM: Final = 60.0


@dataclass(slots=True)
class BusMonitor:
    """Watch the faults by their reasons. `alarms` are the reasons of those that are raised."""

    alarms: tuple[str, ...] = ()
    _last: dict[str, float] = field(default_factory=dict)

    def tick(self, faults: Mapping[str, str], now: float) -> list[Action]:
        """Return what to do now; `faults` are the texts by reason."""
        actions = []
        for reason, text in faults.items():
            self._last[reason] = now
            if reason not in self.alarms:
                self.alarms = (*self.alarms, reason)
                actions.append(Action(Remedy.ALARM, reason, text))
        for reason in self.alarms:
            # One that an earlier process raised is over if it is not seen again.
            if now - self._last.setdefault(reason, now) >= CALM:
                self.alarms = tuple(one for one in self.alarms if one != reason)
                actions.append(Action(Remedy.CLEAR, reason, f"{reason}: over"))
        return actions
