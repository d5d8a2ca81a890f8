"""Read a stream for the adapter's group within bounds of bytes, whatever other programs have written.

Mechanism. A script looks at each entry on the server. A small one is sent whole, a large one without its
weight: its size, and the start of the fields that say whose it is. So neither a reply nor the memory of this
process grows with what a worker writes. When all is read, a blocking XREADGROUP of one entry waits. Its reply
has a bound as well: beyond it the connection is closed, the entry is pending, and the script looks at it.

Invariant: each entry that Redis delivers to the group is returned, or is pending behind the newest
one that was returned. What breaks it: a read that is cancelled. Its caller reads the pending list again.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgpack
from redis.exceptions import ResponseError

from adapter.bus.connection import BLOCK_MS, is_group_missing, map_redis_errors
from adapter.bus.entries import LAST_ID, parse_xread
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
        self, key: str, run_script: RunScript, client: "redis.Redis", waiting: "redis.Redis"
    ) -> None:
        self._key = key
        self._run_script = run_script
        self._client = client
        # Its replies have a bound.
        self._waiting = waiting
        self._newest = "0-0"

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
        return await self._look(entries, len(entries)) if entries else []

    async def read_new(self, count: int) -> list[Row]:
        """Read new entries; waits for BLOCK_MS at most if there is none."""
        rows = await self._look((), count)
        if not rows:
            rows = await self.wait_new(count)
        if rows:
            self._newest = rows[-1].entry
        return rows

    def skip_to(self, entry: str) -> None:
        """Note that the pending list was read up to this entry."""
        self._newest = entry

    async def wait_new(self, count: int) -> list[Row]:
        """Wait for a new entry for BLOCK_MS at most. A large one is looked at before it is read."""
        try:
            return await self._wait()
        except ReplyTooLarge:  # it is pending now
            return await self.read(await self.pending_ids(self._newest, count))

    async def _wait(self) -> list[Row]:
        with map_redis_errors():
            reply: Any = await self._waiting.xreadgroup(
                GROUP, CONSUMER, {self._key: ">"}, count=1, block=BLOCK_MS
            )
        entries = parse_xread(reply).get(self._key, [])
        return [Row(entry, fields, size_of(fields), is_whole=True) for entry, fields in entries]

    async def _look(self, entries: Sequence[str], count: int) -> list[Row]:
        bounds = [count, LOOK_BYTES, WHOLE_BYTES, HEAD_BYTES, msgpack.packb(HEAD_FIELDS)]
        rows = await self._run_script("read", [self._key], [GROUP, CONSUMER, *bounds, *entries])
        return [
            Row(entry.decode(), dict(zip(flat[::2], flat[1::2], strict=True)), size, bool(is_whole))
            for entry, size, is_whole, flat in rows
        ]

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


def size_of(fields: dict[bytes, bytes]) -> int:
    """Return the bytes of names and values."""
    return sum(len(name) + len(value) for name, value in fields.items())
