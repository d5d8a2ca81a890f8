"""Reject entries that are no requests, in batches and at a pace, beside the requests that are.

An entry waits here as an id and a reason. A hundred of them cost two calls: one reads the starts of their
fields, one writes results and dead letters and acknowledges them. So a flood of nonsense takes a small share
of the time, and delays no request.
"""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

import anyio

from adapter.aio import AutoResetEvent
from adapter.codec.dead_letters import MAX_DETAIL
from adapter.errors import BusUnavailable, SchemaError
from adapter.outbound.settlement import Refused, Settlement

# Entries that wait, a kilobyte each with the longest reason. Others wait in Redis, unknown.
MAX_REFUSED: Final = 10_000
# Entries of one batch: a few milliseconds of this process and of Redis.
BATCH: Final = 100
# Rejections a second: their results share a stream with those of others, which keeps the newest ten thousand.
MAX_REJECTED: Final = 500
# Seconds that the loop waits for entries.
TICK_SECONDS: Final = 0.5


class Rejector:
    """The queue of entries that are no requests. `on_rejected` is called with the ids that are settled."""

    def __init__(self, settlement: Settlement, on_rejected: Callable[[Sequence[str]], None]) -> None:
        self._settlement = settlement
        self._on_rejected = on_rejected
        self._refused: deque[Refused] = deque()
        self._wakeup = AutoResetEvent()

    def __len__(self) -> int:
        return len(self._refused)

    @property
    def is_full(self) -> bool:
        """Whether it takes no more."""
        return len(self._refused) >= MAX_REFUSED

    def add(self, entry: str, error: SchemaError) -> None:
        """Queue an entry."""
        # Without its traceback, whose frames hold the fields.
        self._refused.append(Refused(entry, SchemaError(str(error)[:MAX_DETAIL], error.code)))
        self._wakeup.set()

    async def run(self, stop: anyio.Event) -> None:
        """Reject until stopped. Raises Fenced."""
        while not stop.is_set():
            if not self._refused:
                await self._wakeup.wait(TICK_SECONDS)
                continue
            done = 0
            with suppress(BusUnavailable), anyio.CancelScope(shield=True):  # stopped while Redis is away
                done = await self._reject_batch()
            await anyio.sleep(done / MAX_REJECTED)

    def wake(self) -> None:
        """Let `run` notice a stop."""
        self._wakeup.set()

    async def _reject_batch(self) -> int:
        done = await self._settlement.reject(list(islice(self._refused, BATCH)))
        self._on_rejected([self._refused.popleft().entry for _ in range(done)])
        return done
