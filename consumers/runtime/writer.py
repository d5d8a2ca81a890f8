"""What a worker writes: requests and acks leave together, in order, as often as it takes."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final

import redis.asyncio as redis
from redis.exceptions import RedisError

from consumers.runtime.connection import backoff, is_transient

log = logging.getLogger(__name__)

# A handler that writes faster than Redis takes it waits here.
MAX_WAITING: Final = 1_000

Fields = Sequence[str | bytes]


class BatchWriter:
    """Collects writes while one trip is under way and sends them in the next.

    An ack never leaves before the requests that were added ahead of it. A trip that failed is repeated
    whole: requests carry stable ids, so the adapter's ledger knows a second copy; acks are idempotent.
    """

    def __init__(self, client: "redis.Redis", stream: str, group: str) -> None:
        self._client = client
        self._stream = stream
        self._group = group
        self._adds: list[tuple[str, Fields]] = []
        self._acks: list[str] = []
        self._under_way: list[str] = []
        self._bell = asyncio.Event()
        self._moved = asyncio.Condition()
        self._taken = 0
        self._sent = 0
        self._end = float("inf")
        self.acked = 0
        self.added = 0

    def ack(self, entry: str) -> None:
        """This entry is done with."""
        self._acks.append(entry)
        self._bell.set()

    async def append(self, stream: str, fields: Fields) -> int:
        """Append to a stream, soon; waits only when too much waits already. Returns its place in the line."""
        if len(self._adds) >= MAX_WAITING:
            await self.wait_flushed(self._taken - MAX_WAITING // 2)
        self._adds.append((stream, fields))
        self._taken += 1
        self._bell.set()
        return self._taken

    async def wait_flushed(self, place: int) -> None:
        """Wait until everything up to this place has been written."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._sent >= place)

    def ack_pending(self, entry: str) -> bool:
        """Whether its ack is on the way: Redis may still call it pending."""
        return entry in self._acks or entry in self._under_way

    @property
    def empty(self) -> bool:
        """Whether nothing waits to be written."""
        return self._sent == self._taken and not self._acks

    async def run(self, stop: asyncio.Event, limit: float) -> None:
        """Write until stopped; afterwards what is left, for so many seconds at most."""
        while not stop.is_set() or not self.empty:
            await self._bell.wait()
            self._bell.clear()
            if not await self._write(stop, limit):
                log.error(
                    "Redis took no more: %d events stay unacknowledged and will come again", len(self._acks)
                )
                return

    def wake(self) -> None:
        """Let `run` notice that it was stopped."""
        self._bell.set()

    async def _write(self, stop: asyncio.Event, limit: float) -> bool:
        adds, acks = self._adds, self._acks
        self._adds, self._acks, self._under_way = [], [], acks
        if not adds and not acks:
            return True
        delays = backoff(most=1.0)
        while True:
            try:
                await self._flush(adds, acks)
                break
            except (RedisError, OSError) as exc:
                if not is_transient(exc):
                    raise
                log.debug("a trip failed and is repeated: %s", exc)
                if self._is_over(stop, limit):
                    self._acks = acks + self._acks
                    return False
                await asyncio.sleep(next(delays))
        self._under_way = []
        self.acked += len(acks)
        self.added += len(adds)
        if adds:
            async with self._moved:
                self._sent += len(adds)
                self._moved.notify_all()
        return True

    def _is_over(self, stop: asyncio.Event, limit: float) -> bool:
        """Whether the time after the stop is spent. Asked between tries: a stop may come amid them."""
        if stop.is_set():
            self._end = min(self._end, time.monotonic() + limit)
        return time.monotonic() > self._end

    async def _flush(self, adds: list[tuple[str, Fields]], acks: list[str]) -> None:
        if not adds:
            await self._client.execute_command("XACK", self._stream, self._group, *acks)  # type: ignore[no-untyped-call]
            return
        # All or nothing: a server that is full refuses an XADD but would take the XACK after it.
        async with self._client.pipeline(transaction=True) as pipe:
            for stream, fields in adds:
                pipe.execute_command("XADD", stream, "*", *fields)
            if acks:
                pipe.execute_command("XACK", self._stream, self._group, *acks)
            await pipe.execute()
