"""Redis Cluster: all keys of a prefix `{tag}` live in one slot, so a client finds the node that owns it.

It asks at every new connection and asks again when the slot is elsewhere: after a failover, or after a
move to another node. redis-py's own RedisCluster repeats commands whose answer was lost, knows no WATCH on
asyncio, and answers some commands node by node; this one is a plain client in all but where it connects.
"""

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import redis.asyncio as redis
from redis.asyncio.connection import Connection, SSLConnection
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from adapter.errors import ConfigError

TAG: Final = re.compile(r"\{[^{}]+\}")
# A node that is alive answers at once; one that is not must not hold up the question for long.
ASK_SECONDS: Final = 1.0

Address = tuple[str, int]


class NotAClusterError(ResponseError):
    """A plain server was found where a Cluster was expected."""


def cluster_client(
    nodes: Sequence[Address], prefix: str, options: Mapping[str, Any], *, tls: bool
) -> "redis.Redis":
    """Make a client that follows the slot of `prefix`, starting from any of `nodes`.

    `options` are those of a connection. No I/O happens yet. Raises ConfigError for a prefix that would
    spread the keys over nodes.
    """
    if not TAG.fullmatch(prefix):
        raise ConfigError(
            f"QQBUS_PREFIX={prefix!r} would spread the keys over the Cluster, where no script can "
            f"reach them all (CROSSSLOT): give a hash tag, {{{prefix}}}"
        )
    guide = SlotResolver(nodes, key_slot(prefix.encode()), SSLConnection if tls else Connection, options)
    kind = SecureSlotConnection if tls else SlotConnection
    # The pool belongs to the client, which closes it.
    return redis.Redis.from_pool(redis.ConnectionPool(connection_class=kind, guide=guide, **options))


def is_cluster_client(client: "redis.Redis") -> bool:
    """Whether this client was made by `of_cluster`."""
    return issubclass(client.connection_pool.connection_class, SlotConnection)


class SlotResolver:
    """Knows nodes of the Cluster, and asks them who owns a slot."""

    def __init__(
        self, nodes: Iterable[Address], slot: int, kind: type[Connection], options: Mapping[str, Any]
    ) -> None:
        self._seeds = tuple(nodes)
        self.nodes = deque(self._seeds)
        self.current: Address | None = None
        self._slot = slot
        self._kind = kind
        self._options = {**options, "socket_timeout": ASK_SECONDS, "socket_connect_timeout": ASK_SECONDS}

    async def owner(self) -> Address:
        """The node that owns the slot, by the word of the first node that answers."""
        silent = []
        for _ in range(len(self.nodes)):
            node = self.nodes[0]
            # Another one next time: this one may be cut off from the others, and know nothing new.
            self.nodes.rotate(-1)
            try:
                table = await self._table(node)
            except (AuthenticationError, AuthorizationError):
                raise
            except (RedisConnectionError, RedisTimeoutError, OSError) as exc:
                silent.append(f"{node[0]}:{node[1]} ({str(exc) or type(exc).__name__})")
                continue
            if owner := self._read(table, node):
                self.current = owner
                return owner
        words = f", and these do not answer: {'; '.join(silent)}" if silent else ""
        raise RedisConnectionError(f"no node of the Cluster knows who owns slot {self._slot}{words}")

    async def _table(self, node: Address) -> Any:
        connection = self._kind(host=node[0], port=node[1], **self._options)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("CLUSTER", "SLOTS")
            return await connection.read_response()
        except ResponseError as exc:
            if "cluster support disabled" in str(exc):
                raise NotAClusterError(
                    "REDIS_URL says redis+cluster, and this Redis is none: say redis"
                ) from exc
            raise
        finally:
            await connection.disconnect(nowait=True)

    def _read(self, table: Any, asked: Address) -> Address | None:
        """The owner in the answer to CLUSTER SLOTS; all nodes in it are known from now on."""
        owner, known = None, dict.fromkeys(self._seeds)
        for first, last, *nodes in table:
            addresses = [_named(node, asked) for node in nodes]
            known.update(dict.fromkeys(addresses))
            if first <= self._slot <= last:
                owner = addresses[0]
        if set(known) != set(self.nodes):
            self.nodes = deque(known)
        return owner


def _named(node: Any, asked: Address) -> Address:
    # No name: the same host as the one that was asked. "?": it does not know its own.
    name = (node[0] or b"").decode()
    return (asked[0] if name in {"", "?"} else name), int(node[1])


class SlotConnection(Connection):
    """A connection to whoever owns the slot at the moment when it is made."""

    def __init__(self, *, guide: SlotResolver, **options: Any) -> None:
        super().__init__(**options)
        self._guide = guide

    async def connect(self) -> None:
        """Connect to the owner of the slot; drop a connection to a former owner."""
        # The pool calls this each time it lends a connection. One that still leads to a former owner
        # may be dead without knowing, and would take a whole time-out to find out.
        if self.is_connected and (self.host, self.port) != self._guide.current:
            await self.disconnect(nowait=True)
        await super().connect()  # type: ignore[no-untyped-call]

    async def connect_check_health(
        self,
        check_health: bool = True,  # noqa: FBT001, FBT002 – redis-py's signature
        retry_socket_connect: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        """Ask for the owner before a new connection."""
        if not self.is_connected:
            self.host, self.port = await self._guide.owner()
        await super().connect_check_health(check_health, retry_socket_connect)

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read a reply; disconnect from a node that does not serve the slot."""
        try:
            return await super().read_response(*args, **options)
        except (AskError, TryAgainError, ClusterDownError, ReadOnlyError) as exc:
            # Nothing has been done. Whoever repeats it does so on a new connection, to the owner of then.
            # MovedError is an AskError, MasterDownError a ClusterDownError.
            await self.disconnect(nowait=True)
            raise RedisConnectionError(_words(exc)) from exc


class SecureSlotConnection(SlotConnection, SSLConnection):
    """The same with TLS."""


def _words(exc: RedisError) -> str:
    return f"this node does not serve the slot now ({type(exc).__name__}: {exc})"
