"""Room on disk: calls a person once where events cannot be kept, and says when they can again. Pure.

While the disk is full nothing is lost that was taken, and nothing more is taken: upstream keeps for about a
minute what nobody asks for. `now` is wall-clock time in seconds since 1970.
"""

from dataclasses import dataclass
from typing import Final

from adapter.ops.alerts.delivery_monitor import Action, Remedy

DISK: Final = "disk"
GRACE: Final = 10.0
"""What is over sooner calls nobody: upstream keeps what it was not asked for longer than this."""

CALM: Final = 60.0
"""Room for so long ends an episode: a disk that is nearly full lets a message in now and then."""


@dataclass(slots=True)
class DiskMonitor:
    """Watches whether events can be put on disk. `alarm` is "disk" while a person has been called for it."""

    alarm: str = ""
    _since: float | None = None
    _last: float | None = None

    def tick(self, stuck: str, now: float) -> list[Action]:
        """What is to be done now; `stuck` is why nothing can be written, "" where it can."""
        if stuck:
            self._since = now if self._since is None else self._since
            self._last = now
            if self.alarm or now - self._since < GRACE:
                return []
            self.alarm = DISK
            return [Action(Remedy.ALARM, DISK, f"{stuck}: SmartQQ is not asked for more until there is room")]
        if self._last is None and self.alarm:  # an earlier process has called
            self._last = now
        if self._last is None or now - self._last < CALM:
            return []
        called, self.alarm, self._since, self._last = self.alarm, "", None, None
        return [Action(Remedy.CLEAR, DISK, "events can be put on disk again")] if called else []
