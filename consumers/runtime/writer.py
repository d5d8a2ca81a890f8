"""Batched writes of a worker: requests first, then the acks of the events that caused them."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final

import redis.asyncio as redis

from consumers.runtime.connection import RetryLoop

# A handler that writes faster than Redis takes it waits at either bound: entries, and bytes of memory.
MAX_WAITING: Final = 1_000
MAX_WAITING_BYTES: Final = 8 * 1024 * 1024

Fields = Sequence[str | bytes]


class BatchWriter:
    """Collects writes during one round trip and sends them in the next.

    An XACK leaves only after Redis has answered every XADD that was appended before it: it goes with the
    XADDs of the next round trip, or alone. With its own XADD in one MULTI events would be lost: when an
    XADD fails at run time, Redis still executes the XACK after it. A round trip whose reply is lost is
    repeated. Requests carry stable ids, and the adapter's ledger drops a second copy.
    """

    def __init__(self, client: "redis.Redis", stream: str, group: str, retries: RetryLoop) -> None:
        self._client = client
        self._stream = stream
        self._group = group
        self._retries = retries
        self._adds: list[tuple[str, Fields]] = []
        self._waiting_bytes = 0
        self._acks: dict[str, None] = {}
        # In this round trip: XADDs, XACKs that are free to go, and those that wait for the XADDs.
        self._sending: list[tuple[str, Fields]] = []
        self._acking: dict[str, None] = {}
        self._held: dict[str, None] = {}
        self._wakeup = asyncio.Event()
        self._flushed = asyncio.Condition()
        self._appended = 0
        self._sent = 0
        self._closed = False
        self.acked = 0
        # Entries written, by stream.
        self.added: Counter[str] = Counter()

    def ack(self, entry: str) -> None:
        """Acknowledge an entry once everything appended so far is in Redis."""
        self._acks[entry] = None
        self._wakeup.set()

    async def append(self, stream: str, fields: Fields) -> int:
        """Queue an XADD; waits while a bound is reached. Returns its number for `wait_flushed`."""
        while len(self._adds) >= MAX_WAITING or self._waiting_bytes >= MAX_WAITING_BYTES:
            await self.wait_flushed(self._appended - len(self._adds) + 1)
        self._adds.append((stream, fields))
        self._waiting_bytes += sum(map(len, fields))
        self._appended += 1
        self._wakeup.set()
        return self._appended

    async def wait_flushed(self, number: int) -> None:
        """Wait until Redis has every XADD up to this number."""
        async with self._flushed:
            await self._flushed.wait_for(lambda: self._sent >= number)

    async def wait_acked(self, entry: str) -> None:
        """Wait until Redis has answered the XACK of this entry."""
        async with self._flushed:
            await self._flushed.wait_for(lambda: not self.ack_pending(entry))

    def ack_pending(self, entry: str) -> bool:
        """Return whether its XACK is queued or sent: Redis may still list it as pending."""
        return entry in self._acks or entry in self._acking or entry in self._held

    @property
    def unacknowledged(self) -> list[str]:
        """Return the entries whose XACK Redis has not answered."""
        return [*self._acking, *self._held, *self._acks]

    def close(self) -> None:
        """Let `run` return once all is written."""
        self._closed = True
        self._wakeup.set()

    async def run(self) -> None:
        """Write until closed. Raises the error of a write that no retry can mend."""
        while not self._closed or self._adds or self._acks or self._acking:
            if not self._acking:
                await self._wakeup.wait()
            self._wakeup.clear()
            self._sending, self._adds, self._waiting_bytes = self._adds, [], 0
            if self._sending:
                self._held, self._acks = self._acks, {}
            else:
                self._acking, self._acks = self._acking | self._acks, {}
            await self._retries.run(self._flush)
            self._acking, self._held = self._held, {}

    async def _flush(self) -> None:
        commands: list[tuple[str | bytes, ...]] = [
            ("XADD", stream, "*", *fields) for stream, fields in self._sending
        ]
        if self._acking:
            commands.insert(0, ("XACK", self._stream, self._group, *self._acking))
        if len(commands) == 1:
            await self._client.execute_command(*commands[0])  # type: ignore[no-untyped-call]
        elif commands:
            # MULTI keeps the order: a server that is full refuses the whole batch, not one entry amid it.
            async with self._client.pipeline(transaction=True) as pipe:
                for command in commands:
                    pipe.execute_command(*command)
                await pipe.execute()
        self.acked += len(self._acking)
        self._acking = {}
        if self._sending:
            self._sent += len(self._sending)
            self.added.update(stream for stream, _ in self._sending)
            self._sending = []
        async with self._flushed:
            self._flushed.notify_all()
