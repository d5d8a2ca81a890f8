"""Connect to the node of a Redis Cluster that owns the slot of one hash tag.

All keys of a prefix `{tag}` are in one slot. The client resolves its owner with CLUSTER SLOTS at every new
connection, and again after a failover or a migration of the slot. redis-py's RedisCluster repeats commands
whose answer was lost, runs WATCH on asyncio in a thread, and answers some commands node by node. This client
is a plain one in all but where it connects.
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
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from adapter.bus.direct_write import DirectWrite
from adapter.errors import ConfigError
from adapter.i18n import N_

TAG: Final = re.compile(r"\{[^{}]+\}")
# Seconds for a node to answer CLUSTER SLOTS: a live one answers at once, then the next one is asked.
ASK_SECONDS: Final = 1.0

Address = tuple[str, int]


NOT_A_CLUSTER = N_("REDIS_URL says redis+cluster, and this Redis is no Cluster: say redis://host:port")


class NotAClusterError(ResponseError):
    """The server is no node of a Cluster."""


def cluster_client(
    nodes: Sequence[Address], prefix: str, options: Mapping[str, Any], *, tls: bool
) -> "redis.Redis":
    """Make a client that follows the slot of `prefix`, starting from any of `nodes`.

    `options` are those of a connection. No I/O happens yet. Raises ConfigError for a prefix that would
    spread the keys over nodes.
    """
    if not TAG.fullmatch(prefix):
        raise ConfigError(
            "QQBUS_PREFIX={prefix!r} would spread the keys over the Cluster, where no script can "
            "reach them all (CROSSSLOT): set QQBUS_PREFIX={{{prefix}}}, a hash tag",
            prefix=prefix,
        )
    resolver = SlotResolver(nodes, key_slot(prefix.encode()), SSLConnection if tls else Connection, options)
    kind = SecureSlotConnection if tls else SlotConnection
    # The pool belongs to the client, which closes it.
    return redis.Redis.from_pool(redis.ConnectionPool(connection_class=kind, resolver=resolver, **options))


def is_cluster_client(client: "redis.Redis") -> bool:
    """Return whether `cluster_client` made this client."""
    return issubclass(client.connection_pool.connection_class, SlotConnection)


class SlotResolver:
    """Resolves the owner of a slot by asking the nodes of the Cluster."""

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
        """Return the owner of the slot, as the first node that answers knows it."""
        silent = []
        for _ in range(len(self.nodes)):
            node = self.nodes[0]
            # Ask another one next time: this one may be partitioned from the others, with an old table.
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
        detail = f", and these do not answer: {'; '.join(silent)}" if silent else ""
        raise RedisConnectionError(f"no node of the Cluster knows the owner of slot {self._slot}{detail}")

    async def _table(self, node: Address) -> Any:
        connection = self._kind(host=node[0], port=node[1], **self._options)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("CLUSTER", "SLOTS")
            return await connection.read_response()
        except ResponseError as exc:
            if "cluster support disabled" in str(exc):
                raise NotAClusterError(NOT_A_CLUSTER) from exc
            raise
        finally:
            await connection.disconnect(nowait=True)

    def _read(self, table: Any, asked: Address) -> Address | None:
        """Return the owner in an answer to CLUSTER SLOTS; remember all nodes in it."""
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
    # Without a name it is the host that was asked. "?": the node does not know its own name.
    name = (node[0] or b"").decode()
    return (asked[0] if name in {"", "?"} else name), int(node[1])


class SlotConnection(DirectWrite, Connection):
    """A connection to the node that owns the slot when it connects."""

    def __init__(self, *, resolver: SlotResolver, **options: Any) -> None:
        super().__init__(**options)
        self._resolver = resolver

    async def connect(self) -> None:
        """Connect, after dropping a connection to a former owner."""
        # The pool calls this each time it lends a connection. The peer of one to a former owner may be
        # dead, which would take a whole timeout to find out.
        if self.is_connected and (self.host, self.port) != self._resolver.current:
            await self.disconnect(nowait=True)
        await super().connect()  # type: ignore[no-untyped-call]

    async def connect_check_health(
        self,
        check_health: bool = True,  # noqa: FBT001, FBT002 – redis-py's signature
        retry_socket_connect: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        """Resolve the owner before a new connection."""
        if not self.is_connected:
            self.host, self.port = await self._resolver.owner()
        await super().connect_check_health(check_health, retry_socket_connect)

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read a reply. Raises redis-py's ConnectionError if this node does not serve the slot."""
        try:
            return await super().read_response(*args, **options)
        except (AskError, TryAgainError, ClusterDownError, ReadOnlyError) as exc:
            # The command was not executed: the caller repeats it on a new connection to the new owner.
            # MovedError is an AskError, MasterDownError a ClusterDownError.
            await self.disconnect(nowait=True)
            reason = f"{type(exc).__name__}: {exc}"
            raise RedisConnectionError(f"this node does not serve the slot: {reason}") from exc


class SecureSlotConnection(SlotConnection, SSLConnection):
    """A SlotConnection over TLS."""
