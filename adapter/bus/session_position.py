"""Session position: where the network's session goes on, for the adapter that takes over on another machine.

It is written once all events before it are in Redis: the successor resumes behind them, and ids drop what the
former holder has published as well. A position that lags costs a replay, never an event. A session that is
not known at all would be lost without a gap: the first position of each is written at once.
"""

from collections.abc import Callable, Mapping
from typing import Final

import anyio

from adapter.aio import AutoResetEvent, periodic
from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.bus.spool.publisher import DurablePublisher

KEY: Final = "ids:position"
# Seconds between two writes: what a successor replays.
INTERVAL_SECONDS: Final = 0.5

Position = Mapping[str, str]


async def read_position(bus: Bus) -> Position:
    """Return what the last lease holder has written; {} if nothing. Raises BusUnavailable."""
    row = await bus.hgetall(bus.keys(KEY))
    return {name: value.decode("utf-8", "replace") for name, value in row.items()}


class PositionWriter:
    """The service that keeps the position in Redis. `read` returns it behind what is on disk, or {}.

    `begun` is set when another session has begun.
    """

    def __init__(
        self,
        bus: Bus,
        lease: Lease,
        publisher: DurablePublisher,
        read: Callable[[], Position],
        begun: AutoResetEvent,
    ) -> None:
        self._bus = bus
        self._lease = lease
        self._publisher = publisher
        self._read = read
        self._written: Position = {}
        self._wakeup = begun

    async def run(self, stop: anyio.Event) -> None:
        """Write each change until stopped, and the last one then. Raises BusUnavailable and Fenced."""
        await periodic(self.write, seconds=INTERVAL_SECONDS, wakeup=self._wakeup, stop=stop)
        await self.write()

    def wake(self) -> None:
        """Let `run` notice that it was stopped."""
        self._wakeup.set()

    async def write(self) -> None:
        """Publish all events before the position, and write it if it has changed."""
        position = self._read()
        if not position or position == self._written:
            return
        if self._publisher.unsent_bytes():
            await self._publisher.drain()
        rows = [(name, value.encode()) for name, value in position.items()]
        await self._bus.replace_hash(self._lease.fence, self._bus.keys(KEY), rows, 0)
        self._written = position
