"""The consumer group's commands, as few as the worker role has, with answers as the server gives them."""

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgpack
from redis.exceptions import ResponseError

from adapter import CONTRACT_VERSION, clean, timestamp
from consumers.connection import BLOCK_MS, group_is_gone
from consumers.office import Office

log = logging.getLogger(__name__)

READ: Final = 250
CLAIM: Final = 100
# An entry given back is at once old enough to be claimed, whatever age a peer asks for.
LONG_AGO: Final = 86_400_000

Entry = tuple[str, list[bytes]]


class Pending(NamedTuple):
    """One row of the pending list: so many times it was begun or delivered."""

    entry: str
    begun: int


class Group:
    """One consumer of one group of one stream. Nothing here repeats itself."""

    def __init__(self, office: Office, start: str) -> None:
        self.client = office.client
        self._reader = office.reader
        self.stream = office.settings.key("inbound")
        self._dead = office.settings.key("dead")
        self.name = office.application
        self.consumer = office.consumer
        self._start = start
        self._newest = ""
        self._cursor = "0-0"

    async def make(self) -> None:
        """Make the group and its stream; fine if they are there.

        A group that vanished begins after the newest entry this worker has seen: from the start on it
        would say everything again. On a stream that vanished with it everything is new.
        """
        try:
            await self._do("XGROUP", "CREATE", self.stream, self.name, self._newest or self._start)
        except ResponseError as exc:
            if str(exc).startswith("BUSYGROUP"):
                return
            if "requires the key to exist" not in str(exc):
                raise
            start = self._start if self._start == "$" else "0"
            await self._do("XGROUP", "CREATE", self.stream, self.name, start, "MKSTREAM")

    async def fresh(self, count: int, block: int = BLOCK_MS) -> list[Entry]:
        """New entries; waits for `block` ms at most. Never cancel it: entries would strand."""
        line = ("XREADGROUP", "GROUP", self.name, self.consumer, "COUNT", count, "BLOCK", block)
        try:
            answer = await self._reader.execute_command(*line, "STREAMS", self.stream, ">")  # type: ignore[no-untyped-call]
        except ResponseError as exc:
            if not group_is_gone(exc):
                raise
            log.warning("the group %s of %s is gone and made again", self.name, self.stream)
            await self.make()
            return []
        entries = _entries(_only_stream(answer))
        if entries:
            self._newest = entries[-1][0]
        return entries

    async def mine(self, count: int = CLAIM, after: str = "-") -> list[Pending]:
        """What is pending for this consumer, oldest first."""
        rows = await self._do("XPENDING", self.stream, self.name, after, "+", count, self.consumer)
        return [Pending(row[0].decode(), int(row[3])) for row in rows or ()]

    async def take_over(self, idle_ms: int) -> bool:
        """Make some of what others left idle this consumer's; False where the list is through."""
        line = ("XAUTOCLAIM", self.stream, self.name, self.consumer, idle_ms, self._cursor, "COUNT", CLAIM)
        answer = await self._do(*line, "JUSTID")
        self._cursor = answer[0].decode()
        if len(answer) > 2 and answer[2]:  # noqa: PLR2004 – the third part since Redis 7
            log.error("%d entries were trimmed before anybody had handled them", len(answer[2]))
        return bool(answer[1]) or self._cursor != "0-0"

    async def fetch(self, rows: Sequence[Pending]) -> list[tuple[Pending, list[bytes]]]:
        """The content of pending entries of this consumer, oldest first, their counts kept."""
        found: dict[str, list[bytes]] = {}
        for begun in {row.begun for row in rows}:
            ids = [row.entry for row in rows if row.begun == begun]
            answer = await self._claim(ids, "RETRYCOUNT", begun)
            found.update(_entries(answer))
        gone = [row.entry for row in rows if row.entry not in found]
        if gone:
            log.error("%d entries were deleted before anybody had handled them", len(gone))
            await self._do("XACK", self.stream, self.name, *gone)
        return [(row, found[row.entry]) for row in rows if row.entry in found]

    async def begin(self, entry: str, count: int) -> None:
        """Write down that an entry is begun for the `count`-th time: it survives this process."""
        await self._claim([entry], "RETRYCOUNT", count, "JUSTID")

    async def touch(self, entries: Iterable[str]) -> None:
        """These are still being worked on: nobody shall claim them. Only what is still ours."""
        held = set(entries)
        ours = [row.entry for row in await self.mine(len(held) + CLAIM) if row.entry in held]
        if ours:
            await self._claim(ours, "JUSTID")

    async def give_back(self, entries: Sequence[str]) -> None:
        """Let a peer claim these at once."""
        if entries:
            await self._claim(entries, "IDLE", LONG_AGO, "JUSTID")

    async def leave(self) -> None:
        """Take this consumer's name out of the group, if nothing is pending under it."""
        if not await self.mine(1):
            await self._do("XGROUP", "DELCONSUMER", self.stream, self.name, self.consumer)

    async def is_pending(self, entry: str) -> bool:
        """Whether nobody has acknowledged it yet."""
        return bool(await self._do("XPENDING", self.stream, self.name, entry, entry, 1))

    async def bury(self, entry: str, fields: list[bytes], reason: str, detail: str, attempts: int) -> None:
        """Put an entry into `qq:dead` and acknowledge it, in one step."""
        pairs = zip(fields[::2], fields[1::2], strict=True)
        original = {name.decode("utf-8", "replace"): value for name, value in pairs}
        letter: list[str | bytes] = [
            *("v", CONTRACT_VERSION),
            *("time", timestamp(time.time())),
            *("stream", self.stream),
            *("entry", entry),
            *("group", self.name),
            *("consumer", self.consumer),
            *("reason", reason),
            *("detail", clean(detail)[:500]),
            *("attempts", str(attempts)),
            *("fields", msgpack.packb(original)),
        ]
        async with self.client.pipeline(transaction=True) as pipe:
            pipe.execute_command("XADD", self._dead, "*", *letter)
            pipe.execute_command("XACK", self.stream, self.name, entry)
            await pipe.execute()

    async def _claim(self, ids: Sequence[str], *options: str | int) -> Any:
        return await self._do("XCLAIM", self.stream, self.name, self.consumer, 0, *ids, *options)

    async def _do(self, *line: str | int) -> Any:
        return await self.client.execute_command(*line)  # type: ignore[no-untyped-call]


def _only_stream(answer: Any) -> Any:
    """The entries of the one stream that was asked for: RESP3 answers a map, RESP2 a list of pairs."""
    if not answer:
        return ()
    return next(iter(answer.values())) if isinstance(answer, dict) else answer[0][1]


def _entries(rows: Any) -> list[Entry]:
    # A deleted entry is nil on Redis 6.2, or comes without fields.
    return [(row[0].decode(), row[1]) for row in rows or () if row and row[1]]
