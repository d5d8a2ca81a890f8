"""Lanes: the events of one chat are handled by one process at a time, in order, over any number of processes.

Why a leader that deals out, and not one of the other ways:
- a lock for each chat excludes but does not order: with plain group reading 11 % of events overtook others;
- every process reading everything and dropping what is not its own costs a full read for each process;
- streams for each partition would need a second copy of every event and a contract beyond `qq:inbound`.
Here one member reads and hands entry ids to the owners of 64 lanes; a lane changes hands only when its
owner has finished it, or when the owner's lease has ended. Who is not sure of its lease begins nothing.
"""

import asyncio
import contextlib
import logging
from collections.abc import Container, Sequence
from typing import Any, Final

from consumers.runtime.client import BusClient
from consumers.runtime.connection import BLOCK_MS
from consumers.runtime.consumer_group import ConsumerGroup, entries_of, only_stream
from consumers.runtime.coordinator import Coordinator
from consumers.runtime.dispatcher import KeyedDispatcher, Prefetch, WorkItem, entry_key
from consumers.runtime.membership import LeaseLost, Membership

log = logging.getLogger("qqbus.worker")

# A member reads its inbox in pieces of this size.
_INBOX: Final = 500


class PartitionedSource:
    """Feeds the chats of one process with the lanes that it owns."""

    def __init__(self, office: BusClient, group: ConsumerGroup, chats: KeyedDispatcher, lease: float) -> None:
        self._office = office
        self._group = group
        self._chats = chats
        self._membership = Membership(office, lease)
        chats.lease_valid = self._membership.valid
        self._leader: Coordinator | None = None
        self._ahead = Prefetch(chats.slots)
        self._last = "0-0"
        self._more = False
        self.claimed = 0

    async def recover(self) -> None:
        """After a start, a lost connection or a lost lease."""
        await self._group.ensure()
        if not self._membership.valid():
            await self._rejoin()
            return
        self._leader = None
        # What a leader has in its pending list is not all its own: taking office deals it out.
        if not self._membership.leading:
            await self._take_mine()

    async def poll(self) -> None:
        """One round, as long as a blocking read at most."""
        try:
            await self._renew()
            if not self._membership.leading:
                await self._member_step()
                return
            if self._leader is None:
                self._leader = Coordinator(self._office, self._group, self._membership, self._chats)
                await self._leader.start()
            await self._leader.poll()
        except LeaseLost:
            log.warning("the lease ended: what was in hand has others now")
            await self._rejoin()

    async def heartbeat(self) -> None:
        """Renew the lease while nothing new is taken."""
        with contextlib.suppress(LeaseLost):
            await self._renew()

    async def _renew(self) -> None:
        if self._membership.heartbeat_due:
            if not self._membership.valid():
                raise LeaseLost
            await self._membership.heartbeat()

    async def leave(self, unfinished: Sequence[tuple[str, int]]) -> None:
        """Let the others have the lanes, and what was not finished, at once."""
        if self._membership.valid():
            await self._group.release(unfinished)
        with contextlib.suppress(LeaseLost):
            await self._membership.leave()

    async def _rejoin(self) -> None:
        """Under a new name: all that the former one had not begun is for the others."""
        self._chats.revoke()
        self._leader = None
        self._last = "0-0"
        await self._membership.join()
        self._group.consumer = self._membership.consumer

    # --- the inbox -----------------------------------------------------------------------------

    async def _member_step(self) -> None:
        room = min(self._ahead.available(len(self._chats.in_flight)), _INBOX)
        if room <= 0:
            if not await self._chats.wait_below(self._ahead.limit // 2, BLOCK_MS / 1000):
                self._ahead.shrink()
            return
        if not self._more:
            bell = self._membership.key(f"bell:{self._membership.consumer}")
            await self._office.reader.blpop([bell], timeout=BLOCK_MS / 1000)
        self._more = await self._read_inbox(room) == room

    async def _read_inbox(self, room: int) -> int:
        """What was dealt to us since; all of it anew where older entries have been put in between."""
        group, key = self._group, self._membership.key
        async with self._office.client.pipeline(transaction=True) as pipe:
            pipe.delete(key(f"bell:{group.consumer}"))
            pipe.getdel(key(f"again:{group.consumer}"))
            pipe.execute_command(*group.xreadgroup_args(room), "STREAMS", group.stream, self._last)
            answers: list[Any] = await pipe.execute()
        rows = only_stream(answers[2])
        if answers[1]:
            await self._take_mine({row[0].decode() for row in rows})
            return 0
        entries = entries_of(rows)
        if len(entries) < len(rows):
            await self._drop_deleted([row[0].decode() for row in rows if not row[1]])
        if rows:
            self._last = self._group.newest = rows[-1][0].decode()
        self._ahead.grow(len(rows), room, len(self._chats.in_flight))
        self._chats.submit([WorkItem(*entry) for entry in entries])
        return len(rows)

    async def _drop_deleted(self, entries: list[str]) -> None:
        log.error("%d entries were trimmed before anybody had handled them", len(entries))
        for entry in entries:
            self._office.outlet.ack(entry)
        await asyncio.sleep(0)

    async def _take_mine(self, seen: Container[str] = ()) -> None:
        for row, fields in await self._group.load_pending(self._known, seen):
            self._chats.submit([WorkItem(row.entry, fields, row.begun)])
            self.claimed += 1
            if entry_key(row.entry) > entry_key(self._last):
                self._last = row.entry

    def _known(self, entry: str) -> bool:
        return entry in self._chats.in_flight or self._office.outlet.ack_pending(entry)
