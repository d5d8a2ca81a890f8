"""The last hour in slots of ten seconds, for the graphs of the page. Pure, and idle while nothing happens."""

from collections import deque
from dataclasses import dataclass
from typing import Final

SLOT: Final = 10
MAX_SLOTS: Final = 360  # an hour of slots


@dataclass(slots=True)
class Slot:
    """What happened within ten seconds from `start` on. Sums and maxima in seconds."""

    start: int
    events: int = 0
    batches: int = 0
    append: float = 0.0
    append_most: float = 0.0
    ended: int = 0
    waited: float = 0.0
    waited_most: float = 0.0


class RollingHistory:
    """Slots in which something happened, oldest first."""

    def __init__(self) -> None:
        self._slots: deque[Slot] = deque(maxlen=MAX_SLOTS)

    def observe_append(self, now: float, events: int, seconds: float) -> None:
        """A batch of so many events was stored."""
        slot = self._slot(now)
        slot.events += events
        slot.batches += 1
        slot.append += seconds
        slot.append_most = max(slot.append_most, seconds)

    def observe_result(self, now: float, seconds: float) -> None:
        """A request ended, so long after it was made."""
        slot = self._slot(now)
        slot.ended += 1
        slot.waited += seconds
        slot.waited_most = max(slot.waited_most, seconds)

    def since(self, start: float, now: float) -> list[list[float]]:
        """Rows of `[start, events, append ms, its most, ended, waited ms, its most]` from `start` on.

        Nothing older than an hour; the means are taken over batches and requests.
        """
        oldest = max(start, now - MAX_SLOTS * SLOT)
        return [_row(slot) for slot in self._slots if slot.start + SLOT > oldest]

    def _slot(self, now: float) -> Slot:
        start = int(now) // SLOT * SLOT
        # A clock that was set back goes on in the newest slot.
        if not self._slots or start > self._slots[-1].start:
            self._slots.append(Slot(start))
        return self._slots[-1]


def _row(slot: Slot) -> list[float]:
    return [
        slot.start,
        slot.events,
        round(1000 * slot.append / max(1, slot.batches), 2),
        round(1000 * slot.append_most, 2),
        slot.ended,
        round(1000 * slot.waited / max(1, slot.ended)),
        round(1000 * slot.waited_most),
    ]
