"""A plain consumer group: whoever asks gets the next entries; what dead peers leave is claimed after a while.

Events of one chat are in order within a process, not across processes: for that there are lanes.
"""

import time
from collections.abc import Sequence
from typing import Final

from consumers.runtime.client import BusClient
from consumers.runtime.connection import BLOCK_MS
from consumers.runtime.consumer_group import READ, ConsumerGroup
from consumers.runtime.dispatcher import KeyedDispatcher, Prefetch, WorkItem

# Looked for so often within the time after which an entry counts as left behind.
_LOOKS: Final = 3


class SharedSource:
    """Feeds the chats of one process from the group."""

    def __init__(
        self, office: BusClient, group: ConsumerGroup, chats: KeyedDispatcher, claim_after: float
    ) -> None:
        self._office = office
        self._group = group
        self._chats = chats
        self._claim_after = claim_after
        self._ahead = Prefetch(chats.slots)
        self._look = 0.0
        # What is in hand has to be touched before a peer may take it for left behind.
        self._block = min(BLOCK_MS, int(claim_after * 1000 / _LOOKS))
        self.claimed = 0

    async def recover(self) -> None:
        """After a start or a lost connection: first what is pending for this very consumer."""
        await self._group.ensure()
        self._look = 0.0
        await self._take_mine()

    async def poll(self) -> None:
        """One round, as long as a blocking read at most."""
        await self._look_after_peers()
        room = min(self._ahead.available(len(self._chats.in_flight)), READ)
        if room <= 0:
            if not await self._chats.wait_below(self._ahead.limit // 2, self._block / 1000):
                self._ahead.shrink()
            return
        entries = await self._group.read_new(room, self._block)
        self._ahead.grow(len(entries), room, len(self._chats.in_flight))
        self._chats.submit([WorkItem(*entry) for entry in entries])

    async def heartbeat(self) -> None:
        """Keep what is in hand while nothing new is taken."""
        await self._group.touch(self._chats.in_flight)

    async def leave(self, unfinished: Sequence[tuple[str, int]]) -> None:
        """Give back what was not finished, at once, and take the consumer's name out of the group."""
        await self._group.release(unfinished)
        await self._group.delete_consumer()

    async def _look_after_peers(self) -> None:
        """Claim what dead peers left, also while nothing new arrives; and keep what is in hand here."""
        now = time.monotonic()
        if now < self._look:
            return
        self._look = now + self._claim_after / _LOOKS
        if self._chats.in_flight:
            await self._group.touch(self._chats.in_flight)
        if len(self._chats.in_flight) < READ and await self._group.autoclaim(int(self._claim_after * 1000)):
            await self._take_mine()
            self._look = now  # there may be more
        else:
            await self._group.delete_idle_consumers()

    async def _take_mine(self) -> None:
        for row, fields in await self._group.load_pending(self._known):
            self._chats.submit([WorkItem(row.entry, fields, row.begun)])
            self.claimed += 1

    def _known(self, entry: str) -> bool:
        return entry in self._chats.in_flight or self._office.outlet.ack_pending(entry)
