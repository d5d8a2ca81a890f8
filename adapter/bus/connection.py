"""Connect to a REDIS_URL without automatic retries; map redis-py's errors to ours."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import redis.asyncio as redis
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    ExecAbortError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from adapter.bus import redis_url
from adapter.bus.bounded_parser import BoundedParser, ReplyTooLargeError
from adapter.bus.cluster import NOT_A_CLUSTER, NotAClusterError, cluster_client
from adapter.bus.direct_write import DirectConnection, DirectSSLConnection, DirectUnixConnection
from adapter.bus.local_connection import LOCAL_HOSTS, LocalConnection
from adapter.bus.redis_url import RedisUrl
from adapter.errors import (
    AccessRefused,
    BusError,
    BusUnavailable,
    ConfigError,
    Fenced,
    ReplyTooLarge,
    WrongKeyType,
)
from adapter.i18n import N_
from adapter.plain_text import harmless

log = logging.getLogger(__name__)

# Seconds. Long enough for a busy disk, short enough to notice a dead peer before the lease is lost.
COMMAND_TIMEOUT = 5.0
CONNECT_TIMEOUT = 3.0
# Milliseconds that a read waits for entries: the longest that a stop has to wait for the reader.
BLOCK_MS = 500
READ_TIMEOUT = BLOCK_MS / 1000 + COMMAND_TIMEOUT

# Replies that pass: the server is loading, read-only, full, failing over, or cannot write its files.
_TRANSIENT = (
    *("LOADING", "READONLY", "OOM", "MISCONF", "MASTERDOWN", "CLUSTERDOWN"),
    *("TRYAGAIN", "NOREPLICAS", "BUSY", "UNBLOCKED"),
    # StreamIds heals it within seconds.
    *("The stream has exhausted", "ERR The stream has exhausted"),
)
# The same inside the error of a script.
_TRANSIENT_IN_SCRIPT = ("-OOM ", "-READONLY ", "-MISCONF ", "The stream has exhausted")
_REFUSED = (AuthenticationError, AuthorizationError, NoPermissionError)
_UNAVAILABLE = (
    RedisConnectionError,  # Sentinel's MasterNotFoundError too
    RedisTimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    OutOfMemoryError,
    ClusterDownError,
    OSError,
)
_LOCAL = "redis://127.0.0.1:6379"
CLUSTERED = N_(
    "this Redis is a node of a Cluster: give REDIS_URL=redis+cluster://host:port,host:port "
    "and a hash tag as QQBUS_PREFIX, such as {qq}"
)


def connect(
    url: str | None, prefix: str = "qq", *, timeout: float = COMMAND_TIMEOUT, bounded: bool = False
) -> "redis.Redis":
    """Make a client for a REDIS_URL; no I/O happens yet. Raises ConfigError.

    `prefix` is that of the keys: in a Cluster it selects the node. `timeout` is in seconds. With `bounded` a
    reply has at most `bounded_parser.MAX_REPLY` bytes.

    redis-py 8 sends a command up to ten times more when a reply is lost, which doubles entries.
    Its retries are off: the caller repeats what it knows to be idempotent. Options of the address
    never replace these.
    """
    address = RedisUrl.parse(url or _LOCAL)
    if address.ignored:
        _warn_of_ignored(address.shown, address.ignored, tls=address.tls)
    options: dict[str, Any] = {
        **address.credentials,
        **address.tls_options,
        "socket_timeout": timeout,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "retry": None,
        "health_check_interval": 0,
        "protocol": 2,
        "client_name": "qqbus",
    }
    if bounded:
        options["parser_class"] = BoundedParser
    if address.kind == "sentinel":
        return _sentinel(address, options)
    if address.kind == "cluster":
        if address.db:
            raise ConfigError("REDIS_URL names a database, and a Cluster has none: leave the number out")
        return cluster_client(address.hosts, prefix, options, tls=address.tls)
    if address.path:
        options |= {"connection_class": DirectUnixConnection, "path": address.path}
    else:
        host, port = address.hosts[0]
        kind: type[DirectConnection] = DirectSSLConnection if address.tls else DirectConnection
        if not address.tls and host in LOCAL_HOSTS and not address.credentials:
            kind = LocalConnection
        options |= {"connection_class": kind, "host": host, "port": port, "socket_keepalive": True}
    # The client closes the pool.
    return redis.Redis.from_pool(redis.ConnectionPool(db=address.db, **options))


@cache
def _warn_of_ignored(shown: str, names: tuple[str, ...], *, tls: bool) -> None:
    """Name options of the address that are not used, once; their values may be secrets."""
    secure = "" if tls or not any(name.startswith("ssl_") for name in names) else " (TLS takes rediss://)"
    log.warning(
        "%s: options of REDIS_URL that are not used here: %s%s", shown, harmless(", ".join(names)), secure
    )


def _sentinel(address: RedisUrl, options: dict[str, Any]) -> "redis.Redis":
    if address.tls:
        options["ssl"] = True
    # The Sentinels have users of their own.
    asking = {
        name: value
        for name, value in options.items()
        if name not in {*address.credentials, "client_name", "parser_class"}
    }
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        address.hosts, sentinel_kwargs={**asking, **address.sentinel_credentials}, **options
    )
    master: redis.Redis = sentinel.master_for(address.master, db=address.db)
    return master


def redact_url(url: str | None) -> str:
    """Return the address without user, password and options, for people to read."""
    return redis_url.redact_url(url or _LOCAL)


def unreachable_error(url: str | None, exc: BusUnavailable) -> BusUnavailable:
    """Say where Redis was looked for and what to change, when it never answered or refuses this user."""
    if isinstance(exc, AccessRefused):
        advice = "" if url else N_("; with REDIS_URL unset that is what listens there: set REDIS_URL")
        return AccessRefused(
            "Redis at {url} does not let us in: {error}{advice}",
            url=redact_url(url),
            error=exc,
            advice=advice,
        )
    reason = describe_error(exc.__cause__ or exc).partition(". Connect call failed")[0]
    if url is None:
        text = N_(
            "no Redis answers at {url}: set REDIS_URL to where it is; `qqbus run` and `qqbus redis` start "
            "one ({reason})"
        )
    else:
        text = N_("no Redis answers at {url}: is REDIS_URL right, and does it run? ({reason})")
    return BusUnavailable(text, url=redact_url(url), reason=reason)


def describe_error(exc: BaseException) -> str:
    """Return the server's own words, without the command and the innards that redis-py adds."""
    text = str(exc)
    if isinstance(exc, MasterNotFoundError):
        wants = "Authentication" in text or "NOAUTH" in text or "WRONGPASS" in text
        advice = ": a Sentinel refuses us, give its password as ?sentinel_password=" if wants else ""
        return text.partition(" : ")[0] + advice
    before, found, after = text.partition(" of pipeline caused error: ")
    return after.lstrip("('\"") if found else before


def is_transient(exc: BaseException) -> bool:
    """Return whether the same command may succeed later. Wrong passwords and missing rights do not."""
    if isinstance(exc, _REFUSED):
        return False
    if isinstance(exc, ExecAbortError):
        # What spoiled the transaction is its cause, if the server named it.
        return exc.__cause__ is None or is_transient(exc.__cause__)
    if isinstance(exc, _UNAVAILABLE):
        return True
    text = describe_error(exc)
    return isinstance(exc, RedisError) and (
        text.startswith(_TRANSIENT) or any(word in text for word in _TRANSIENT_IN_SCRIPT)
    )


@contextmanager
def map_redis_errors() -> Iterator[None]:
    """Raise ours for redis-py's exceptions, with the foreign one as the cause."""
    try:
        yield
    except (AskError, ClusterCrossSlotError) as exc:
        raise ConfigError(CLUSTERED) from exc
    except NotAClusterError as exc:
        raise ConfigError(NOT_A_CLUSTER) from exc
    except _REFUSED as exc:
        raise AccessRefused("Redis refuses this user: {error}", error=exc) from exc
    except _UNAVAILABLE as exc:
        raise BusUnavailable(
            "Redis does not serve: {kind}: {error}",
            kind=type(exc).__name__,
            error=describe_error(exc),
        ) from exc
    except ReplyTooLargeError as exc:
        raise ReplyTooLarge(str(exc)) from exc
    except ResponseError as exc:
        raise _reply_error(exc) from exc
    except RedisError as exc:
        raise BusError(f"{type(exc).__name__}: {exc}") from exc


def _reply_error(exc: ResponseError) -> BusError:
    text = str(exc)
    if "FENCED" in text:
        return Fenced("a newer adapter holds the lease")
    if "NOPERM" in text or "ACL failure in script" in text:
        return AccessRefused("Redis refuses this user: {text}", text=text)
    if "WRONGTYPE" in text:
        return WrongKeyType("another program uses a key of the adapter: {text}", text=text)
    return BusUnavailable("Redis does not serve: {text}", text=text) if is_transient(exc) else BusError(text)


def is_group_missing(exc: BaseException) -> bool:
    """Return whether a command failed because its stream or group is gone."""
    return isinstance(exc, RedisError) and describe_error(exc).startswith(("NOGROUP", "UNBLOCKED"))
