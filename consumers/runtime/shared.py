"""Read from a plain consumer group, where any process may get the next entry.

XAUTOCLAIM takes over what dead peers left. Events of one chat are in order within a process, not
across processes: that takes `partitioned=True`.
"""

import time
from collections.abc import Sequence
from typing import Final

from consumers.runtime.client import BusClient
from consumers.runtime.connection import BLOCK_MS
from consumers.runtime.consumer_group import READ_COUNT, ConsumerGroup, Pending
from consumers.runtime.dispatcher import KeyedDispatcher, Prefetch, WorkItem
from consumers.runtime.tasks import let_others_go_first

# Looks at the peers within `claim_after`: one may fail, and the own entries still stay young enough.
_CHECKS: Final = 3


class SharedSource:
    """Feeds the dispatcher of one process from the group. `claim_after` is in seconds."""

    def __init__(
        self, client: BusClient, group: ConsumerGroup, dispatcher: KeyedDispatcher, claim_after: float
    ) -> None:
        self._client = client
        self._group = group
        self._dispatcher = dispatcher
        self._claim_after = claim_after
        self._prefetch = Prefetch(dispatcher.slots)
        self._next_check = 0.0
        # Entries in flight are touched between two reads, before a peer may claim them.
        self._block_ms = min(BLOCK_MS, int(claim_after * 1000 / _CHECKS))
        self.claimed = 0

    async def recover(self) -> None:
        """Load what is pending for this consumer: replies may have been lost."""
        await self._group.ensure()
        self._next_check = 0.0
        await self._load_pending()

    async def poll(self) -> None:
        """Read once; takes as long as a blocking read at most."""
        await self._check_peers()
        room = min(self._prefetch.available(self._dispatcher.active), READ_COUNT)
        if room <= 0:
            if not await self._dispatcher.wait_below(self._prefetch.limit // 2, self._block_ms / 1000):
                self._prefetch.shrink()
            return
        entries = await self._group.read_new(room, self._block_ms)
        self._prefetch.grow(len(entries), room, self._dispatcher.active)
        self._dispatcher.submit([WorkItem(*entry) for entry in entries])
        if entries:
            await let_others_go_first()

    async def heartbeat(self) -> None:
        """Keep peers from claiming what is in flight."""
        await self._group.touch(self._dispatcher.in_flight)

    async def leave(self, unfinished: Sequence[Pending]) -> None:
        """Release unfinished entries to the peers and delete this consumer."""
        await self._group.release(unfinished, self._client.writer.unacknowledged)
        await self._group.delete_consumer()

    async def _check_peers(self) -> None:
        now = time.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + self._claim_after / _CHECKS
        in_flight = self._dispatcher.in_flight
        if in_flight:
            await self._group.touch(in_flight)
        if self._dispatcher.active < READ_COUNT and await self._group.autoclaim(
            int(self._claim_after * 1000)
        ):
            await self._load_pending()
            self._next_check = now  # there may be more
        else:
            await self._group.delete_idle_consumers()

    async def _load_pending(self) -> None:
        for row, fields in await self._group.load_pending(self._is_known):
            self._dispatcher.submit([WorkItem(row.entry, fields, row.attempts)])
            self.claimed += 1

    def _is_known(self, entry: str) -> bool:
        return entry in self._dispatcher.in_flight or self._client.writer.ack_pending(entry)
