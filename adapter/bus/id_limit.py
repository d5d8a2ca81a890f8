"""Judge the ids that other programs give to entries. Pure.

Redis gives the next entry an id behind the last one. An id far in the future therefore dates all entries that
follow it, and the last possible id leaves none for them.
"""

from dataclasses import dataclass
from typing import Final

# Milliseconds that an id may be ahead. A clock that is wrong by hours is set right while entries wait.
MAX_AHEAD_MS: Final = 86_400_000


@dataclass(slots=True)
class IdLimit:
    """The newest id that is no mistake.

    `newest_event_ms`: the time in the newest id of `qq:inbound`, which Redis alone makes. If the clock of
    Redis was set back, its own ids are ahead of it.
    """

    newest_event_ms: int = 0

    def milliseconds(self, now: float) -> int:
        """Return the latest time of an id, in milliseconds since 1970; `now` in seconds, by Redis' clock."""
        return max(int(now * 1000), self.newest_event_ms) + MAX_AHEAD_MS

    def is_beyond(self, entry: str, now: float) -> bool:
        """Return whether an id is so late that its stream is healed from it."""
        return milliseconds_of(entry) > self.milliseconds(now)


def milliseconds_of(entry: str) -> int:
    """Return the time in an id, in milliseconds since 1970; 0 for no id."""
    return int(entry.partition("-")[0] or 0)
