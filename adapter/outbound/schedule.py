"""Requests that wait for their time: read from `qq:outbound`, kept in a hash, appended again when due.

Mechanism. A request with a later `at` leaves the consumer group and goes into the hash `qq:ids:scheduled`, in
one script. When its time has come, another script deletes it there and appends it to `qq:outbound` without
`at`. From then on it is a request like any other, behind those that its chat waits for already. This process
holds times and sizes alone, and reads them in steps: what the requests say stays in Redis.

Invariants:
- A request is in the group, in the hash, or settled; never in two of them. A process that dies before or
  after a script leaves it in one.
- The entry that is appended bears the id of the first one (`entry:<entry>` where it had none), and in
  `scheduled` its entry: the ledger and the result are those of the request as it was made.
- Only the lease holder moves requests; the scripts check its epoch.

What breaks them. A Redis that loses its last second may lose a request that was put aside in it, as it may
lose any entry of that second.
"""

import heapq
import logging
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress

import anyio
import msgpack

from adapter.aio import AutoResetEvent
from adapter.bus.bus import Bus
from adapter.bus.keys import GROUP
from adapter.bus.lease import Lease
from adapter.bus.retry import until_served
from adapter.codec.faststream import unwrap
from adapter.codec.inbound import timestamp
from adapter.errors import BusUnavailable, SchemaError
from adapter.events import SendRequest

log = logging.getLogger(__name__)

KEY = "ids:scheduled"
# Requests that may wait for their time, and the bytes of all of them in Redis.
MAX_SCHEDULED = 10_000
MAX_SCHEDULED_BYTES = 64 * 1024 * 1024
# The head of a packed request: an array of two, whose first value is the time as a float of 64 bits.
_HEAD = struct.Struct(">2xd")
# Requests of one step of a look at all of them.
_STEP = 200
# Seconds between two looks at the clock: it may be set, and a suspended machine wakes up late.
TICK_SECONDS = 0.25


class Schedule:
    """The requests that wait for their time. `wall` returns seconds since 1970."""

    def __init__(self, bus: Bus, lease: Lease, wall: Callable[[], float]) -> None:
        self._bus = bus
        self._lease = lease
        self._wall = wall
        # Times and entries, the next one first, and the bytes of the packed requests by entry.
        self._due: list[tuple[float, str]] = []
        self._sizes: dict[str, int] = {}
        self._bytes = 0
        self._wakeup = AutoResetEvent()

    def is_early(self, request: SendRequest) -> bool:
        """Return whether the time of a request is still to come."""
        return request.at is not None and request.at > self._wall()

    async def keep(self, request: SendRequest, fields: Mapping[bytes, bytes]) -> None:
        """Put a request aside. May be repeated. Raises SchemaError if too many wait, and BusError."""
        if request.at is None:
            return
        packed = msgpack.packb([float(request.at), _later_fields(request, fields)], use_bin_type=False)
        if len(self._sizes) >= MAX_SCHEDULED or self._bytes + len(packed) > MAX_SCHEDULED_BYTES:
            raise SchemaError(
                f"{len(self._sizes)} requests wait for their time already: give a later one without at"
            )
        keys = [self._bus.keys("ids:epoch"), self._bus.keys(KEY), self._bus.keys("outbound")]
        await self._bus.run_script("schedule", keys, [*self._lease.fence, GROUP, request.entry, packed])
        self._add(request.entry, request.at, len(packed))
        self._wakeup.set()

    def wake(self) -> None:
        """Let `run` notice a stop."""
        self._wakeup.set()

    async def run(self, stop: anyio.Event) -> None:
        """Append what is due until stopped. Raises Fenced."""
        # Another holder may have moved requests since.
        self._due, self._sizes, self._bytes = [], {}, 0
        with suppress(BusUnavailable):  # stopped while Redis is away
            await until_served(self._load, give_up=stop.is_set, sleep=self._wakeup.wait)
            while not stop.is_set():
                await until_served(self._release_due, give_up=stop.is_set, sleep=self._wakeup.wait)
                await self._wakeup.wait(TICK_SECONDS)

    async def _load(self) -> None:
        """Read when those are due that earlier processes have put aside."""
        cursor = b"0"
        while True:
            args = [cursor, _HEAD.size, _STEP]
            cursor, *rows = await self._bus.run_script("scheduled", [self._bus.keys(KEY)], args)
            for entry, size, head in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
                (at,) = _HEAD.unpack(head)
                self._add(entry.decode(), at, size)
            if cursor == b"0":
                return

    def _add(self, entry: str, at: float, size: int) -> None:
        if entry in self._sizes:
            return
        self._sizes[entry] = size
        self._bytes += size
        heapq.heappush(self._due, (at, entry))

    async def _release_due(self) -> None:
        while self._due and self._due[0][0] <= self._wall():
            _, entry = self._due[0]
            keys = [self._bus.keys("ids:epoch"), self._bus.keys(KEY), self._bus.keys("outbound")]
            if not await self._bus.run_script("release", keys, [*self._lease.fence, entry]):
                log.warning("the scheduled request %s is gone: Redis has lost it, or sent it before", entry)
            heapq.heappop(self._due)
            self._bytes -= self._sizes.pop(entry)


def _later_fields(request: SendRequest, fields: Mapping[bytes, bytes]) -> list[str | bytes]:
    """Return the fields to append when the time has come, names and values in turn."""
    later: dict[bytes, str | bytes] = {**unwrap(fields), b"id": request.id, b"scheduled": request.entry}
    del later[b"at"]
    if request.expires is not None:
        later[b"expires"] = timestamp(request.expires)
    return [item for pair in later.items() for item in pair]
