"""Raise one alarm when events cannot be written to disk, and clear it when they can again. Pure.

While the disk is full no event is lost that was taken, and none is taken: upstream keeps an event that is
not polled for about a minute. `now` is wall-clock time in seconds since 1970.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from adapter.i18n import N_
from adapter.ops.alerts.delivery_monitor import Action, Remedy

DISK: Final = "disk"
# Seconds before an alarm. Upstream keeps what is not polled for longer than this: nothing is lost yet.
GRACE: Final = 10.0
# Seconds with room that end an episode: a disk that is nearly full takes an event now and then.
CALM: Final = 60.0


@dataclass
class DiskMonitor:
    """Watch whether events can be written to disk. `alarm` is the reason while the alarm is raised."""

    reason: ClassVar = DISK
    grace: ClassVar = GRACE
    calm: ClassVar = CALM
    consequence: ClassVar = N_("nothing is received until there is room")
    all_clear: ClassVar = N_("events can be written to disk again")
    alarm: str = ""
    _full_since: float | None = None
    _last_full: float | None = None

    def tick(self, error: str, now: float) -> list[Action]:
        """Return what to do now; `error` is why nothing can be written, "" if it can."""
        if error:
            self._full_since = now if self._full_since is None else self._full_since
            self._last_full = now
            if self.alarm or now - self._full_since < self.grace:
                return []
            self.alarm = self.reason
            text, values = "{error}: {consequence}", {"error": error, "consequence": self.consequence}
            return [Action(Remedy.ALARM, self.reason, text.format(**values), text, values)]
        if self._last_full is None and self.alarm:  # raised by an earlier process
            self._last_full = now
        if self._last_full is None or now - self._last_full < self.calm:
            return []
        raised, self.alarm, self._full_since, self._last_full = self.alarm, "", None, None
        return [Action(Remedy.CLEAR, self.reason, self.all_clear)] if raised else []
