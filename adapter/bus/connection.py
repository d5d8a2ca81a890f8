"""From a REDIS_URL to a client that never repeats a command by itself, and from foreign errors to ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import redis.asyncio as redis
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from adapter.bus.cluster import NotAClusterError, cluster_client
from adapter.errors import BusError, BusUnavailable, ConfigError, Fenced, UnsupportedServer

# Long enough for a busy disk, short enough to notice a dead peer before the lease is lost.
COMMAND_TIMEOUT = 5.0
CONNECT_TIMEOUT = 3.0
# Block this long when waiting for entries: the longest that a stop has to wait for the reader.
BLOCK_MS = 500
READ_TIMEOUT = BLOCK_MS / 1000 + 5.0

# Answers that pass: the server is loading, read-only, full, failing over, or cannot write its files.
_TRANSIENT = (
    "LOADING",
    "READONLY",
    "OOM",
    "MISCONF",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "NOREPLICAS",
    "BUSY",
)
_LOCAL = "redis://127.0.0.1:6379"
CLUSTERED = (
    "this Redis is a node of a Cluster: give REDIS_URL=redis+cluster://host:port,host:port "
    "and a hash tag as QQBUS_PREFIX, such as {qq}"
)


def connect(url: str | None, prefix: str = "qq", *, timeout: float = COMMAND_TIMEOUT) -> "redis.Redis":
    """A client for a `REDIS_URL` of the contract; no I/O happens yet. Raises ConfigError.

    `prefix` is that of the keys: in a Cluster it says which node to talk to.

    redis-py 8 sends a command up to ten times more when a reply is lost, which doubles entries:
    retries are switched off here, and whoever knows a step to be idempotent repeats it.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "retry": None,
        "health_check_interval": 0,
        "protocol": 2,
        "client_name": "qqbus",
    }
    url = url or _LOCAL
    try:
        if "+sentinel" in url.partition(":")[0]:
            return _sentinel(url, options)
        if "+cluster" in url.partition(":")[0]:
            return cluster_client(url, prefix, options)
        return redis.Redis.from_url(url, **options)
    except ValueError as exc:
        raise ConfigError("REDIS_URL is not understood: give redis://host:port/db") from exc


def _sentinel(url: str, options: dict[str, Any]) -> "redis.Redis":
    parts = urlsplit(url)
    path = parts.path.strip("/").split("/")
    if not path[0]:
        raise ConfigError("REDIS_URL names no Sentinel master: give redis+sentinel://host:port,…/name")
    hosts = [host.rpartition(":") for host in parts.netloc.rpartition("@")[2].split(",")]
    addresses = [(host or port, int(port) if host else 26379) for host, _, port in hosts]
    if parts.scheme.startswith("rediss"):
        options["ssl"] = True
    auth = {
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
    }
    watchers = Sentinel(addresses, sentinel_kwargs={**options, "client_name": None}, **options)  # type: ignore[no-untyped-call]
    db = int(path[1]) if len(path) > 1 else 0
    master: redis.Redis = watchers.master_for(path[0], db=db, **auth)  # type: ignore[arg-type]
    return master


def redact_url(url: str | None) -> str:
    """The address without user, password and query, for people to read."""
    parts = urlsplit(url or _LOCAL)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def unreachable_error(url: str | None, exc: BusUnavailable) -> BusUnavailable:
    """What to say of a Redis that never answered: where it was looked for, and what to change."""
    advice = "set REDIS_URL to where it is" if url is None else "is REDIS_URL right, and does it run?"
    start = "; `qqbus run` and `qqbus redis` start one" if url is None else ""
    reason = str(exc.__cause__ or exc).partition(". Connect call failed")[0]
    return BusUnavailable(f"no Redis answers at {redact_url(url)}: {advice}{start} ({reason})")


@contextmanager
def map_redis_errors() -> Iterator[None]:
    """Foreign exceptions stop here: ours come out, the foreign one as their cause."""
    try:
        yield
    except (AskError, ClusterCrossSlotError) as exc:
        raise ConfigError(CLUSTERED) from exc
    except NotAClusterError as exc:
        raise ConfigError(str(exc)) from exc
    except (AuthenticationError, AuthorizationError, NoPermissionError) as exc:
        raise UnsupportedServer(f"Redis refuses this user: {exc}") from exc
    except (
        RedisConnectionError,  # Sentinel's MasterNotFoundError too
        RedisTimeoutError,
        BusyLoadingError,
        ReadOnlyError,
        OutOfMemoryError,
        ClusterDownError,
        OSError,
    ) as exc:
        raise BusUnavailable(f"Redis does not serve: {type(exc).__name__}: {exc}") from exc
    except ResponseError as exc:
        raise _answer(exc) from exc
    except RedisError as exc:
        raise BusError(f"{type(exc).__name__}: {exc}") from exc


def _answer(exc: ResponseError) -> BusError:
    text = str(exc)
    if "FENCED" in text:
        return Fenced("a newer adapter holds the lease")
    if text.startswith(_TRANSIENT) or any(f"{word} " in text for word in ("-OOM", "-READONLY", "-MISCONF")):
        return BusUnavailable(f"Redis does not serve: {text}")
    return BusError(text)


def is_group_missing(exc: RedisError) -> bool:
    """Whether a read failed because its stream or group is gone."""
    return str(exc).startswith(("NOGROUP", "UNBLOCKED"))
