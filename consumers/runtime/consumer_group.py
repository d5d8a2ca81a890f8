"""Commands of one consumer in the consumer group of `qq:inbound`.

They stay within the rights of the role `worker`. None is repeated here: the caller knows what may be.
"""

import logging
import time
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, Final, NamedTuple

from redis.exceptions import ResponseError

from adapter import DeadLetter, encode_dead_letter
from consumers.runtime.client import BusClient
from consumers.runtime.replies import Entry, entries_of, entry_key, mapping_of, only_stream

log = logging.getLogger("qqbus.worker")

# Entries in one read, and in one claim of pending entries.
READ_COUNT: Final = 500
CLAIM_COUNT: Final = 100
# Rows of a pending list: more than a consumer ever has, because readers stop long before.
ALL: Final = 100_000
# Milliseconds. A released entry is at once old enough for XAUTOCLAIM, whatever age a peer asks for.
RELEASED_IDLE_MS: Final = 86_400_000
# Seconds between two deletions of idle consumers: names are few and cost little.
CLEANUP_INTERVAL: Final = 3_600.0
# Milliseconds without a command after which a consumer without pending entries is deleted.
MAX_IDLE_MS: Final = 86_400_000


class Pending(NamedTuple):
    """A row of the pending list: the entry and its delivery count."""

    entry: str
    attempts: int


class ConsumerGroup:
    """One consumer of one group of one stream."""

    def __init__(self, client: BusClient, start: str) -> None:
        self._client = client.client
        self._conversations = client.conversations
        self._reader = client.reader
        self.stream = client.settings.key("inbound")
        self.name = client.application
        self.consumer = client.consumer
        self._start = start
        self.newest = ""
        self._seen = ""
        self._cursor = "0-0"
        self._cleaned_at = 0.0

    async def ensure(self) -> None:
        """Create the group and its stream where they are missing.

        A group that vanished starts after the newest entry that this worker has seen: from its first
        start on it would deliver everything again. A stream that vanished with it starts at 0.
        """
        try:
            await self._do("XGROUP", "CREATE", self.stream, self.name, self.newest or self._start)
        except ResponseError as exc:
            if str(exc).startswith("BUSYGROUP"):
                return
            if "requires the key to exist" not in str(exc):
                raise
            await self._do("XGROUP", "CREATE", self.stream, self.name, "0", "MKSTREAM")

    async def read_new(self, count: int, block_ms: int) -> list[Entry]:
        """Read new entries; waits for `block_ms` at most. A cancelled read strands its entries."""
        args = (*self.xreadgroup_args(count), "BLOCK", block_ms, "STREAMS", self.stream, ">")
        async with self._reader.pipeline(transaction=False) as pipe:
            pipe.execute_command(*args)
            # Behind the read: a question is in Redis before its answer can be read.
            pipe.exists(self._conversations.asks_key)
            entries_reply, has_questions = await pipe.execute(raise_on_error=False)
        if isinstance(entries_reply, Exception):
            raise entries_reply
        # A user without the right to these keys has no questions.
        self._conversations.hint = has_questions == 1
        entries = entries_of(only_stream(entries_reply))
        if entries:
            self.newest = entries[-1][0]
        return entries

    async def wait_new(self, block_ms: int) -> bool:
        """Wait for an entry behind those that were seen, without reading it for the group.

        A blocked XREADGROUP takes entries that the caller may not want any more when they come.
        """
        if not self._seen:
            self._seen = await self.last_delivered()
        after = max(self._seen, self.newest or "0-0", key=entry_key)
        args = ("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", self.stream, after)
        entries = entries_of(only_stream(await self._reader.execute_command(*args)))  # type: ignore[no-untyped-call]
        if entries:
            # A peer of the group may have it by now.
            self._seen = entries[-1][0]
        return bool(entries)

    async def read_now(self, count: int) -> list[Entry]:
        """Read the new entries that are there."""
        args = (*self.xreadgroup_args(count), "STREAMS", self.stream, ">")
        entries = entries_of(only_stream(await self._reader.execute_command(*args)))  # type: ignore[no-untyped-call]
        if entries:
            self.newest = entries[-1][0]
        return entries

    async def pending(self, count: int = ALL, consumer: str = "") -> list[Pending]:
        """Return what is pending for this consumer, or for another one, oldest first."""
        # Another client may have chosen a name that is no UTF-8; see `name_of`.
        name = (consumer or self.consumer).encode(errors="surrogateescape")
        rows = await self._do("XPENDING", self.stream, self.name, "-", "+", count, name)
        return [Pending(row[0].decode(), int(row[3])) for row in rows or ()]

    async def autoclaim(self, idle_ms: int) -> bool:
        """Claim some entries that peers left idle; False when the scan found none and is complete."""
        args = (self.stream, self.name, self.consumer, idle_ms, self._cursor, "COUNT", CLAIM_COUNT, "JUSTID")
        reply = await self._do("XAUTOCLAIM", *args)
        self._cursor = reply[0].decode()
        if len(reply) > 2 and reply[2]:  # noqa: PLR2004 – the third part since Redis 7
            _log_trimmed(len(reply[2]))
        return bool(reply[1]) or self._cursor != "0-0"

    async def load_pending(
        self, known: Callable[[str], bool], seen: Container[str] = ()
    ) -> list[tuple[Pending, list[bytes]]]:
        """Return what is pending here and not `known` in this process, oldest first.

        It is one XPENDING: a member of a partitioned group relies on seeing nothing newer than what it
        misses. Entries in `seen` were read and put aside just now, which Redis counted as a delivery.
        """
        rows = [
            Pending(row.entry, row.attempts - (row.entry in seen))
            for row in await self.pending()
            if not known(row.entry)
        ]
        found: list[tuple[Pending, list[bytes]]] = []
        for start in range(0, len(rows), READ_COUNT):
            found += await self.claim(rows[start : start + READ_COUNT])
        return found

    async def claim(self, rows: Sequence[Pending]) -> list[tuple[Pending, list[bytes]]]:
        """Claim pending entries with their content, oldest first; their counts stay."""
        found: dict[str, list[bytes]] = {}
        for attempts, ids in by_attempts(rows):
            found.update(entries_of(await self._claim(ids, "RETRYCOUNT", attempts)))
        gone = [row.entry for row in rows if row.entry not in found]
        # Deleted, or acknowledged a moment ago. Redis 6.2 keeps a deleted one pending for ever.
        if gone and await self._do("XACK", self.stream, self.name, *gone):
            _log_trimmed(len(gone))
        return [(row, found[row.entry]) for row in rows if row.entry in found]

    async def record_attempt(self, entry: str, attempts: int) -> None:
        """Set the delivery count of an entry, so that it survives this process."""
        await self._claim([entry], "RETRYCOUNT", attempts, "JUSTID")

    async def touch(self, entries: Iterable[str]) -> None:
        """Reset the idle time of those entries that are still pending here."""
        held = set(entries)
        ours = [row.entry for row in await self.pending() if row.entry in held]
        if ours:
            await self._claim(ours, "JUSTID")

    async def release(self, unfinished: Sequence[Pending], unacknowledged: Sequence[str]) -> None:
        """Let a peer claim these at once; the counts of what is unacknowledged stay."""
        for attempts, ids in by_attempts(unfinished):
            await self._claim(ids, "IDLE", RELEASED_IDLE_MS, "RETRYCOUNT", attempts, "JUSTID")
        if unacknowledged:
            await self._claim(unacknowledged, "IDLE", RELEASED_IDLE_MS, "JUSTID")

    async def delete_consumer(self) -> None:
        """Delete this consumer from the group unless entries are pending under its name."""
        if not await self.pending(1):
            await self._do("XGROUP", "DELCONSUMER", self.stream, self.name, self.consumer)

    async def last_delivered(self) -> str:
        """Return the id of the newest entry that the group has delivered."""
        for row in map(mapping_of, await self._do("XINFO", "GROUPS", self.stream)):
            if row[b"name"] == self.name.encode():
                return row[b"last-delivered-id"].decode()
        return "0-0"

    async def delete_idle_consumers(self) -> None:
        """Delete, once an hour, consumers that are idle for a day and have nothing pending.

        DELCONSUMER drops what is pending under the name, hence the long silence.
        """
        if time.monotonic() < self._cleaned_at + CLEANUP_INTERVAL:
            return
        self._cleaned_at = time.monotonic()
        for row in map(mapping_of, await self._do("XINFO", "CONSUMERS", self.stream, self.name)):
            if not row[b"pending"] and int(row[b"idle"]) > MAX_IDLE_MS:
                # Names are bytes: another client may have chosen one that is no UTF-8.
                await self._do("XGROUP", "DELCONSUMER", self.stream, self.name, row[b"name"])

    def dead_letter(
        self, entry: str, fields: list[bytes], reason: str, detail: str, attempts: int
    ) -> list[str | bytes]:
        """Return the fields of a dead letter for this entry."""
        letter = DeadLetter(
            self.stream, entry, mapping_of(fields), self.name, self.consumer, reason, detail, attempts
        )
        return encode_dead_letter(letter, time.time())

    def xreadgroup_args(self, count: int) -> tuple[str | int, ...]:
        """Return the start of an XREADGROUP."""
        return ("XREADGROUP", "GROUP", self.name, self.consumer, "COUNT", count)

    def xclaim_args(self, consumer: str, ids: Iterable[str]) -> tuple[str | int, ...]:
        """Return an XCLAIM of these for that consumer, whatever their idle time."""
        return ("XCLAIM", self.stream, self.name, consumer, 0, *ids)

    async def _claim(self, ids: Sequence[str], *options: str | int) -> Any:
        return await self._do(*self.xclaim_args(self.consumer, ids), *options)

    async def _do(self, *args: str | int | bytes) -> Any:
        return await self._client.execute_command(*args)  # type: ignore[no-untyped-call]


def by_attempts(rows: Iterable[Pending]) -> list[tuple[int, list[str]]]:
    """Group entry ids by their delivery count: XCLAIM sets one RETRYCOUNT for all its ids."""
    groups: dict[int, list[str]] = {}
    for row in rows:
        groups.setdefault(row.attempts, []).append(row.entry)
    return list(groups.items())


def name_of(consumer: bytes) -> str:
    """Return a consumer's name as text from which its bytes can be restored."""
    return consumer.decode(errors="surrogateescape")


def _log_trimmed(number: int) -> None:
    log.error("%d entries were trimmed or deleted before a handler got them", number)
