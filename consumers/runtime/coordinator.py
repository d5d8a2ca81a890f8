"""The leader of the lanes: the only one who reads new entries, and gives each to the owner of its lane.

An entry is given by XCLAIM into the owner's pending list, so the group itself holds all that is known of
who has what: a leader that dies leaves nothing behind but pending entries, and its successor deals them
out again, oldest first. Every step is fenced by the leader's key.
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
from consumers.runtime.consumer_group import ConsumerGroup, Entry, Pending, entries_of, only_stream
from consumers.runtime.dispatcher import KeyedDispatcher, WorkItem, chat_of, entry_key
from consumers.runtime.membership import KEPT, Membership

log = logging.getLogger("qqbus.worker")

# Fine enough to share the work of dozens of processes, few enough to be looked through at once.
PARTITIONS: Final = 64
# A member with so much unfinished work gets no more, and nor does anybody: one stream, one front.
MAX_IN_FLIGHT: Final = 2_000
# Large enough that each member gets a batch worth a trip.
BATCH: Final = 1_000
# Entries held back while a lane moves. More than that, and the lane stays where it is.
MOST_PARKED: Final = 1_000
# How often the peers are looked at, in parts of a second; and how soon a lane that moves is asked for.
CHECK_INTERVAL: Final = 1.0
MOVE_LOOK: Final = 0.05
# A lane that moves waits for what its owner has in it. A handler that asks somebody, a page or a model, may
# take seconds, and the chats of its lane wait no longer than it does. What takes longer than this may take
# minutes: the lane stays. Only an owner that gets nothing done for so long is stuck; one with much to do gets
# on, and is the one to be relieved.
_REBALANCE_TIMEOUT: Final = 5.0
# After that, or with too much parked, no lane moves for so long.
_CALM: Final = 10.0
# With so much unfinished an owner has something to do in most of its lanes: not worth asking in which.
_MANY: Final = 100


def partition_of(fields: Sequence[bytes]) -> int:
    """The lane of an entry: all events of one chat are in one."""
    return crc32(chat_of(fields)) % PARTITIONS


class Coordinator:
    """Reads, deals out, and watches over the members. Lives as long as the lead does."""

    def __init__(
        self, office: BusClient, group: ConsumerGroup, membership: Membership, chats: KeyedDispatcher
    ) -> None:
        self._client = office.client
        self._reader = office.reader
        self._is_leaving = office.outlet.ack_pending
        self._group = group
        self._membership = membership
        self._chats = chats
        self._owners: dict[int, str] = {}
        self._live: set[str] = set()
        self._moves: dict[int, str] = {}
        self._barrier = ""
        self._undone: dict[str, tuple[list[str], float]] = {}
        self._lanes: dict[str, int] = {}
        self._parked: list[Entry] = []
        self._fresh: dict[str, list[str]] = {}
        self._again: dict[str, list[str]] = {}
        self._pending: dict[str, int] = {}
        self._tended = 0.0
        self._calm_until = 0.0
        self.dealt = 0

    async def start(self) -> None:
        """Learn who owns what, and deal out again what the former leader and the dead left."""
        rows: Any = await self._client.hgetall(self._membership.key("owners"))
        self._owners = {int(lane): owner.decode() for lane, owner in rows.items()}
        self._group.newest = await self._group.last_delivered()
        self._live, _ = await self._membership.live_members()
        await self._reassign()
        self._tended = time.monotonic()

    async def poll(self) -> None:
        """One round: hand out, read what is new, and when there is nothing, wait for it."""
        # In this order: between what decides on a move and the first look whether the owner is done there
        # is a trip, which gives the owner what had been read for it. Until then it looks done and is not.
        if self._moves:
            await self._rebalance()
        if time.monotonic() >= self._tended + CHECK_INTERVAL:
            await self._check_members()
        count = self._room()
        given = bool(self._fresh or self._again)
        entries = await self._flush_and_read(count)
        for entry in entries:
            self._dispatch(entry)
        if entries or given or self._fresh or self._again:
            return
        if not count and len(self._chats.in_flight) > BATCH:
            await self._chats.wait_below(BATCH, MOVE_LOOK)
        elif not count:
            # A member that has too much rings no bell here when it has less.
            await asyncio.sleep(MOVE_LOOK)
        elif self._moves:
            await self._wait(int(MOVE_LOOK * 1000))
        else:
            await self._wait(BLOCK_MS)

    # --- dealing -------------------------------------------------------------------------------

    def _room(self) -> int:
        if len(self._parked) >= MOST_PARKED:
            self._abort_rebalance(list(self._moves))
        crowded = any(self._pending.get(name, 0) > MAX_IN_FLIGHT for name in self._live)
        return 0 if crowded or len(self._chats.in_flight) > BATCH else BATCH

    def _dispatch(self, entry: Entry) -> None:
        ident, fields = entry
        self._group.newest = ident
        lane = partition_of(fields)
        owner = self._owners[lane]
        if lane in self._moves:
            self._parked.append(entry)
        elif owner == self._membership.consumer:
            self._chats.submit((WorkItem(ident, fields),))
        else:
            self._fresh.setdefault(owner, []).append(ident)

    async def _flush_and_read(self, count: int) -> list[Entry]:
        """What is to be handed out leaves, and what is new comes, in one fenced step."""
        fresh, again = self._fresh, self._again
        group, dealt = self._group, sum(map(len, fresh.values()))

        def fill(pipe: Pipeline) -> None:
            for owner, ids in fresh.items():
                # Nobody has begun these: the owner's own reading will count as the first time.
                pipe.execute_command(*group.xclaim_args(owner, ids), "RETRYCOUNT", 0, "JUSTID")
            for owner, ids in again.items():
                pipe.execute_command(*group.xclaim_args(owner, ids), "JUSTID")
                pipe.set(self._membership.key(f"again:{owner}"), "1", ex=KEPT)
            for owner in fresh.keys() | again.keys():
                pipe.rpush(self._membership.key(f"bell:{owner}"), "1")
                pipe.expire(self._membership.key(f"bell:{owner}"), KEPT)
            pipe.execute_command("XPENDING", group.stream, group.name)
            if count:
                pipe.execute_command(*group.xreadgroup_args(count), "STREAMS", group.stream, ">")

        answers = await self._membership.fenced(fill)
        self._fresh, self._again = {}, {}
        self.dealt += dealt
        summary = answers[-2 if count else -1]
        self._pending = {row[0].decode(): int(row[1]) for row in summary[3] or ()}
        return entries_of(only_stream(answers[-1])) if count else []

    async def _wait(self, milliseconds: int) -> None:
        # A blocked XREADGROUP could still be given entries after the lead is lost; a plain read cannot.
        line = ("XREAD", "COUNT", 1, "BLOCK", milliseconds, "STREAMS", self._group.stream, self._group.newest)
        await self._reader.execute_command(*line)  # type: ignore[no-untyped-call]

    # --- members -------------------------------------------------------------------------------

    async def _check_members(self) -> None:
        self._tended = time.monotonic()
        live, gone = await self._membership.live_members()
        if gone:
            await self._membership.evict(gone)
        await self._group.delete_idle_consumers()
        lost = self._live - live
        strangers = [name for name, number in self._pending.items() if number and name not in live]
        self._live = live
        if lost or strangers:
            await self._reassign()
        elif not self._moves and time.monotonic() >= self._calm_until:
            self._plan_rebalance()
            self._barrier = self._group.newest
            self._undone, self._lanes = {}, {}

    async def _reassign(self) -> None:
        """Deal out again what nobody alive has in hand: of the dead, and what was held back here."""
        self._moves, self._parked, self._fresh, self._again = {}, [], {}, {}
        await self._assign_orphans()
        me = self._membership.consumer
        summary = await self._client.execute_command("XPENDING", self._group.stream, self._group.name)  # type: ignore[no-untyped-call]
        names = [row[0].decode() for row in summary[3] or ()]
        dead = [name for name in names if name not in self._live and name != me]
        found: list[tuple[Pending, list[bytes]]] = []
        for name in [me, *dead]:
            found += await self._claim_all(name)
        for row, fields in sorted(found, key=lambda pair: entry_key(pair[0].entry)):
            owner = self._owners[partition_of(fields)]
            if owner == me:
                self._chats.submit((WorkItem(row.entry, fields, row.begun),))
            else:
                self._again.setdefault(owner, []).append(row.entry)
        for name in dead:
            log.warning("%s is gone; its chats have others now", name)

    async def _claim_all(self, name: str) -> list[tuple[Pending, list[bytes]]]:
        """All that is pending for that consumer and not in hand here; it is this one's now."""
        held, leaving = self._chats.in_flight, self._is_leaving
        rows = await self._group.pending(consumer=name)
        unknown = [row for row in rows if row.entry not in held and not leaving(row.entry)]
        found: list[tuple[Pending, list[bytes]]] = []
        for start in range(0, len(unknown), BATCH):
            found += await self._fetch(unknown[start : start + BATCH])
        return found

    async def _fetch(self, rows: Sequence[Pending]) -> list[tuple[Pending, list[bytes]]]:
        lines = [
            (*self._group.xclaim_args(self._membership.consumer, ids), "RETRYCOUNT", begun)
            for begun, ids in _by_count(rows)
        ]
        if not lines:
            return []
        answers = await self._membership.fenced(lambda pipe: [pipe.execute_command(*line) for line in lines])
        fields = dict(entry for answer in answers for entry in entries_of(answer))
        return [(row, fields[row.entry]) for row in rows if row.entry in fields]

    # --- lanes ---------------------------------------------------------------------------------

    async def _assign_orphans(self) -> None:
        """Give every lane without a living owner to whoever has fewest."""
        load = dict.fromkeys(sorted(self._live | {self._membership.consumer}), 0)
        orphans = []
        for lane in range(PARTITIONS):
            owner = self._owners.get(lane, "")
            if owner in load:
                load[owner] += 1
            else:
                orphans.append(lane)
        for lane in orphans:
            poorest = min(load, key=lambda name: load[name])
            self._owners[lane] = poorest
            load[poorest] += 1
        if orphans:
            await self._write_owners()

    def _plan_rebalance(self) -> None:
        """Let lanes move from those who have many to those who have few."""
        lanes: dict[str, list[int]] = {name: [] for name in sorted(self._live)}
        for lane, owner in self._owners.items():
            lanes.setdefault(owner, []).append(lane)
        while True:
            richest = max(lanes, key=lambda name: len(lanes[name]))
            poorest = min(lanes, key=lambda name: len(lanes[name]))
            if len(lanes[richest]) - len(lanes[poorest]) <= 1:
                return
            lane = lanes[richest].pop()
            lanes[poorest].append(lane)
            self._moves[lane] = poorest

    async def _rebalance(self) -> None:
        """Finish the moves of lanes in which their owners have done all that came before."""
        moved, stuck = list[int](), list[int]()
        for owner in {self._owners[lane] for lane in self._moves}:
            line = ("XPENDING", self._group.stream, self._group.name, "-", self._barrier, _MANY, owner)
            rows: Any = await self._client.execute_command(*line)  # type: ignore[no-untyped-call]
            entries = [row[0].decode() for row in rows or ()]
            lanes = [lane for lane in self._moves if self._owners[lane] == owner]
            busy = await self._lanes_of(entries)
            moved += [lane for lane in lanes if lane not in busy]
            if self._is_blocked(owner, entries):
                stuck += [lane for lane in lanes if lane in busy]
        for lane in moved:
            self._owners[lane] = self._moves.pop(lane)
        if moved:
            await self._write_owners()
            self._unpark()
        if stuck:
            self._abort_rebalance(stuck)

    async def _lanes_of(self, entries: Sequence[str]) -> Container[int]:
        """The lanes in which somebody has these to do; all lanes, where it cannot be told."""
        if len(entries) >= _MANY:
            return range(PARTITIONS)
        new = [entry for entry in entries if entry not in self._lanes]
        if new:
            async with self._client.pipeline(transaction=False) as pipe:
                for entry in new:
                    pipe.xrange(self._group.stream, entry, entry)
                answers: list[Any] = await pipe.execute()
            if not all(answers):
                # Trimmed, and perhaps in somebody's hands all the same.
                return range(PARTITIONS)
            for entry, ((_, fields),) in zip(new, answers, strict=True):
                self._lanes[entry] = partition_of([part for field in fields.items() for part in field])
        return {self._lanes[entry] for entry in entries}

    def _is_blocked(self, owner: str, entries: list[str]) -> bool:
        """Whether it has had just these to do for too long."""
        undone, since = self._undone.get(owner, ([], 0.0))
        if undone != entries:
            since = time.monotonic()
            self._undone[owner] = entries, since
        return bool(entries) and time.monotonic() > since + _REBALANCE_TIMEOUT

    def _abort_rebalance(self, lanes: Iterable[int]) -> None:
        log.warning("a lane cannot move: its owner is busy with one event for long")
        for lane in lanes:
            del self._moves[lane]
        self._calm_until = time.monotonic() + _CALM
        self._unpark()

    def _unpark(self) -> None:
        parked, self._parked = self._parked, []
        me = self._membership.consumer
        for ident, fields in parked:
            lane = partition_of(fields)
            if lane in self._moves:
                self._parked.append((ident, fields))
            elif self._owners[lane] == me:
                self._chats.submit((WorkItem(ident, fields),))
            else:
                self._again.setdefault(self._owners[lane], []).append(ident)

    async def _write_owners(self) -> None:
        key = self._membership.key("owners")
        await self._membership.fenced(
            lambda pipe: (
                pipe.hset(key, mapping={str(lane): owner for lane, owner in self._owners.items()}),
                pipe.expire(key, KEPT),
            )
        )


def _by_count(rows: Iterable[Pending]) -> list[tuple[int, list[str]]]:
    counts: dict[int, list[str]] = {}
    for row in rows:
        counts.setdefault(row.begun, []).append(row.entry)
    return list(counts.items())
