"""Raise one alarm when events flow and no send is confirmed, and clear it when one is. Pure.

A connection may be half dead: it delivers events, and each send runs into its time limit. Opening it again
does not help, so that a person is needed. `now` is wall-clock time in seconds since 1970.
"""

from dataclasses import dataclass
from typing import Final

from adapter.ops.alerts.delivery_monitor import Action, Remedy

MUTE: Final = "mute"
# Results `unknown` of upstream in a row before an alarm: fewer happen on a slow day.
MAX_UNKNOWN: Final = 5
# An event no older than this, in seconds, proves that events flow.
FRESH: Final = 600.0


@dataclass(slots=True)
class MuteMonitor:
    """Watch the results of sends. `alarm` is "mute" while the alarm is raised."""

    alarm: str = ""

    def tick(self, unknown: int | None, event_age: float | None) -> list[Action]:
        """Return what to do now.

        `unknown`: results in a row that were `unknown`, None without a result so far. `event_age`: seconds
        since the last event, None without one.
        """
        if self.alarm:
            if unknown != 0:
                return []
            self.alarm = ""
            return [Action(Remedy.CLEAR, MUTE, "messages get out again")]
        is_flowing = event_age is not None and event_age <= FRESH
        if unknown is None or unknown < MAX_UNKNOWN or not is_flowing:
            return []
        self.alarm = MUTE
        return [Action(Remedy.ALARM, MUTE, f"events arrive, but {unknown} sends in a row were not confirmed")]
