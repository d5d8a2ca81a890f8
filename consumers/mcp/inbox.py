"""Hold new messages until the agent that got them calls again.

Invariants:
- An event is in the queue, or in the batch of one caller, or acknowledged.
- A batch is acknowledged at the next call of its caller, or by its number. Before that it must have been
  delivered: an answer that was cut has delivered nothing: its events go back to the front of the queue.
- What a caller holds goes to the next one after SILENT_SECONDS without a call. A living caller keeps it, for
  the runtime renews what is held.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from adapter import Received
from consumers.mcp.guards import Guards
from consumers.runtime.holding import HeldEntries, HeldEvent

# Events of one answer, in the queue, and callers that are remembered.
MAX_BATCH: Final = 100
MAX_QUEUE: Final = 500
MAX_BATCHES: Final = 1_000
# Seconds after which a caller that does not call any more counts as gone.
SILENT_SECONDS: Final = 600.0


@dataclass(slots=True, eq=False)
class Delivery:
    """Whether an answer reached its client: over HTTP that is known when its last byte is written.

    `is_cut`: the client is gone, which ends no call of the older protocol.
    """

    is_done: bool = False
    is_cut: bool = False


@dataclass(slots=True, eq=False)
class Batch:
    """What one call has delivered."""

    number: str
    caller: str
    events: list[Received]
    delivery: Delivery
    since: float = field(default_factory=time.monotonic)


class Inbox:
    """The events between the bus and the callers."""

    def __init__(self, held: HeldEntries, guards: Guards) -> None:
        self._held = held
        self._guards = guards
        self._queue: deque[Received] = deque()
        self._batches: dict[str, Batch] = {}
        self._numbers = itertools.count(1)
        self._waiting = 0
        self._changed = asyncio.Event()
        self._wanted = asyncio.Event()

    # --- the sink of the runtime ---------------------------------------------------------------

    def room(self) -> int:
        """Return how many events it takes: none while no caller waits."""
        self._wanted.clear()
        return MAX_QUEUE - len(self._queue) if self._waiting else 0

    async def wait_for_room(self, seconds: float) -> None:
        """Return when a caller waits, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._wanted.wait()
        except TimeoutError:
            return

    def take(self, events: Sequence[HeldEvent[Received]]) -> None:
        """Queue what may be passed on; acknowledge the rest unseen."""
        unseen: list[str] = []
        for one in events:
            received = one.content
            if self._guards.may_tell(received) or received.type == "session.gap":
                self._queue.append(received)
            else:
                unseen.append(received.entry)
        self._held.acknowledge(unseen)
        self._changed.set()

    # --- callers -------------------------------------------------------------------------------

    def settle(self, caller: str, done: str = "") -> None:
        """Acknowledge what this caller got before, or the batch that it names."""
        for number, batch in list(self._batches.items()):
            if number == done or (caller and batch.caller == caller):
                del self._batches[number]
                if number == done or batch.delivery.is_done:
                    self._held.acknowledge([event.entry for event in batch.events])
                else:
                    self._return(batch.events)
        self._return_silent()

    async def wait(
        self,
        caller: str,
        seconds: float,
        chats: Collection[str],
        delivery: Delivery,
        problem: Callable[[], str],
    ) -> Batch:
        """Wait for events and hold them for this caller; an empty batch after `seconds`.

        Raises TimeoutError with the words of `problem` if that lasts.
        """
        end = time.monotonic() + seconds
        self._waiting += 1
        self._wanted.set()
        try:
            while True:
                self._changed.clear()
                self._return_silent()
                if delivery.is_cut:
                    return Batch("", caller, [], delivery)
                if found := self._pick(chats):
                    return self._hold(caller, found, delivery)
                left = end - time.monotonic()
                if left <= 0:
                    return Batch("", caller, [], delivery)
                if words := problem():
                    raise TimeoutError(words)
                await self._wait_change(min(left, 1.0))
        finally:
            self._waiting -= 1

    async def _wait_change(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def _pick(self, chats: Collection[str]) -> list[Received]:
        """Remove from the queue what this caller asked for, and gaps."""
        found: list[Received] = []
        kept: deque[Received] = deque()
        for event in self._queue:
            is_wanted = not chats or event.chat in chats or event.type == "session.gap"
            (found if is_wanted and len(found) < MAX_BATCH else kept).append(event)
        self._queue = kept
        return found

    def _hold(self, caller: str, events: list[Received], delivery: Delivery) -> Batch:
        batch = Batch(f"b{next(self._numbers)}-{events[-1].entry}", caller, events, delivery)
        self._batches[batch.number] = batch
        if len(self._batches) > MAX_BATCHES:
            oldest = self._batches.pop(next(iter(self._batches)))
            self._return(oldest.events)
        return batch

    def _return(self, events: Sequence[Received]) -> None:
        self._queue.extendleft(reversed(events))
        self._changed.set()

    def _return_silent(self) -> None:
        limit = time.monotonic() - SILENT_SECONDS
        for number, batch in list(self._batches.items()):
            if batch.since < limit:
                del self._batches[number]
                self._return(batch.events)
