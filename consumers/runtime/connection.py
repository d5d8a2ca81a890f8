"""Settings of a worker, its connections, and which errors of Redis pass by themselves."""

import os
import random
import re
import secrets
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import redis.asyncio as redis
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ExecAbortError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from adapter import ConfigError

# Not one of the public names: `import adapter` must not bring redis along.
from adapter.bus.cluster import cluster_client

# How long a read waits for entries: a stop is noticed after this time at the latest.
BLOCK_MS: Final = 500
COMMAND_TIMEOUT: Final = 5.0
CONNECT_TIMEOUT: Final = 3.0
_DEFAULT_URL: Final = "redis://127.0.0.1:6379"
_RAW: Final = ("XREADGROUP", "XREAD", "XAUTOCLAIM", "XCLAIM", "XPENDING")
_PASSING: Final = (
    *("LOADING", "READONLY", "OOM", "MISCONF", "MASTERDOWN"),
    *("CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "BUSY", "UNBLOCKED"),
)
_APPLICATION: Final = re.compile(r"[A-Za-z0-9._-]{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the bus is; names of the variables are the contract's."""

    url: str = _DEFAULT_URL
    prefix: str = "qq"
    http: str = ""

    @classmethod
    def read(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """`REDIS_URL`, `QQBUS_PREFIX`, `QQBUS_WORKER_HTTP` (host:port of the numbers; empty: none)."""

        def value(name: str, default: str) -> str:
            return env.get(name, "").strip() or default

        return cls(
            value("REDIS_URL", _DEFAULT_URL), value("QQBUS_PREFIX", "qq"), value("QQBUS_WORKER_HTTP", "")
        )

    def key(self, name: str) -> str:
        """The key of that name under the prefix."""
        return f"{self.prefix}:{name}"


def connect(url: str, prefix: str = "qq", *, wait: float = 0.0) -> "redis.Redis":
    """A client that never repeats a command by itself; `wait`: how long its commands may block.

    `prefix` is that of the keys: in a Cluster it says which node to talk to. Raises ConfigError.

    redis-py 8 would send a command up to ten times more when a reply is lost, which doubles entries.
    Stream commands answer as the server does, flat: turning them into dicts is left to whoever needs it.
    """
    options: dict[str, Any] = {
        "socket_timeout": COMMAND_TIMEOUT + wait,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_keepalive": True,
        "retry": None,
        "health_check_interval": 0,
    }
    try:
        client = _client(url, prefix, options)
    except ValueError as exc:
        # The address may hold a password: it is never repeated.
        raise ConfigError("REDIS_URL is not understood: give redis://host:port") from exc
    for name in _RAW:
        client.response_callbacks.pop(name, None)
    return client


def _client(url: str, prefix: str, options: dict[str, Any]) -> "redis.Redis":
    scheme = url.partition(":")[0]
    if scheme.endswith("+sentinel"):
        return _sentinel(url, options)
    if scheme.endswith("+cluster"):
        return cluster_client(url, prefix, options)
    return redis.Redis.from_url(url, **options)


def _sentinel(url: str, options: dict[str, Any]) -> "redis.Redis":
    parts = urlsplit(url)
    name, _, db = parts.path.strip("/").partition("/")
    hosts = [host.rpartition(":") for host in parts.netloc.rpartition("@")[2].split(",")]
    addresses = [(host or port, int(port) if host else 26379) for host, _, port in hosts]
    if parts.scheme.startswith("rediss"):
        options["ssl"] = True
    watchers = Sentinel(addresses, sentinel_kwargs=dict(options), **options)  # type: ignore[no-untyped-call]
    master: redis.Redis = watchers.master_for(
        name,
        db=int(db or 0),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )
    return master


def is_transient(exc: BaseException) -> bool:
    """Whether trying the same again later may help. Wrong passwords and missing rights do not pass."""
    if isinstance(exc, AuthenticationError | AuthorizationError | NoPermissionError):
        return False
    if isinstance(exc, ExecAbortError):
        # What spoiled the transaction stands behind it, if the server said it.
        cause = getattr(exc, "__cause__", None)
        return cause is None or is_transient(cause)
    passing = (
        RedisConnectionError,  # Sentinel's MasterNotFoundError too
        RedisTimeoutError,
        BusyLoadingError,
        ReadOnlyError,
        OutOfMemoryError,
        ClusterDownError,
        OSError,
    )
    return isinstance(exc, passing) or (isinstance(exc, RedisError) and _words(exc).startswith(_PASSING))


def is_group_missing(exc: BaseException) -> bool:
    """Whether a command failed because its stream or group does not exist any more."""
    return isinstance(exc, RedisError) and _words(exc).startswith(("NOGROUP", "UNBLOCKED"))


def _words(exc: RedisError) -> str:
    """What the server said; redis-py puts the command before it where it stood in a pipeline."""
    before, found, after = str(exc).partition(" of pipeline caused error: ")
    return after.lstrip("('\"") if found else before


def backoff(first: float = 0.05, most: float = 5.0) -> Iterator[float]:
    """Delays in seconds between tries, doubled up to `most`, each shortened by up to a half at random."""
    delay = first
    while True:
        yield delay * (1.0 - random.random() / 2)
        delay = min(delay * 2, most)


def consumer_name() -> str:
    """A name nobody had before: host, process, chance."""
    host = re.sub(r"[^A-Za-z0-9.]", "", socket.gethostname())[:24] or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"


def application_name(name: str) -> str:
    """The name if it can be a group and the head of a request id. Raises ValueError."""
    if not _APPLICATION.fullmatch(name) or name == "adapter":
        raise ValueError(f"{name!r} cannot name an application: 1 to 40 of A-Z a-z 0-9 . _ -, not `adapter`")
    return name
