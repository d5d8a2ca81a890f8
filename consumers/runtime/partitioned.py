"""Read from a partitioned group: one process at a time handles a chat, over any number of processes.

One member, the coordinator, reads the stream and assigns entries to the owners of 64 partitions (see
coordinator.py). The alternatives were tried or rejected:
- a lock for each chat excludes but does not order: with plain group reads 11 % of events overtook others;
- if every process reads everything and drops what it does not own, each pays for a full read;
- a stream for each partition needs a second copy of every event, and a contract beyond `qq:inbound`.

A partition changes its owner only when the owner has finished it or when the owner's lease has ended.
A member that is not sure of its lease starts nothing.
"""

import contextlib
import logging
from collections.abc import Container, Sequence
from typing import Any, Final

from consumers.runtime.client import BusClient
from consumers.runtime.connection import BLOCK_MS
from consumers.runtime.consumer_group import ConsumerGroup, Pending
from consumers.runtime.coordinator import Coordinator
from consumers.runtime.dispatcher import KeyedDispatcher, Prefetch, WorkItem
from consumers.runtime.membership import LeaseLost, Membership
from consumers.runtime.replies import entries_of, entry_key, only_stream

log = logging.getLogger("qqbus.worker")

# Entries in one read of what the coordinator assigned.
_READ_COUNT: Final = 500


class PartitionedSource:
    """Feeds the dispatcher of one process with the partitions that it owns.

    `session_timeout` is in seconds.
    """

    def __init__(
        self, client: BusClient, group: ConsumerGroup, dispatcher: KeyedDispatcher, session_timeout: float
    ) -> None:
        self._client = client
        self._group = group
        self._dispatcher = dispatcher
        self._membership = Membership(client, session_timeout)
        dispatcher.lease_valid = self._membership.valid
        self._coordinator: Coordinator | None = None
        self._prefetch = Prefetch(dispatcher.slots)
        self._last = "0-0"
        self._has_more = False
        self.claimed = 0

    async def recover(self) -> None:
        """Load what is pending here after a start, a lost connection or a lost lease."""
        await self._group.ensure()
        if not self._membership.valid():
            await self._rejoin()
            return
        self._coordinator = None
        # A coordinator may not own all that is pending under its name: `start` assigns it.
        if not self._membership.leading:
            await self._load_pending()

    async def poll(self) -> None:
        """Read once as coordinator or as member; takes as long as a blocking read at most."""
        try:
            await self._renew()
            if not self._membership.leading:
                await self._poll_member()
                return
            if self._coordinator is None:
                self._coordinator = Coordinator(self._client, self._group, self._membership, self._dispatcher)
                await self._coordinator.start()
            await self._coordinator.poll()
        except LeaseLost:
            log.warning("the lease ended: other members now own what was queued here; joining again")
            await self._rejoin()

    async def heartbeat(self) -> None:
        """Renew the lease while no new entries are taken."""
        with contextlib.suppress(LeaseLost):
            await self._renew()

    async def leave(self, unfinished: Sequence[Pending]) -> None:
        """Release the partitions and what was not finished."""
        if self._membership.valid():
            await self._group.release(unfinished, self._client.writer.unacknowledged)
        with contextlib.suppress(LeaseLost):
            await self._membership.leave()

    async def _renew(self) -> None:
        if self._membership.heartbeat_due:
            if not self._membership.valid():
                raise LeaseLost
            await self._membership.heartbeat()

    async def _rejoin(self) -> None:
        """Join under a new name: all that the former one had not started goes to others."""
        self._dispatcher.revoke()
        self._coordinator = None
        self._last = "0-0"
        await self._membership.join()
        self._group.consumer = self._membership.consumer

    async def _poll_member(self) -> None:
        room = min(self._prefetch.available(self._dispatcher.active), _READ_COUNT)
        if room <= 0:
            if not await self._dispatcher.wait_below(self._prefetch.limit // 2, BLOCK_MS / 1000):
                self._prefetch.shrink()
            return
        if not self._has_more:
            bell = self._membership.key(f"bell:{self._membership.consumer}")
            await self._client.reader.blpop([bell], timeout=BLOCK_MS / 1000)
        self._has_more = await self._read_assigned(room) == room

    async def _read_assigned(self, room: int) -> int:
        """Read what was assigned since; all of it again if older entries were put in between."""
        group, key = self._group, self._membership.key
        async with self._client.client.pipeline(transaction=True) as pipe:
            pipe.delete(key(f"bell:{group.consumer}"))
            pipe.getdel(key(f"again:{group.consumer}"))
            pipe.execute_command(*group.xreadgroup_args(room), "STREAMS", group.stream, self._last)
            replies: list[Any] = await pipe.execute()
        rows = only_stream(replies[2])
        if replies[1]:
            await self._load_pending({row[0].decode() for row in rows})
            return 0
        entries = entries_of(rows)
        if len(entries) < len(rows):
            self._ack_trimmed([row[0].decode() for row in rows if not row[1]])
        if rows:
            self._last = self._group.newest = rows[-1][0].decode()
        self._prefetch.grow(len(rows), room, self._dispatcher.active)
        self._dispatcher.submit([WorkItem(*entry) for entry in entries])
        return len(rows)

    def _ack_trimmed(self, entries: list[str]) -> None:
        log.error("%d entries were trimmed before a handler got them", len(entries))
        for entry in entries:
            self._client.writer.ack(entry)

    async def _load_pending(self, seen: Container[str] = ()) -> None:
        for row, fields in await self._group.load_pending(self._is_known, seen):
            self._dispatcher.submit([WorkItem(row.entry, fields, row.attempts)])
            self.claimed += 1
            if entry_key(row.entry) > entry_key(self._last):
                self._last = row.entry

    def _is_known(self, entry: str) -> bool:
        return entry in self._dispatcher.in_flight or self._client.writer.ack_pending(entry)
