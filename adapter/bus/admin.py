"""The Desk: Redis as the operator and his tools see it. Looks at everything, and writes only what people ask.

It belongs to no consumer group, holds no lease and knows no epoch: what it reads nobody misses.
"""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
import redis.asyncio as redis
from redis.exceptions import NoPermissionError, ResponseError

from adapter.bus.bus import Entry
from adapter.bus.connection import connect, map_redis_errors, redact_url, unreachable_error
from adapter.bus.keys import Keys
from adapter.errors import BusError, BusUnavailable

# Long enough to cost nothing while nothing happens, short enough to notice a dead peer.
WAIT_MS = 2_000
TIMEOUT = WAIT_MS / 1000 + 5.0
# Commands that were obeyed are of no use any more.
CONTROL_ENTRIES = 1_000
PAGE = 500

# Back from qq:dead: append the original fields and take the dead letter away, or find it gone.
# KEYS  dead, stream      ARGV  dead letter, field, value …
_REDRIVE = """
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return false end
return redis.call('XADD', KEYS[2], '*', unpack(ARGV, 2))
"""


class GroupInfo(NamedTuple):
    """A consumer group of a stream. `lag` is None where the server cannot tell."""

    name: str
    consumers: int
    pending: int
    lag: int | None
    oldest: str


class AdminClient:
    """What the commands ask of Redis. Everything raises BusUnavailable while Redis is away."""

    def __init__(self, client: "redis.Redis", keys: Keys) -> None:
        self.client = client
        self.keys = keys

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str | None, prefix: str) -> AsyncIterator["AdminClient"]:
        """Connect, or say what to do about it."""
        pool = connect(url, prefix, timeout=TIMEOUT)
        # One connection that is ours alone: a command that is cancelled, as by Ctrl-C, leaves none behind.
        client = pool.client()
        try:
            await _greet(client, url)
            yield cls(client, Keys(prefix))
        finally:
            with anyio.CancelScope(shield=True):
                await client.aclose()
                await pool.aclose()

    # --- looking -------------------------------------------------------------------------------

    async def status(self) -> dict[str, str]:
        """All of `qq:status`; empty where no adapter has run."""
        return {name: _words(value) for name, value in (await self.hash("status")).items()}

    async def hash(self, name: str) -> dict[str, bytes]:
        """All of a hash."""
        with map_redis_errors():
            rows: Any = await self.client.hgetall(self.keys(name))
        return {_words(field): value for field, value in rows.items()}

    async def lease_held(self) -> bool | None:
        """Whether an adapter holds the lease; None where this user may not know."""
        with map_redis_errors():
            try:
                return bool(await self.client.exists(self.keys("lease")))
            except NoPermissionError:
                return None

    async def length(self, stream: str) -> int:
        """Entries of a stream; 0 where there is none."""
        with map_redis_errors():
            return int(await self.client.xlen(self.keys(stream)))

    async def groups(self, stream: str) -> list[GroupInfo]:
        """The consumer groups of a stream, with the id of the oldest entry that each one has not finished."""
        found = []
        for row in await self._xinfo(stream):
            name = _words(row["name"])
            oldest = ""
            if row["pending"]:
                with map_redis_errors():
                    pending: Any = await self.client.xpending(self.keys(stream), name)
                oldest = _words(pending["min"] or b"")
            lag = row.get("lag")
            found.append(
                GroupInfo(
                    name,
                    int(row["consumers"]),
                    int(row["pending"]),
                    None if lag is None else int(lag),
                    oldest,
                )
            )
        return found

    async def group_progress(self, stream: str, group: str) -> tuple[str, set[str]]:
        """The last id that a group was given, and those it has not acknowledged."""
        for row in await self._xinfo(stream):
            if _words(row["name"]) == group:
                return _words(row["last-delivered-id"]), await self._pending(stream, group)
        return "0-0", set()

    async def _pending(self, stream: str, group: str) -> set[str]:
        found: set[str] = set()
        after = "-"
        while True:
            with map_redis_errors():
                rows: Any = await self.client.xpending_range(self.keys(stream), group, after, "+", PAGE)
            if not rows:
                return found
            found |= {_words(row["message_id"]) for row in rows}
            after = f"({_words(rows[-1]['message_id'])}"

    async def _xinfo(self, stream: str) -> list[dict[str, Any]]:
        with map_redis_errors():
            try:
                rows: list[dict[str, Any]] = await self.client.xinfo_groups(self.keys(stream))
            except ResponseError as exc:
                if "no such key" not in str(exc):
                    raise
                return []
        return rows

    async def last_entries(self, stream: str, count: int = 1) -> list[Entry]:
        """The last entries of a stream, oldest first."""
        with map_redis_errors():
            rows: Any = await self.client.xrevrange(self.keys(stream), count=count)
        return _entries(reversed(rows))

    async def last_id(self, stream: str) -> str:
        """Where to read on from to get only what is yet to come."""
        newest = await self.last_entries(stream)
        return newest[0][0] if newest else "0-0"

    async def range(self, stream: str, after: str = "", count: int = PAGE) -> list[Entry]:
        """The next entries behind an id, from the beginning without one; empty at the end."""
        with map_redis_errors():
            rows: Any = await self.client.xrange(
                self.keys(stream), f"({after}" if after else "-", count=count
            )
        return _entries(rows)

    async def entries(self, stream: str) -> AsyncIterator[Entry]:
        """All of a stream, page by page."""
        after = ""
        while page := await self.range(stream, after):
            for entry in page:
                yield entry
            after = page[-1][0]

    async def tail(self, stream: str, after: str, wait_ms: int = WAIT_MS) -> list[Entry]:
        """What came behind an id; waits so long for it, and is empty when nothing did. May be cancelled."""
        with map_redis_errors():
            answer: Any = await self.client.xread({self.keys(stream): after}, count=PAGE, block=wait_ms)
        return _entries(answer[0][1]) if answer else []

    # --- the server ----------------------------------------------------------------------------

    async def info(self) -> dict[str, Any]:
        """What the server tells of itself."""
        with map_redis_errors():
            told: dict[str, Any] = await self.client.info()
        return told

    async def config(self, *names: str) -> dict[str, str] | None:
        """Some of its settings; None where this user may not see them."""
        try:
            with map_redis_errors():
                found: Any = await self.client.config_get(*names)
        except BusError:  # refused, or a server that knows no CONFIG
            return None
        return {_text(name): _text(value) for name, value in found.items()}

    async def time(self) -> float:
        """Its clock, in seconds since 1970."""
        with map_redis_errors():
            seconds, micros = await self.client.time()
        return float(seconds) + float(micros) / 1e6

    # --- asking --------------------------------------------------------------------------------

    async def send_command(self, command: str, by: str, **details: str) -> str:
        """Give the adapter a command."""
        fields: dict[Any, Any] = {"cmd": command, "by": by, **details}
        with map_redis_errors():
            entry: Any = await self.client.xadd(
                self.keys("control"), fields, maxlen=CONTROL_ENTRIES, approximate=True
            )
        return _words(entry)

    async def wait_reply(self, nonce: str, seconds: float) -> bytes | None:
        """The answer to a command that asked for one under this name; None where none comes in time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            with map_redis_errors():
                found: Any = await self.client.blpop([self.keys.reply(nonce)], min(left, WAIT_MS / 1000))
            if found:
                return bytes(found[1])
        return None

    async def append(self, stream: str, fields: Mapping[str, str | bytes]) -> str:
        """Append an entry."""
        with map_redis_errors():
            entry: Any = await self.client.xadd(self.keys(stream), dict[Any, Any](fields))
        return _words(entry)

    async def dead_letter(self, entry: str) -> dict[bytes, bytes] | None:
        """One entry of `qq:dead`; None where it is gone."""
        with map_redis_errors():
            rows: Any = await self.client.xrange(self.keys("dead"), entry, entry)
        return rows[0][1] if rows else None

    async def redrive(self, entry: str, stream: str, fields: Sequence[str | bytes]) -> str:
        """Append a dead letter's fields to a stream (a whole key) and drop it, in one step.

        Gives the new id, and "" where it was gone: doing it twice does it once.
        """
        with map_redis_errors():
            answer: Any = await self.client.eval(_REDRIVE, 2, self.keys("dead"), stream, entry, *fields)
        return _words(answer) if answer else ""

    async def drop(self, entries: Sequence[str]) -> int:
        """Delete dead letters; how many there were."""
        with map_redis_errors():
            return int(await self.client.xdel(self.keys("dead"), *entries))

    # --- trying a worker -----------------------------------------------------------------------

    async def abandon_entry(self, group: str, consumer: str, entry: str, idle_ms: int) -> None:
        """Make an entry of `qq:inbound` pending under a consumer that was last seen so long ago."""
        with map_redis_errors():
            await self.client.xclaim(
                self.keys("inbound"), group, consumer, 0, [entry], idle=idle_ms, force=True, justid=True
            )

    async def destroy_group(self, group: str) -> None:
        """Let a group of `qq:inbound` vanish."""
        with map_redis_errors():
            await self.client.xgroup_destroy(self.keys("inbound"), group)

    async def delete_all(self) -> None:
        """Delete every key under this prefix: for one that was made for a trial."""
        with map_redis_errors():
            keys = [key async for key in self.client.scan_iter(match=f"{self.keys('')}*", count=PAGE)]
            if keys:
                await self.client.unlink(*keys)


async def _greet(client: "redis.Redis", url: str | None) -> None:
    try:
        with map_redis_errors():
            await client.ping()
    except BusUnavailable as exc:
        raise unreachable_error(url, exc) from exc
    except BusError as exc:
        raise BusUnavailable(f"Redis at {redact_url(url)} does not let us in: {exc}") from exc


def _entries(rows: Any) -> list[Entry]:
    return [(entry.decode(), fields or {}) for entry, fields in rows]


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else _words(value)


def _words(value: bytes) -> str:
    return value.decode("utf-8", "replace")


class MonitorClient(AdminClient):
    """A desk with a view. Made without a word to Redis, which may be away just now."""

    @classmethod
    def from_url(cls, url: str | None, prefix: str) -> "MonitorClient":
        """Close its `client` in the end."""
        return cls(connect(url, prefix, timeout=TIMEOUT), Keys(prefix))

    async def close(self) -> None:
        """End the connections."""
        await self.client.aclose()

    async def ping(self) -> None:
        """Whether Redis serves. Raises BusUnavailable."""
        with map_redis_errors():
            await self.client.ping()

    async def wait_changed(self, cursors: Mapping[str, str], wait_ms: int) -> list[str]:
        """The streams in which something came behind these ids; waits so long. May be cancelled."""
        keys = {self.keys(name): name for name in cursors}
        with map_redis_errors():
            answer: Any = await self.client.xread(
                {key: cursors[name] for key, name in keys.items()}, count=1, block=wait_ms
            )
        return [keys[key.decode()] for key, _ in answer or ()]

    async def entries_after(self, stream: str, after: str, count: int) -> list[Entry]:
        """The newest entries behind an id, oldest first, however many more there are."""
        with map_redis_errors():
            rows: Any = await self.client.xrevrange(
                self.keys(stream), "+", f"({after}" if after else "-", count=count
            )
        return [(entry.decode(), fields or {}) for entry, fields in reversed(rows)]

    async def hash_size(self, name: str) -> int:
        """How many rows a hash has."""
        with map_redis_errors():
            return int(await self.client.hlen(self.keys(name)))

    async def entry(self, stream: str, entry: str) -> dict[bytes, bytes] | None:
        """One entry; None where it is gone."""
        with map_redis_errors():
            try:
                rows: Any = await self.client.xrange(self.keys(stream), entry, entry)
            except ResponseError:
                return None  # no id at all
        return rows[0][1] if rows else None
