"""Read a stream for the adapter's group within bounds of bytes, whatever other programs have written.

Mechanism. A script looks at each entry on the server. A small one is sent whole, a large one without its
weight: its size, and the start of the fields that say whose it is. So neither a reply nor the memory of this
process grows with what a worker writes. When all is read, a blocking XREAD waits for the next entry. It reads
nothing for the group, and its reply has a bound as well: beyond it the connection is closed. The script then
reads what has come.

Invariants:
- Each entry that Redis delivers to the group is returned, or is pending.
- With a fence only the lease holder reads: the script looks at the epoch in the same step.

What breaks the first: a read that is cancelled. Its caller reads the pending list again.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgpack
from redis.exceptions import ResponseError

from adapter.bus.connection import BLOCK_MS, is_group_missing, map_redis_errors
from adapter.bus.entries import LAST_ID
from adapter.bus.keys import CONSUMER, GROUP
from adapter.codec.dead_letters import MAX_FIELD, MAX_FIELDS, Cut
from adapter.errors import ReplyTooLarge

if TYPE_CHECKING:
    import redis.asyncio as redis

# Bytes of entries that one call of the script looks at: a few milliseconds of the server's time.
LOOK_BYTES: Final = 4 * 1024 * 1024
# Bytes of an entry that is sent whole: text and segments of a message have a few kilobytes.
WHOLE_BYTES: Final = 64 * 1024
# Bytes of a field of a larger entry: an id has 128, an address fewer.
HEAD_BYTES: Final = 512
# The fields of a larger entry that say whose it is.
HEAD_FIELDS: Final = ("to", "id", "results", "priority", "op", "cmd", "by")
# Bytes of a piece of a value whose digest is computed. Each piece costs the server a copy of the whole entry:
# a value above the limit has no digest.
PIECE_BYTES: Final = 8 * 1024 * 1024
MAX_HASHED: Final = 64 * 1024 * 1024


class Row(NamedTuple):
    """An entry and its bytes; `fields` are all of them only if `is_whole`."""

    entry: str
    fields: dict[bytes, bytes]
    size: int
    is_whole: bool


class Clipped(NamedTuple):
    """The starts of the fields of an entry, and what they leave out; both empty if it was deleted."""

    entry: str
    fields: dict[bytes, bytes]
    cuts: dict[bytes, Cut]


RunScript = Callable[[str, Sequence[str], Sequence[Any]], Awaitable[Any]]


class GroupReader:
    """Reads one stream as the adapter's one consumer. All methods raise BusUnavailable."""

    def __init__(
        self, key: str, fence_key: str, run_script: RunScript, client: "redis.Redis", waiting: "redis.Redis"
    ) -> None:
        self._key = key
        self._fence_key = fence_key
        self._run_script = run_script
        self._client = client
        # Its replies have a bound.
        self._waiting = waiting
        # The last entry that was read, if nothing stood behind it; else empty.
        self._newest = ""

    async def pending_ids(self, after: str, count: int) -> list[str]:
        """Return the ids of entries that were read and not acknowledged, after an id."""
        if after == LAST_ID:
            return []
        with map_redis_errors():
            try:
                rows: Any = await self._client.xpending_range(self._key, GROUP, f"({after}", "+", count)
            except ResponseError as exc:
                if not is_group_missing(exc):
                    raise
                return []
        return [row["message_id"].decode() for row in rows]

    async def read(self, entries: Sequence[str]) -> list[Row]:
        """Return these entries, fewer if they are large; one that was deleted has no fields."""
        if not entries:
            return []
        rows, _ = await self._look(entries, len(entries))
        return rows

    async def read_new(self, count: int, fence: tuple[int, str] | None = None) -> list[Row]:
        """Read new entries; waits for BLOCK_MS at most if there is none.

        `fence`: epoch and holder of the lease. Raises Fenced if there is a newer holder.
        """
        newest, self._newest = self._newest, ""
        if newest and not await self._wait_behind(newest):
            return []  # the next call looks: the group may have been set back
        rows, last = await self._look((), count, fence)
        if not rows and last and await self._wait_behind(last):
            rows, _ = await self._look((), count, fence)
        if rows and len(rows) < count and sum(row.size for row in rows) < LOOK_BYTES:
            self._newest = rows[-1].entry
        return rows

    async def _wait_behind(self, last: str) -> bool:
        """Wait for an entry behind this id for BLOCK_MS at most; returns whether one has come."""
        try:
            with map_redis_errors():
                return bool(await self._waiting.xread({self._key: last}, count=1, block=BLOCK_MS))
        except ReplyTooLarge:
            return True

    async def _look(
        self, entries: Sequence[str], count: int, fence: tuple[int, str] | None = None
    ) -> tuple[list[Row], str]:
        """Return rows; without any, also the last id that the group has read."""
        bounds = [count, LOOK_BYTES, WHOLE_BYTES, HEAD_BYTES, msgpack.packb(HEAD_FIELDS)]
        holder = (0, "") if fence is None else fence
        rows, last = await self._run_script(
            "read", [self._key, self._fence_key], [*holder, GROUP, CONSUMER, *bounds, *entries]
        )
        return [
            Row(entry.decode(), dict(zip(flat[::2], flat[1::2], strict=True)), size, bool(is_whole))
            for entry, size, is_whole, flat in rows
        ], last.decode()

    async def read_clipped(self, entries: Sequence[str]) -> list[Clipped]:
        """Return what dead letters keep of these entries, of fewer if they are large."""
        if not entries:
            return []
        bounds = [LOOK_BYTES, MAX_FIELD, MAX_FIELDS + 1]
        rows = await self._run_script("clipped", [self._key], [*bounds, *entries])
        return [
            Clipped(entry, dict(zip(flat[::3], flat[2::3], strict=True)), await self._cuts(entry, flat))
            for entry, flat in zip(entries, rows, strict=False)
        ]

    async def _cuts(self, entry: str, flat: Sequence[Any]) -> dict[bytes, Cut]:
        fields = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        return {
            name: Cut(length - len(start), await self._digest(entry, number, len(start), length))
            for number, (name, length, start) in enumerate(fields, 1)
            if length > len(start)
        }

    async def _digest(self, entry: str, number: int, start: int, length: int) -> str:
        if length > MAX_HASHED:
            return ""
        digest = hashlib.sha256()
        for first in range(start, length, PIECE_BYTES):
            piece = [entry, number, first + 1, PIECE_BYTES]
            digest.update(await self._run_script("slice", [self._key], piece))
        return digest.hexdigest()
