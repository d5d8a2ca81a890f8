"""Keep the last hour in slots of ten seconds, for the graphs of the page. Pure."""

from collections import deque
from dataclasses import dataclass
from typing import Final

# Seconds of one slot: a bar of the graphs.
SLOT: Final = 10
# An hour of slots.
MAX_SLOTS: Final = 360


@dataclass(slots=True)
class Slot:
    """Counts of ten seconds from `start` on; sums and maxima in seconds."""

    start: int
    events: int = 0
    batches: int = 0
    append_sum: float = 0.0
    append_max: float = 0.0
    results: int = 0
    result_sum: float = 0.0
    result_max: float = 0.0


class RollingHistory:
    """The slots that are not empty, oldest first: a quiet hour costs nothing."""

    def __init__(self) -> None:
        self._slots: deque[Slot] = deque(maxlen=MAX_SLOTS)

    def observe_append(self, now: float, events: int, seconds: float) -> None:
        """Count a batch that was stored `seconds` after it came."""
        slot = self._slot(now)
        slot.events += events
        slot.batches += 1
        slot.append_sum += seconds
        slot.append_max = max(slot.append_max, seconds)

    def observe_result(self, now: float, seconds: float) -> None:
        """Count a request that ended `seconds` after it was made."""
        slot = self._slot(now)
        slot.results += 1
        slot.result_sum += seconds
        slot.result_max = max(slot.result_max, seconds)

    def since(self, start: float, now: float) -> list[list[float]]:
        """Return rows `[start, events, append ms, its maximum, results, result ms, its maximum]`.

        The rows are from `start` on, at most an hour; the times are means over batches and requests.
        """
        oldest = max(start, now - MAX_SLOTS * SLOT)
        return [_row(slot) for slot in self._slots if slot.start + SLOT > oldest]

    def _slot(self, now: float) -> Slot:
        start = int(now) // SLOT * SLOT
        # If the clock was set back, the newest slot goes on.
        if not self._slots or start > self._slots[-1].start:
            self._slots.append(Slot(start))
        return self._slots[-1]


def _row(slot: Slot) -> list[float]:
    return [
        slot.start,
        slot.events,
        round(1000 * slot.append_sum / max(1, slot.batches), 2),
        round(1000 * slot.append_max, 2),
        slot.results,
        round(1000 * slot.result_sum / max(1, slot.results)),
        round(1000 * slot.result_max),
    ]
