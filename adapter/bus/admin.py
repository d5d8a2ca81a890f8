"""Clients for the operator: AdminClient for commands, MonitorClient for the status page.

They belong to no consumer group and hold no lease: what they read is missing to no worker. They write only
what the operator asks for.
"""

import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
import redis.asyncio as redis
from redis.exceptions import NoPermissionError, ResponseError

from adapter.bus.clipped_reader import FOREIGN, read_range
from adapter.bus.connection import connect, map_redis_errors, redact_url, unreachable_error
from adapter.bus.entries import LAST_ID, Entry, parse_entries, parse_xread
from adapter.bus.groups import read_groups
from adapter.bus.keys import Keys
from adapter.bus.scripts import source
from adapter.errors import BusError, BusUnavailable, ReplyTooLarge

log = logging.getLogger(__name__)

# Milliseconds that XREAD blocks: long enough to cost nothing, short enough to notice a dead peer.
WAIT_MS = 2_000
TIMEOUT_SECONDS = WAIT_MS / 1000 + 5.0
# Commands that `qq:control` keeps: executed ones are of no use.
CONTROL_ENTRIES = 1_000
# Entries of one read.
PAGE_SIZE = 500
# Unread entries without numbers that are counted one by one: more are shown as this many.
MAX_COUNTED = 10_000
# The consumer under which a redriven entry is pending until a worker claims it, and for how many
# milliseconds it has been idle then: longer than any worker waits.
_REDRIVER = "redrive"
_REDRIVEN_IDLE_MS = 86_400_000


class GroupInfo(NamedTuple):
    """A consumer group of a stream.

    `name` is decoded to be shown: other programs may choose any bytes. `oldest`: the oldest pending entry.
    `consumers` have asked for entries of late, `gone` are registered and have not.
    """

    name: str
    consumers: int
    pending: int
    lag: int
    oldest: str
    gone: int = 0


class AdminClient:
    """Redis for the commands of `qqbus`. All methods raise BusUnavailable while Redis is away."""

    def __init__(self, client: "redis.Redis", keys: Keys) -> None:
        self.client = client
        self.keys = keys

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str | None, prefix: str) -> AsyncIterator["AdminClient"]:
        """Connect. Raises BusUnavailable, with what to change."""
        pool = connect(url, prefix, timeout=TIMEOUT_SECONDS)
        # A connection of its own: a command that Ctrl-C cancels leaves no other one in an unknown state.
        client = pool.client()
        try:
            await _check_reachable(client, url)
            yield cls(client, Keys(prefix))
        finally:
            with anyio.CancelScope(shield=True):
                await client.aclose()
                await pool.aclose()

    # --- reading -------------------------------------------------------------------------------

    async def status(self) -> dict[str, str]:
        """Return all of `qq:status`; empty if no adapter has run."""
        return {name: _decode(value) for name, value in (await self.hgetall("status")).items()}

    async def hgetall(self, name: str) -> dict[str, bytes]:
        """Return all of a hash."""
        with map_redis_errors():
            rows: Any = await self.client.hgetall(self.keys(name))
        return {_decode(field): value for field, value in rows.items()}

    async def hset(self, name: str, field: str, value: bytes) -> None:
        """Set a field of a hash. Raises AccessRefused."""
        with map_redis_errors():
            await self.client.hset(self.keys(name), mapping=dict[Any, Any]({field: value}))

    async def lease_held(self) -> bool | None:
        """Return whether an adapter holds the lease; None if this user may not know."""
        with map_redis_errors():
            try:
                return bool(await self.client.exists(self.keys("lease")))
            except NoPermissionError:
                return None

    async def xlen(self, stream: str) -> int:
        """Return the number of entries of a stream."""
        with map_redis_errors():
            return int(await self.client.xlen(self.keys(stream)))

    async def groups(self, stream: str) -> list[GroupInfo]:
        """Return the consumer groups of a stream."""
        found = []
        for row in await read_groups(self.client, self.keys(stream)):
            lag = await self._count_unread(stream, row.last_delivered) if row.lag is None else row.lag
            name, present = _decode(row.name), row.consumers - row.gone
            found.append(GroupInfo(name, present, row.pending, lag, row.oldest, row.gone))
        return found

    async def _count_unread(self, stream: str, after: str) -> int:
        """Count the entries behind an id, where Redis does not: by their numbers if they have some.

        A group that began at a time has no lag of its own, nor has one behind deleted entries.
        """
        first = await self.xrange(stream, after, 1)
        if not first:
            return 0
        ends = [fields.get(b"seq", b"") for _, fields in (*first, *await self.last_entries(stream))]
        if all(number.isdigit() for number in ends):
            return max(1, int(ends[1]) - int(ends[0]) + 1)
        count = 0
        while count < MAX_COUNTED and (page := await self.xrange(stream, after)):
            count, after = count + len(page), page[-1][0]
        return count

    async def group_progress(self, stream: str, group: str) -> tuple[str, set[str]]:
        """Return the last id that a group has read, and the ids that it has not acknowledged."""
        for row in await read_groups(self.client, self.keys(stream)):
            if _decode(row.name) == group:
                return row.last_delivered, await self._pending_ids(stream, row.name)
        return "0-0", set()

    async def _pending_ids(self, stream: str, group: bytes) -> set[str]:
        found: set[str] = set()
        after = "-"
        while True:
            with map_redis_errors():
                rows: Any = await self.client.xpending_range(self.keys(stream), group, after, "+", PAGE_SIZE)
            found |= {_decode(row["message_id"]) for row in rows}
            if not rows or LAST_ID in found:
                return found
            after = f"({_decode(rows[-1]['message_id'])}"

    async def get_entry(self, stream: str, entry: str) -> dict[bytes, bytes] | None:
        """Return the fields of one entry; None if it is gone, or `entry` is no id."""
        with map_redis_errors():
            try:
                rows = await self._range(stream, entry, entry, 1)
            except ResponseError as exc:
                if "Invalid stream ID" not in str(exc):
                    raise
                return None
        return rows[0][1] if rows else None

    async def last_entries(self, stream: str, count: int = 1, after: str = "") -> list[Entry]:
        """Return the newest entries of a stream, oldest first; only those after an id, if one is given."""
        with map_redis_errors():
            oldest = f"({after}" if after else "-"
            rows = await self._range(stream, "+", oldest, count, is_reverse=True)
        return rows[::-1]

    async def _range(
        self, stream: str, start: str, end: str, count: int, *, is_reverse: bool = False
    ) -> list[Entry]:
        """Read a part of a stream; what any worker may have written is clipped on the server."""
        if f"({LAST_ID}" in {start, end}:
            return []
        read: Any = self.client.xrevrange if is_reverse else self.client.xrange
        if stream in FOREIGN:
            return await read_range(self.client, self.keys(stream), start, end, count, is_reverse=is_reverse)
        return parse_entries(await read(self.keys(stream), start, end, count=count))

    async def last_id(self, stream: str) -> str:
        """Return the id of the newest entry: `tail` goes on from there."""
        newest = await self.last_entries(stream)
        return newest[0][0] if newest else "0-0"

    async def xrange(self, stream: str, after: str = "", count: int = PAGE_SIZE) -> list[Entry]:
        """Return the next entries after an id, from the beginning without one; empty at the end."""
        with map_redis_errors():
            oldest = f"({after}" if after else "-"
            return await self._range(stream, oldest, "+", count)

    async def entries(self, stream: str) -> AsyncIterator[Entry]:
        """Iterate over a whole stream, page by page."""
        after = ""
        while page := await self.xrange(stream, after):
            for entry in page:
                yield entry
            after = page[-1][0]

    async def tail(self, stream: str, after: str, wait_ms: int = WAIT_MS) -> list[Entry]:
        """Wait for entries after an id; empty if none came in time. May be cancelled."""
        key = self.keys(stream)
        with map_redis_errors():
            reply: Any = await self.client.xread({key: after}, count=PAGE_SIZE, block=wait_ms)
        return parse_xread(reply).get(key, [])

    async def read_streams(
        self, cursors: Mapping[str, str], wait_ms: int = WAIT_MS
    ) -> dict[str, list[Entry]]:
        """Wait for entries of several streams after their ids; only those with some. May be cancelled."""
        names = {self.keys(name): name for name in cursors}
        with map_redis_errors():
            reply: Any = await self.client.xread(
                {key: cursors[name] for key, name in names.items()}, count=PAGE_SIZE, block=wait_ms
            )
        return {names[key]: entries for key, entries in parse_xread(reply).items()}

    # --- the server ----------------------------------------------------------------------------

    async def info(self) -> dict[str, Any]:
        """Return what INFO says."""
        with map_redis_errors():
            info: dict[str, Any] = await self.client.info()
        return info

    async def config_get(self, *names: str) -> dict[str, str] | None:
        """Return what CONFIG GET says; None if this user may not ask."""
        try:
            with map_redis_errors():
                found: Any = await self.client.config_get(*names)
        except BusError:  # refused, or a server without CONFIG
            return None
        return {_decode(name): _decode(value) for name, value in found.items()}

    async def time(self) -> float:
        """Return the clock of the server, in seconds since 1970."""
        with map_redis_errors():
            seconds, micros = await self.client.time()
        return float(seconds) + float(micros) / 1e6

    # --- writing -------------------------------------------------------------------------------

    async def send_command(self, command: str, by: str, **details: str) -> str:
        """Append a command to `qq:control`; returns its entry."""
        fields: dict[Any, Any] = {"cmd": command, "by": by, **details}
        with map_redis_errors():
            entry: Any = await self.client.xadd(
                self.keys("control"), fields, maxlen=CONTROL_ENTRIES, approximate=True
            )
        return _decode(entry)

    async def wait_reply(self, nonce: str, seconds: float) -> bytes | None:
        """Wait for the answer to the command that named `nonce`; None if none comes in time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            with map_redis_errors():
                found: Any = await self.client.blpop([self.keys.reply(nonce)], min(left, WAIT_MS / 1000))
            if found:
                return bytes(found[1])
        return None

    async def xadd(self, stream: str, fields: Mapping[str, str | bytes]) -> str:
        """Append an entry; returns its id."""
        with map_redis_errors():
            entry: Any = await self.client.xadd(self.keys(stream), dict[Any, Any](fields))
        return _decode(entry)

    async def redrive(self, entry: str, stream: str, fields: Sequence[str | bytes]) -> str:
        """Append the fields of a dead letter to a stream (a whole key) and delete it, in one step.

        Returns the new id; "" if the dead letter was gone, so that a repetition appends nothing.
        """
        with map_redis_errors():
            answer: Any = await self.client.eval(
                source("redrive"), 2, self.keys("dead"), stream, entry, *fields
            )
        return _decode(answer) if answer else ""

    async def redeliver(self, letter: str, stream: str, group: str, entry: str) -> str:
        """Deliver an entry of a stream (a whole key) again to one group, and delete its dead letter.

        Returns `done`, `gone` (the letter) or `trimmed` (the entry). Raises BusError if the group is gone.
        """
        args = (letter, group, entry, _REDRIVER, _REDRIVEN_IDLE_MS)
        with map_redis_errors():
            answer: Any = await self.client.eval(source("redeliver"), 2, self.keys("dead"), stream, *args)
        return _decode(answer)

    async def drop(self, entries: Sequence[str]) -> int:
        """Delete dead letters; returns how many there were."""
        with map_redis_errors():
            return int(await self.client.xdel(self.keys("dead"), *entries))

    # --- testing a worker ----------------------------------------------------------------------

    async def abandon_entry(self, group: str, consumer: str, entry: str, idle_ms: int) -> None:
        """Make an entry of `qq:inbound` pending under a consumer that was idle for `idle_ms`."""
        with map_redis_errors():
            await self.client.xclaim(
                self.keys("inbound"), group, consumer, 0, [entry], idle=idle_ms, force=True, justid=True
            )

    async def destroy_group(self, group: str) -> None:
        """Destroy a group of `qq:inbound`."""
        with map_redis_errors():
            await self.client.xgroup_destroy(self.keys("inbound"), group)

    async def delete_all(self) -> None:
        """Delete every key under this prefix, which was made for a test."""
        with map_redis_errors():
            keys = [key async for key in self.client.scan_iter(match=f"{self.keys('')}*", count=PAGE_SIZE)]
            if keys:
                await self.client.unlink(*keys)


async def _check_reachable(client: "redis.Redis", url: str | None) -> None:
    try:
        with map_redis_errors():
            await client.ping()
    except BusUnavailable as exc:
        raise unreachable_error(url, exc) from exc
    except BusError as exc:
        raise BusUnavailable(
            "what listens at {url} does not answer as Redis does: {error}", url=redact_url(url), error=exc
        ) from exc


def _decode(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


class MonitorClient(AdminClient):
    """An AdminClient that waits for changes. Made without a connection: Redis may be away."""

    def __init__(self, client: "redis.Redis", keys: Keys, waiting: "redis.Redis") -> None:
        super().__init__(client, keys)
        # Its replies have a bound.
        self._waiting = waiting

    @classmethod
    def from_url(cls, url: str | None, prefix: str) -> "MonitorClient":
        """Make a client; call `close` in the end."""
        waiting = connect(url, prefix, timeout=TIMEOUT_SECONDS, bounded=True)
        return cls(connect(url, prefix, timeout=TIMEOUT_SECONDS), Keys(prefix), waiting)

    async def close(self) -> None:
        """Close the connections."""
        for client in (self.client, self._waiting):
            await client.aclose()

    async def ping(self) -> None:
        """Check that Redis serves. Raises BusUnavailable."""
        with map_redis_errors():
            await self.client.ping()

    async def wait_changed(self, cursors: Mapping[str, str], wait_ms: int) -> list[str]:
        """Wait for entries after these ids; returns the streams that have some. May be cancelled."""
        names = {self.keys(name): name for name in cursors}
        after: Any = {key: cursors[name] for key, name in names.items()}
        try:
            with map_redis_errors():
                reply: Any = await self._waiting.xread(after, count=1, block=wait_ms)
        except ReplyTooLarge:  # an entry that is too large has come to one of them
            return list(cursors)
        return [names[key] for key in parse_xread(reply)]

    async def hlen(self, name: str) -> int:
        """Return the number of fields of a hash."""
        with map_redis_errors():
            return int(await self.client.hlen(self.keys(name)))
