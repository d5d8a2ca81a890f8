"""How many events are read at a time: bounded in number and, as far as Redis allows, in bytes. Pure.

Redis reads entries by number alone. The largest event of the newest batches says how many bytes a number may
bring.

Invariants:
- What is in flight has at most EVENTS events, and a batch is asked for only where it fits BYTES.
- The first batch is small. Each batch of small events doubles the next one, up to MAX_BATCH.
- A large event makes the next batch small at once.

What breaks them: events that are suddenly larger than any before. One batch of them is read whole.
"""

from typing import Final

# In flight, over all connections: quick bots may be ahead of a slow one by this.
EVENTS: Final = 2_000
BYTES: Final = 16 * 1024 * 1024
# A batch may take half of the bytes, so that the next one is read while bots confirm this one.
_BATCH_BYTES: Final = BYTES // 2
# Events of one batch: enough that a round trip costs little for each.
MAX_BATCH: Final = 256
# Bytes that an event is expected to take before one was seen: a long text with its upstream form.
_FIRST_GUESS: Final = 512 * 1024
# No event is expected to be smaller: batches of MAX_BATCH such events are bounded as well.
_LEAST: Final = _BATCH_BYTES // MAX_BATCH


class Intake:
    """The size of the next batch."""

    def __init__(self) -> None:
        self._expected = _FIRST_GUESS

    def room(self, events: int, size: int) -> int:
        """Return how many events to read beside those in flight, which have `size` bytes; a batch or 0.

        Smaller reads than a batch would cost a round trip for a few events each.
        """
        batch = max(1, _BATCH_BYTES // self._expected)
        fits = events + batch <= EVENTS and size + batch * self._expected <= BYTES
        return batch if fits or not events else 0

    def observe(self, largest: int) -> None:
        """Learn from a batch; `largest` in bytes."""
        self._expected = max(largest, self._expected // 2, _LEAST)
