"""Redis for the adapter: a connection for commands, one for blocking reads, atomic steps as scripts."""

from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
import msgpack
import redis.asyncio as redis
from redis.commands.core import AsyncScript
from redis.exceptions import ResponseError

from adapter.bus.cluster import is_cluster_client
from adapter.bus.connection import (
    CLUSTERED,
    READ_TIMEOUT,
    connect,
    is_group_missing,
    map_redis_errors,
)
from adapter.bus.entries import Entry
from adapter.bus.group_reader import GroupReader
from adapter.bus.id_limit import IdLimit
from adapter.bus.key_types import describe_foreign_keys
from adapter.bus.keys import GROUP, Keys
from adapter.bus.scripts import source
from adapter.codec.inbound import EventRecord
from adapter.errors import (
    BusError,
    BusUnavailable,
    ConfigError,
    SequenceLost,
    UnsupportedServer,
    WrongKeyType,
)

# Events in one append: it blocks Redis for about a millisecond.
MAX_BATCH = 500
# Event ids in each of two generations: a copy of any of the last 32,768 events is recognised. About 8 MB.
SEEN_WINDOW = 32_768
# Entries that `qq:session` keeps: a login has about ten.
SESSION_ENTRIES = 1_000
# Milliseconds that WAIT waits for the replicas.
REPLICAS_MS = 1_000
# Seconds that lists of members stay: those of a former chat are not loaded again.
MEMBERS_TTL = 7 * 86_400
# Seconds that an answer waits for its caller; a picture has megabytes.
REPLY_TTL = 60
MIN_VERSION = (6, 2)


class Fence(NamedTuple):
    """The writer: the epoch of the lease and its holder."""

    epoch: int
    holder: str


class Counts(NamedTuple):
    """Events of an account: `seq`, the number of the newest one, and `live`, without the late appends."""

    seq: int = 0
    live: int = 0


class Appended(NamedTuple):
    """Result of an append: `added` new entries; `total` events of all accounts."""

    added: int
    total: int
    counts: Counts


def pack_batch(records: Sequence[EventRecord]) -> bytes:
    """Pack at most MAX_BATCH events for the append script. Lua's msgpack knows no `bin` type."""
    return msgpack.packb(records, use_bin_type=False)  # type: ignore[no-any-return]


def last_of(packed: bytes) -> EventRecord:
    """Return the last event of a packed batch; its `body` is no bytes any more."""
    return EventRecord(*msgpack.unpackb(packed, unicode_errors="surrogateescape")[-1])


def ids_of(packed: bytes) -> list[str]:
    """Return the ids of all events of a packed batch."""
    return [str(row[0]) for row in msgpack.unpackb(packed, unicode_errors="surrogateescape")]


def dedup_horizon(total: int) -> int:
    """Return after how many events a batch must have come for Redis to recognise it at `total`."""
    return total - SEEN_WINDOW + MAX_BATCH


class Bus:
    """Redis for the adapter. All methods raise BusUnavailable while Redis is away."""

    def __init__(self, client: "redis.Redis", reader: "redis.Redis", keys: Keys) -> None:
        self.client = client
        self.reader = reader
        self.keys = keys
        self.id_limit = IdLimit()
        self._scripts: dict[str, AsyncScript] = {}
        self._readers: dict[str, GroupReader] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str | None, prefix: str) -> AsyncIterator["Bus"]:
        """Make the clients. The first command connects."""
        client = connect(url, prefix)
        reader = connect(url, prefix, timeout=READ_TIMEOUT, bounded=True)
        try:
            yield cls(client, reader, Keys(prefix))
        finally:
            # redis-py closes in tasks of its own: a cancelled close leaves the connections open.
            with anyio.CancelScope(shield=True):
                await client.aclose()
                await reader.aclose()

    async def run_script(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script of `scripts/`. Raises Fenced if a newer holder exists."""
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self.client.register_script(source(name))
        try:
            with map_redis_errors():
                return await script(keys=keys, args=args)
        except WrongKeyType as exc:
            raise await self._naming(exc, *keys) from exc

    async def _naming(self, error: WrongKeyType, *keys: str) -> WrongKeyType:
        """Return an error that names which of these keys are of another type; Redis names none."""
        text = await describe_foreign_keys(self.client, self.keys.prefix, keys)
        return WrongKeyType("another program uses a key of the adapter: {text}", text=text) if text else error

    async def ping(self) -> None:
        """Check that Redis answers."""
        with map_redis_errors():
            await self.client.ping()

    async def run_id(self) -> str:
        """Return the id of this run of Redis: after a restart it may have lost its last writes."""
        with map_redis_errors():
            info: dict[str, Any] = await self.client.info("server")
        return str(info.get("run_id", ""))

    async def check_server(self) -> str:
        """Return name and version of the server. Raises UnsupportedServer and ConfigError."""
        with map_redis_errors():
            info: dict[str, Any] = await self.client.info("server")
            memory: dict[str, Any] = await self.client.info("memory")
        if "cluster" in (info.get("redis_mode"), info.get("server_mode")) and not is_cluster_client(
            self.client
        ):
            raise ConfigError(CLUSTERED)
        version = str(info.get("redis_version", "0"))
        if tuple(int(part) for part in version.split(".")[:2]) < MIN_VERSION:
            raise UnsupportedServer(
                "Redis {version} is too old: use 6.2 or newer, or Valkey", version=version
            )
        policy = str(memory.get("maxmemory_policy", "noeviction"))
        if policy.startswith("allkeys-"):
            raise UnsupportedServer(
                "this Redis may delete whole streams when memory is short (maxmemory-policy {policy}): "
                "set maxmemory-policy to noeviction or volatile-ttl",
                policy=policy,
            )
        name = "Valkey" if info.get("server_name") == "valkey" else "Redis"
        return f"{name} {info.get('valkey_version', version)}"

    async def append(
        self,
        fence: Fence | None,
        account: str,
        packed: bytes,
        expected: int = 0,
        published_total: int | None = None,
    ) -> Appended:
        """Append a packed batch to `qq:inbound` in one step; events whose ids Redis knows are dropped.

        Without a fence it is a late append: it takes the current epoch. `expected`: live events that Redis
        has confirmed before. `published_total`: its events when this batch came before; the batch is dropped
        where Redis may not recognise it any more. Raises Fenced and SequenceLost: nothing was appended.
        """
        epoch, holder = fence or ("", "")
        limit = 0 if published_total is None else max(1, published_total + SEEN_WINDOW - MAX_BATCH)
        names = ("ids:epoch", "ids:seq", "ids:seq:late", "seen:new", "seen:old", "inbound")
        args = [epoch, holder, account, expected, SEEN_WINDOW, limit, packed]
        added, total, *counts = map(int, await self.run_script("append", [*map(self.keys, names)], args))
        if added < 0:
            raise SequenceLost(Counts(*counts).live)
        return Appended(added, total, Counts(*counts))

    async def raise_sequence(self, fence: Fence, account: str, confirmed: Counts) -> tuple[int, Counts]:
        """Skip the numbers of lost events, up to what Redis had confirmed; returns how many, and the counts.

        An event is lost if both counts lack it. One that a standby appends again lacks in `live` alone, a
        lost late append in `seq` alone.
        """
        names = [self.keys(name) for name in ("ids:epoch", "ids:seq", "ids:seq:late")]
        lost, *counts = map(
            int, await self.run_script("raise_sequence", names, [*fence, account, *confirmed])
        )
        return lost, Counts(*counts)

    async def seqs(self) -> dict[str, int]:
        """Return the number of the newest event of each account."""
        return {account: int(seq) for account, seq in (await self.hgetall(self.keys("ids:seq"))).items()}

    async def missing_ids(self, events: Sequence[str]) -> list[str]:
        """Return those of these ids that Redis does not remember."""
        left = [*events]
        # The newer ones first: they become the older ones at any moment.
        for key in (self.keys("seen:new"), self.keys("seen:old")):
            if left:
                with map_redis_errors():
                    found: Any = await self.client.smismember(key, left)
                left = [event for event, known in zip(left, found, strict=True) if not known]
        return left

    async def ensure_group(self, stream: str, group: str = GROUP) -> None:
        """Make a consumer group that starts at the beginning, and its stream, unless they exist."""
        with map_redis_errors():
            try:
                await self.client.xgroup_create(self.keys(stream), group, id="0", mkstream=True)
            except ResponseError as exc:
                if not str(exc).startswith("BUSYGROUP"):
                    raise

    def group_reader(self, stream: str) -> GroupReader:
        """Return the one reader of this stream."""
        if stream not in self._readers:
            keys = self.keys(stream), self.keys("ids:epoch")
            self._readers[stream] = GroupReader(*keys, self.run_script, self.client, self.reader)
        return self._readers[stream]

    async def read_pending(self, stream: str, after: str, count: int) -> list[Entry]:
        """Return what this group has read and not acknowledged, after an id; see `group_reader`."""
        reader = self.group_reader(stream)
        return [(row.entry, row.fields) for row in await reader.read(await reader.pending_ids(after, count))]

    async def read_new(self, stream: str, count: int, fence: Fence | None = None) -> list[Entry]:
        """Read new entries for the group; waits for BLOCK_MS at most. Raises Fenced.

        Read the pending list after it was cancelled: entries may be in it that no caller has.
        """
        try:
            rows = await self.group_reader(stream).read_new(count, fence)
        except BusError as exc:
            if exc.__cause__ is None or not is_group_missing(exc.__cause__):
                raise
            await self.ensure_group(stream)
            return []
        return [(row.entry, row.fields) for row in rows]

    async def write_status(
        self, fence: Fence, status: Mapping[str, str], session: Mapping[str, str | bytes] | None = None
    ) -> None:
        """Write fields of `qq:status`, and an entry of `qq:session`, in one step."""
        flat: list[object] = [item for pair in status.items() for item in pair]
        entry: list[object] = [item for pair in (session or {}).items() for item in pair]
        names = [self.keys("ids:epoch"), self.keys("status"), self.keys("session")]
        await self.run_script("write_status", names, [*fence, SESSION_ENTRIES, len(flat), *flat, *entry])

    async def replace_hash(
        self, fence: Fence, key: str, rows: Iterable[tuple[str, bytes]], ttl: int = 0
    ) -> None:
        """Replace a whole hash. `ttl`: seconds, 0 for none."""
        flat = [item for pair in rows for item in pair]
        await self.run_script("replace_hash", [self.keys("ids:epoch"), key], [*fence, ttl, *flat])

    async def hgetall(self, key: str) -> dict[str, bytes]:
        """Return all of a hash."""
        rows: Any = await self._do(key, self.client.hgetall(key))
        return {name.decode(): value for name, value in rows.items()}

    async def hmget(self, key: str, fields: Sequence[str]) -> list[bytes | None]:
        """Return fields of a hash; None for each that it has not."""
        values: Any = await self._do(key, self.client.hmget(key, list(fields)))
        return list(values)

    async def hset(self, key: str, rows: Mapping[str, bytes]) -> None:
        """Set fields of a hash."""
        if rows:
            await self._do(key, self.client.hset(key, mapping=dict[Any, Any](rows)))

    async def hdel(self, key: str, fields: Sequence[str]) -> None:
        """Delete fields of a hash."""
        if fields:
            await self._do(key, self.client.hdel(key, *fields))

    async def _do(self, key: str, command: Awaitable[Any]) -> Any:
        """Await a command on one key."""
        try:
            with map_redis_errors():
                return await command
        except WrongKeyType as exc:
            raise await self._naming(exc, key) from exc

    async def xack(self, stream: str, *entries: str) -> None:
        """Acknowledge entries."""
        with map_redis_errors():
            await self.client.xack(self.keys(stream), GROUP, *entries)

    async def wait_replicas(self, replicas: int) -> None:
        """Wait until `replicas` have what was written. Raises BusUnavailable if they do not in time.

        A failover may lose it even then, in rare cases: Redis has no consensus. The publisher replays lost
        events with or without this.
        """
        with map_redis_errors():
            reached = int(await self.client.wait(replicas, REPLICAS_MS))
        if reached < replicas:
            raise BusUnavailable(
                "{reached} of {replicas} replicas have confirmed", reached=reached, replicas=replicas
            )

    async def get_entry(self, stream: str, entry: str) -> dict[bytes, bytes] | None:
        """Return the fields of one entry; None if it is gone."""
        with map_redis_errors():
            rows: Any = await self.client.xrange(self.keys(stream), entry, entry)
        return rows[0][1] if rows else None

    async def reply(self, fence: Fence, nonce: str, answer: bytes) -> None:
        """Give an answer to the caller that named `nonce`."""
        names = [self.keys("ids:epoch"), self.keys.reply(nonce)]
        await self.run_script("reply", names, [*fence, REPLY_TTL, answer])

    async def xdel(self, stream: str, entry: str) -> None:
        """Delete an entry of a stream."""
        with map_redis_errors():
            await self.client.xdel(self.keys(stream), entry)

    async def list_head(self, key: str) -> bytes | None:
        """Return the first value of a list, which stays there; None if there is none."""
        with map_redis_errors():
            value: Any = await self.client.lindex(key, 0)
        return None if value is None else bytes(value)

    async def list_remove(self, key: str, value: bytes) -> None:
        """Remove this value from a list, if it is still there."""
        with map_redis_errors():
            await self.client.lrem(key, 1, value)  # type: ignore[arg-type]

    async def pending_count(self, stream: str) -> int:
        """Return how many entries this group has read and not acknowledged."""
        return int((await self._pending(stream)).get("pending", 0))

    async def oldest_pending(self) -> str:
        """Return the oldest entry of `qq:outbound` that is not settled; empty if there is none."""
        oldest = (await self._pending("outbound")).get("min")
        return oldest.decode() if oldest else ""

    async def _pending(self, stream: str) -> dict[str, Any]:
        with map_redis_errors():
            try:
                found: dict[str, Any] = await self.client.xpending(self.keys(stream), GROUP)
            except ResponseError:
                return {}
        return found

    async def outbound_pending(self) -> int:
        """Return how many requests wait or are in flight.

        Where Redis keeps no count of the unread ones, they count as one: they are read within moments.
        """
        with map_redis_errors():
            try:
                groups: Any = await self.client.xinfo_groups(self.keys("outbound"))
            except ResponseError:
                return 0
        for group in groups:
            if group.get("name") == GROUP.encode():
                lag = group.get("lag")  # None before Redis 7, and after a deletion in the middle
                if lag is None:
                    [(_, last)] = await self.run_script("survey", [self.keys("outbound")], [])
                    lag = last != group["last-delivered-id"]
                return int(lag) + int(group["pending"])
        return 0
