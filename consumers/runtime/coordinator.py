"""Coordinator of a partitioned group: the one member that reads new entries and assigns them.

Mechanism. As in Kafka, a chat is hashed to one of 64 partitions, and each partition has one owner. The
coordinator is the member that holds the key `leader`. It reads the stream with XREADGROUP under its own
name and hands each entry to the owner of its partition by XCLAIM into the owner's pending list, then
rings the owner's `bell:`. The owner reads its own pending list, handles the entries in order and
acknowledges them. Redis therefore holds the whole assignment in flight; the coordinator keeps only what
it has read and not yet handed out, and the moves under way. A coordinator that dies leaves nothing but
pending entries, which its successor assigns again, oldest first.

Rebalance. When members come or go, partitions move from those with many to those with few. New entries
of a moving partition are parked. The move ends when the owner has acknowledged everything up to the
barrier, the newest entry at the time of the decision. A member whose lease has ended has no say: its
partitions and pending entries are assigned again at once.

Invariants.
1. A partition has at most one owner, and `owners` is written before an entry goes to a new owner.
2. Entries of a partition enter one pending list in stream order. Where older ones are put in between
   (parked ones, those of a dead member), `again:` makes the owner load its whole pending list.
3. Every write and every XREADGROUP is one MULTI fenced by WATCH on `leader`: a coordinator that lost
   its lease can neither read nor assign.
4. An entry is in `_parked`, `_fresh` or `_again`, in the own dispatcher, or in an owner's pending list;
   in the first three cases it is still pending under the coordinator's name.

What breaks it. A coordinator waits with a plain XREAD: a blocked XREADGROUP could be served after its
lease had ended (3). Between deciding on a move and looking whether the owner is done lies one flush:
without it the owner would look done before it got what had been read for it (1). A handler that never
returns blocks the moves of its partitions only: they are aborted after REBALANCE_TIMEOUT. A paused
member that wakes up finishes what a handler has in hand; the stable ids of its replies keep that
harmless, and its expired lease keeps it from starting anything else.
"""

import asyncio
import logging
import time
from collections.abc import Container, Iterable, Sequence
from typing import Any, Final
from zlib import crc32

from redis.asyncio.client import Pipeline

from consumers.runtime.client import BusClient
from consumers.runtime.connection import BLOCK_MS
from consumers.runtime.consumer_group import ConsumerGroup, Pending, by_attempts, name_of
from consumers.runtime.dispatcher import KeyedDispatcher, WorkItem, chat_of
from consumers.runtime.membership import KEY_TTL, Membership
from consumers.runtime.replies import Entry, entries_of, entry_key, only_stream

log = logging.getLogger("qqbus.worker")

# Fine enough to share the work of dozens of processes, few enough to be scanned at once.
PARTITIONS: Final = 64
# Entries. While one member has more unfinished, no member gets new ones: the stream has one front.
MAX_IN_FLIGHT: Final = 2_000
# Entries in one read: each member gets a batch that is worth a round trip.
BATCH: Final = 1_000
# Entries held back while partitions move. With more, the moves are aborted.
MAX_PARKED: Final = 1_000
# Seconds between two looks at the members.
CHECK_INTERVAL: Final = 1.0
# Seconds between two looks at a partition that moves: its chats wait.
MOVE_CHECK_INTERVAL: Final = 0.05
# Seconds. A partition moves when its owner has no older entry of it in flight. An owner that finishes
# nothing for this long is blocked in a handler that may take minutes: the partition stays.
REBALANCE_TIMEOUT: Final = 5.0
# Seconds without moves after an aborted one.
_REBALANCE_PAUSE: Final = 10.0
# Pending entries. An owner with this many has some in most of its partitions: not worth asking which.
_MANY_PENDING: Final = 100


def partition_of(fields: Sequence[bytes]) -> int:
    """Return the partition of an entry: all events of one chat share one."""
    return crc32(chat_of(fields)) % PARTITIONS


class Coordinator:
    """Reads, assigns and watches the members. Lives as long as this member leads."""

    def __init__(
        self, client: BusClient, group: ConsumerGroup, membership: Membership, dispatcher: KeyedDispatcher
    ) -> None:
        self._client = client.client
        self._reader = client.reader
        self._ack_pending = client.writer.ack_pending
        self._group = group
        self._membership = membership
        self._dispatcher = dispatcher
        self._owners: dict[int, str] = {}
        self._live: set[str] = set()
        # Partition -> next owner, and the newest entry when the moves were decided.
        self._moves: dict[int, str] = {}
        self._barrier = ""
        # Owner -> what it had unfinished up to the barrier, and since when it is just that.
        self._unfinished: dict[str, tuple[list[str], float]] = {}
        self._partition_cache: dict[str, int] = {}
        self._parked: list[Entry] = []
        # Owner -> entries to hand out: never started, and those that may be older than what it has.
        self._fresh: dict[str, list[str]] = {}
        self._again: dict[str, list[str]] = {}
        self._pending: dict[str, int] = {}
        self._checked_at = 0.0
        self._paused_until = 0.0
        self.dealt = 0

    async def start(self) -> None:
        """Load the owners, and assign again what the former coordinator and dead members left."""
        rows: Any = await self._client.hgetall(self._membership.key("owners"))
        self._owners = {int(partition): owner.decode() for partition, owner in rows.items()}
        self._group.newest = await self._group.last_delivered()
        self._live, _ = await self._membership.live_members()
        await self._reassign()
        self._checked_at = time.monotonic()

    async def poll(self) -> None:
        """Hand out, read what is new, and wait if there is nothing."""
        # In this order: the flush must lie between deciding on a move and its first check.
        if self._moves:
            await self._rebalance()
        if time.monotonic() >= self._checked_at + CHECK_INTERVAL:
            await self._check_members()
        count = self._read_count()
        handed_out = bool(self._fresh or self._again)
        entries = await self._flush_and_read(count)
        for entry in entries:
            self._dispatch(entry)
        if entries or handed_out or self._fresh or self._again:
            return
        if not count and self._dispatcher.active > BATCH:
            await self._dispatcher.wait_below(BATCH, MOVE_CHECK_INTERVAL)
        elif not count:
            # A member rings no bell here when it has fewer entries again.
            await asyncio.sleep(MOVE_CHECK_INTERVAL)
        elif self._moves:
            await self._wait_for_entries(int(MOVE_CHECK_INTERVAL * 1000))
        else:
            await self._wait_for_entries(BLOCK_MS)

    # --- assignment ----------------------------------------------------------------------------

    def _read_count(self) -> int:
        if len(self._parked) >= MAX_PARKED:
            self._abort_rebalance(list(self._moves))
        crowded = any(self._pending.get(name, 0) > MAX_IN_FLIGHT for name in self._live)
        return 0 if crowded or self._dispatcher.active > BATCH else BATCH

    def _dispatch(self, entry: Entry) -> None:
        ident, fields = entry
        self._group.newest = ident
        partition = partition_of(fields)
        owner = self._owners[partition]
        if partition in self._moves:
            self._parked.append(entry)
        elif owner == self._membership.consumer:
            self._dispatcher.submit((WorkItem(ident, fields),))
        else:
            self._fresh.setdefault(owner, []).append(ident)

    async def _flush_and_read(self, count: int) -> list[Entry]:
        """Hand out what is assigned and read up to `count` new entries, in one fenced step."""
        fresh, again = self._fresh, self._again
        group, dealt = self._group, sum(map(len, fresh.values()))

        def fill(pipe: Pipeline) -> None:
            for owner, ids in fresh.items():
                # Never started: the owner's own read will count as the first delivery.
                pipe.execute_command(*group.xclaim_args(owner, ids), "RETRYCOUNT", 0, "JUSTID")
            for owner, ids in again.items():
                pipe.execute_command(*group.xclaim_args(owner, ids), "JUSTID")
                pipe.set(self._membership.key(f"again:{owner}"), "1", ex=KEY_TTL)
            for owner in fresh.keys() | again.keys():
                pipe.rpush(self._membership.key(f"bell:{owner}"), "1")
                pipe.expire(self._membership.key(f"bell:{owner}"), KEY_TTL)
            pipe.execute_command("XPENDING", group.stream, group.name)
            if count:
                pipe.execute_command(*group.xreadgroup_args(count), "STREAMS", group.stream, ">")

        replies = await self._membership.fenced(fill)
        self._fresh, self._again = {}, {}
        self.dealt += dealt
        summary = replies[-2 if count else -1]
        self._pending = {name_of(row[0]): int(row[1]) for row in summary[3] or ()}
        return entries_of(only_stream(replies[-1])) if count else []

    async def _wait_for_entries(self, milliseconds: int) -> None:
        args = ("XREAD", "COUNT", 1, "BLOCK", milliseconds, "STREAMS", self._group.stream, self._group.newest)
        await self._reader.execute_command(*args)  # type: ignore[no-untyped-call]

    # --- members -------------------------------------------------------------------------------

    async def _check_members(self) -> None:
        self._checked_at = time.monotonic()
        live, gone = await self._membership.live_members()
        if gone:
            await self._membership.evict(gone)
        await self._group.delete_idle_consumers()
        lost = self._live - live
        strangers = [name for name, number in self._pending.items() if number and name not in live]
        self._live = live
        if lost or strangers:
            await self._reassign()
        elif not self._moves and time.monotonic() >= self._paused_until:
            self._plan_rebalance()
            self._barrier = self._group.newest
            self._unfinished, self._partition_cache = {}, {}

    async def _reassign(self) -> None:
        """Assign again what no live member owns: entries of the dead, and those held back here."""
        self._moves, self._parked, self._fresh, self._again = {}, [], {}, {}
        await self._assign_orphans()
        me = self._membership.consumer
        summary = await self._client.execute_command("XPENDING", self._group.stream, self._group.name)  # type: ignore[no-untyped-call]
        names = [name_of(row[0]) for row in summary[3] or ()]
        dead = [name for name in names if name not in self._live and name != me]
        found: list[tuple[Pending, list[bytes]]] = []
        for name in [me, *dead]:
            found += await self._claim_all(name)
        for row, fields in sorted(found, key=lambda pair: entry_key(pair[0].entry)):
            owner = self._owners[partition_of(fields)]
            if owner == me:
                self._dispatcher.submit((WorkItem(row.entry, fields, row.attempts),))
            else:
                self._again.setdefault(owner, []).append(row.entry)
        for name in dead:
            log.warning("member %s is gone; other members own its chats now", name)

    async def _claim_all(self, name: str) -> list[tuple[Pending, list[bytes]]]:
        """Claim all that is pending for that consumer and unknown in this process."""
        known, ack_pending = self._dispatcher.in_flight, self._ack_pending
        rows = await self._group.pending(consumer=name)
        unknown = [row for row in rows if row.entry not in known and not ack_pending(row.entry)]
        found: list[tuple[Pending, list[bytes]]] = []
        for start in range(0, len(unknown), BATCH):
            found += await self._claim(unknown[start : start + BATCH])
        return found

    async def _claim(self, rows: Sequence[Pending]) -> list[tuple[Pending, list[bytes]]]:
        commands = [
            (*self._group.xclaim_args(self._membership.consumer, ids), "RETRYCOUNT", attempts)
            for attempts, ids in by_attempts(rows)
        ]
        replies = await self._membership.fenced(
            lambda pipe: [pipe.execute_command(*command) for command in commands]
        )
        fields = dict(entry for reply in replies for entry in entries_of(reply))
        return [(row, fields[row.entry]) for row in rows if row.entry in fields]

    # --- partitions ----------------------------------------------------------------------------

    async def _assign_orphans(self) -> None:
        """Give every partition without a live owner to the member with the fewest."""
        load = dict.fromkeys(sorted(self._live | {self._membership.consumer}), 0)
        orphans = []
        for partition in range(PARTITIONS):
            owner = self._owners.get(partition, "")
            if owner in load:
                load[owner] += 1
            else:
                orphans.append(partition)
        for partition in orphans:
            least = min(load, key=lambda name: load[name])
            self._owners[partition] = least
            load[least] += 1
        if orphans:
            await self._write_owners()

    def _plan_rebalance(self) -> None:
        """Decide which partitions move from members with many to members with few."""
        owned: dict[str, list[int]] = {name: [] for name in sorted(self._live)}
        for partition, owner in self._owners.items():
            owned.setdefault(owner, []).append(partition)
        while True:
            most = max(owned, key=lambda name: len(owned[name]))
            least = min(owned, key=lambda name: len(owned[name]))
            if len(owned[most]) - len(owned[least]) <= 1:
                return
            partition = owned[most].pop()
            owned[least].append(partition)
            self._moves[partition] = least

    async def _rebalance(self) -> None:
        """Finish the moves of partitions whose owner has acknowledged all up to the barrier."""
        moved, blocked = list[int](), list[int]()
        for owner in {self._owners[partition] for partition in self._moves}:
            args = (
                "XPENDING",
                self._group.stream,
                self._group.name,
                "-",
                self._barrier,
                _MANY_PENDING,
                owner,
            )
            rows: Any = await self._client.execute_command(*args)  # type: ignore[no-untyped-call]
            entries = [row[0].decode() for row in rows or ()]
            moving = [partition for partition in self._moves if self._owners[partition] == owner]
            busy = await self._partitions_of(entries)
            moved += [partition for partition in moving if partition not in busy]
            if self._is_blocked(owner, entries):
                blocked += [partition for partition in moving if partition in busy]
        for partition in moved:
            self._owners[partition] = self._moves.pop(partition)
        if moved:
            await self._write_owners()
            self._unpark()
        if blocked:
            self._abort_rebalance(blocked)

    async def _partitions_of(self, entries: Sequence[str]) -> Container[int]:
        """Return the partitions of these entries; all partitions where that is unknown."""
        if len(entries) >= _MANY_PENDING:
            return range(PARTITIONS)
        new = [entry for entry in entries if entry not in self._partition_cache]
        if new:
            async with self._client.pipeline(transaction=False) as pipe:
                for entry in new:
                    pipe.xrange(self._group.stream, entry, entry)
                replies: list[Any] = await pipe.execute()
            if not all(replies):
                # Trimmed, and a handler may have it all the same.
                return range(PARTITIONS)
            for entry, ((_, fields),) in zip(new, replies, strict=True):
                flat = [part for field in fields.items() for part in field]
                self._partition_cache[entry] = partition_of(flat)
        return {self._partition_cache[entry] for entry in entries}

    def _is_blocked(self, owner: str, entries: list[str]) -> bool:
        """Return whether this owner has finished none of these for REBALANCE_TIMEOUT."""
        unfinished, since = self._unfinished.get(owner, ([], 0.0))
        if unfinished != entries:
            since = time.monotonic()
            self._unfinished[owner] = entries, since
        return bool(entries) and time.monotonic() > since + REBALANCE_TIMEOUT

    def _abort_rebalance(self, partitions: Iterable[int]) -> None:
        log.warning("rebalance aborted: the owner of a partition is busy with one event for long")
        for partition in partitions:
            del self._moves[partition]
        self._paused_until = time.monotonic() + _REBALANCE_PAUSE
        self._unpark()

    def _unpark(self) -> None:
        parked, self._parked = self._parked, []
        me = self._membership.consumer
        for ident, fields in parked:
            partition = partition_of(fields)
            if partition in self._moves:
                self._parked.append((ident, fields))
            elif self._owners[partition] == me:
                self._dispatcher.submit((WorkItem(ident, fields),))
            else:
                self._again.setdefault(self._owners[partition], []).append(ident)

    async def _write_owners(self) -> None:
        key = self._membership.key("owners")
        owners: dict[Any, Any] = {str(partition): owner for partition, owner in self._owners.items()}
        await self._membership.fenced(
            lambda pipe: (pipe.hset(key, mapping=owners), pipe.expire(key, KEY_TTL))
        )
