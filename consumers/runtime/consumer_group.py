"""The consumer group's commands, as few as the worker role has, with answers as the server gives them."""

import logging
import time
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, Final, NamedTuple

from redis.exceptions import ResponseError

from adapter import DeadLetter, encode_dead_letter
from consumers.runtime.client import BusClient

log = logging.getLogger(__name__)

READ: Final = 500
CLAIM: Final = 100
# More than any consumer ever has: readers stop long before.
ALL: Final = 100_000
# An entry given back is at once old enough to be claimed, whatever age a peer asks for.
LONG_AGO: Final = 86_400_000
TIDY: Final = 3_600.0
SILENT_MS: Final = 86_400_000

Entry = tuple[str, list[bytes]]


class Pending(NamedTuple):
    """One row of the pending list: so many times it was begun or delivered."""

    entry: str
    begun: int


class ConsumerGroup:
    """One consumer of one group of one stream. Nothing here repeats itself."""

    def __init__(self, office: BusClient, start: str) -> None:
        self.client = office.client
        self._reader = office.reader
        self.stream = office.settings.key("inbound")
        self._dead = office.settings.key("dead")
        self.name = office.application
        self.consumer = office.consumer
        self._start = start
        self.newest = ""
        self._cursor = "0-0"
        self._tidied = 0.0

    async def ensure(self) -> None:
        """Make the group and its stream; fine if they are there.

        A group that vanished begins after the newest entry this worker has seen: from the start on it
        would say everything again. On a stream that vanished with it everything is new.
        """
        try:
            await self._do("XGROUP", "CREATE", self.stream, self.name, self.newest or self._start)
        except ResponseError as exc:
            if str(exc).startswith("BUSYGROUP"):
                return
            if "requires the key to exist" not in str(exc):
                raise
            await self._do("XGROUP", "CREATE", self.stream, self.name, "0", "MKSTREAM")

    async def read_new(self, count: int, block: int) -> list[Entry]:
        """New entries; waits for `block` ms at most. Never cancel it: entries would strand."""
        line = (*self.xreadgroup_args(count), "BLOCK", block)
        answer = await self._reader.execute_command(*line, "STREAMS", self.stream, ">")  # type: ignore[no-untyped-call]
        entries = entries_of(only_stream(answer))
        if entries:
            self.newest = entries[-1][0]
        return entries

    async def pending(self, count: int = ALL, consumer: str = "") -> list[Pending]:
        """What is pending for this consumer, or for another one, oldest first."""
        rows = await self._do("XPENDING", self.stream, self.name, "-", "+", count, consumer or self.consumer)
        return [Pending(row[0].decode(), int(row[3])) for row in rows or ()]

    async def autoclaim(self, idle_ms: int) -> bool:
        """Make some of what others left idle this consumer's; False where the list is through."""
        line = ("XAUTOCLAIM", self.stream, self.name, self.consumer, idle_ms, self._cursor, "COUNT", CLAIM)
        answer = await self._do(*line, "JUSTID")
        self._cursor = answer[0].decode()
        if len(answer) > 2 and answer[2]:  # noqa: PLR2004 – the third part since Redis 7
            log.error("%d entries were trimmed before anybody had handled them", len(answer[2]))
        return bool(answer[1]) or self._cursor != "0-0"

    async def load_pending(
        self, known: Callable[[str], bool], seen: Container[str] = ()
    ) -> list[tuple[Pending, list[bytes]]]:
        """What is pending for this consumer and not known in this process, oldest first.

        One look at one moment: lanes rely on seeing nothing newer than what they miss. `seen`: these
        were read and put aside just now, which Redis has counted as a delivery.
        """
        rows = [
            Pending(row.entry, row.begun - (row.entry in seen))
            for row in await self.pending()
            if not known(row.entry)
        ]
        found: list[tuple[Pending, list[bytes]]] = []
        for start in range(0, len(rows), READ):
            found += await self.claim(rows[start : start + READ])
        return found

    async def claim(self, rows: Sequence[Pending]) -> list[tuple[Pending, list[bytes]]]:
        """The content of pending entries, oldest first, their counts kept; they are this consumer's then."""
        found: dict[str, list[bytes]] = {}
        for begun in {row.begun for row in rows}:
            ids = [row.entry for row in rows if row.begun == begun]
            found.update(entries_of(await self._claim(ids, "RETRYCOUNT", begun)))
        gone = [row.entry for row in rows if row.entry not in found]
        # Deleted, or acknowledged a moment ago. Redis 6.2 keeps a deleted one pending for ever.
        if gone and await self._do("XACK", self.stream, self.name, *gone):
            log.error("%d entries were deleted before anybody had handled them", len(gone))
        return [(row, found[row.entry]) for row in rows if row.entry in found]

    async def record_attempt(self, entry: str, count: int) -> None:
        """Write down that an entry is begun for the `count`-th time: it survives this process."""
        await self._claim([entry], "RETRYCOUNT", count, "JUSTID")

    async def touch(self, entries: Iterable[str]) -> None:
        """These are still being worked on: nobody shall claim them. Only what is still ours."""
        held = set(entries)
        ours = [row.entry for row in await self.pending() if row.entry in held]
        if ours:
            await self._claim(ours, "JUSTID")

    async def release(self, entries: Sequence[tuple[str, int]]) -> None:
        """Let a peer claim these at once; each was begun so often."""
        for count in {count for _, count in entries}:
            ids = [entry for entry, begun in entries if begun == count]
            await self._claim(ids, "IDLE", LONG_AGO, "RETRYCOUNT", count, "JUSTID")

    async def delete_consumer(self) -> None:
        """Take this consumer's name out of the group, if nothing is pending under it."""
        if not await self.pending(1):
            await self._do("XGROUP", "DELCONSUMER", self.stream, self.name, self.consumer)

    async def is_pending(self, entry: str) -> bool:
        """Whether nobody has acknowledged it yet."""
        return bool(await self._do("XPENDING", self.stream, self.name, entry, entry, 1))

    async def dead_letter(
        self, entry: str, fields: list[bytes], reason: str, detail: str, attempts: int
    ) -> None:
        """Put an entry into `qq:dead` and acknowledge it, in one step."""
        letter = DeadLetter(
            self.stream, entry, mapping_of(fields), self.name, self.consumer, reason, detail, attempts
        )
        async with self.client.pipeline(transaction=True) as pipe:
            pipe.execute_command("XADD", self._dead, "*", *encode_dead_letter(letter, time.time()))
            pipe.execute_command("XACK", self.stream, self.name, entry)
            await pipe.execute()

    async def last_delivered(self) -> str:
        """The newest entry that the group has given to anybody."""
        for row in await self._do("XINFO", "GROUPS", self.stream):
            known = row if isinstance(row, dict) else dict(zip(row[::2], row[1::2], strict=True))
            if known.get(b"name") == self.name.encode():
                newest: Any = known.get(b"last-delivered-id")
                return str(newest.decode())
        return "0-0"

    def xreadgroup_args(self, count: int) -> tuple[str | int, ...]:
        """The head of an XREADGROUP."""
        return ("XREADGROUP", "GROUP", self.name, self.consumer, "COUNT", count)

    def xclaim_args(self, consumer: str, ids: Iterable[str]) -> tuple[str | int, ...]:
        """An XCLAIM of these for that consumer, however young they are."""
        return ("XCLAIM", self.stream, self.name, consumer, 0, *ids)

    async def delete_idle_consumers(self) -> None:
        """Take out the names of consumers that are long gone and left nothing: once an hour is enough.

        Only after long silence, because a name takes with it whatever is pending under it.
        """
        if time.monotonic() < self._tidied + TIDY:
            return
        self._tidied = time.monotonic()
        for row in await self._do("XINFO", "CONSUMERS", self.stream, self.name):
            known = row if isinstance(row, dict) else dict(zip(row[::2], row[1::2], strict=True))
            if not known[b"pending"] and known[b"idle"] > SILENT_MS:
                await self._do("XGROUP", "DELCONSUMER", self.stream, self.name, known[b"name"].decode())

    async def _claim(self, ids: Sequence[str], *options: str | int) -> Any:
        return await self._do(*self.xclaim_args(self.consumer, ids), *options)

    async def _do(self, *line: str | int) -> Any:
        return await self.client.execute_command(*line)  # type: ignore[no-untyped-call]


def only_stream(answer: Any) -> Any:
    """The entries of the one stream that was asked for: RESP3 answers a map, RESP2 a list of pairs."""
    if not answer:
        return ()
    return next(iter(answer.values())) if isinstance(answer, dict) else answer[0][1]


def mapping_of(fields: list[bytes]) -> dict[bytes, bytes]:
    """The fields of an entry by name: Redis gives names and values by turns."""
    names = iter(fields)
    return dict(zip(names, names, strict=True))


def entries_of(rows: Any) -> list[Entry]:
    """The entries that still exist, of an answer that lists entries."""
    # A deleted entry is nil on Redis 6.2, or comes without fields.
    return [(row[0].decode(), row[1]) for row in rows or () if row and row[1]]
