"""Settings of a worker, its connections to Redis, and retries."""

import asyncio
import contextlib
import logging
import os
import random
import re
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis.asyncio as redis
from redis.exceptions import AuthenticationError, RedisError

from adapter import ConfigError
from adapter.aio import backoff
from adapter.bus import connection

# Not public names of `adapter`: importing that must not import redis.
from adapter.bus.connection import BLOCK_MS, COMMAND_TIMEOUT, describe_error, is_group_missing, is_transient

__all__ = [
    "BLOCK_MS",
    "RetryLoop",
    "Settings",
    "connect",
    "describe_error",
    "is_group_missing",
    "is_transient",
]

log = logging.getLogger("qqbus.worker")

_DEFAULT_URL: Final = "redis://127.0.0.1:6379"
# Their replies stay as the server sends them: redis-py's dicts cost time on every entry.
_RAW: Final = ("XREADGROUP", "XREAD", "XAUTOCLAIM", "XCLAIM", "XPENDING")
_APPLICATION: Final = re.compile(r"[A-Za-z0-9._-]{1,40}", re.ASCII)
# Seconds between two attempts: soon after a hiccup, easy on a server that starts.
_FIRST_DELAY: Final = 0.05
_MAX_DELAY: Final = 2.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the bus is, and where `/healthz` and `/metrics` are served."""

    # May hold a password.
    url: str = field(default=_DEFAULT_URL, repr=False)
    prefix: str = "qq"
    http: str = ""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read `REDIS_URL`, `QQBUS_PREFIX` and `QQBUS_WORKER_HTTP` (host:port; empty for none).

        `REDIS_URL_FILE` names a file that holds the address. Raises ConfigError.
        """

        def value(name: str, default: str) -> str:
            return env.get(name, "").strip() or default

        file = value("REDIS_URL_FILE", "")
        try:
            url = Path(file).read_text(encoding="utf-8-sig").strip() if file else value("REDIS_URL", "")
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
            raise ConfigError(
                "REDIS_URL_FILE={file!r} cannot be read: {reason}", file=file, reason=reason
            ) from exc
        return cls(url or _DEFAULT_URL, value("QQBUS_PREFIX", "qq"), value("QQBUS_WORKER_HTTP", ""))

    def key(self, name: str) -> str:
        """Return the key of that name under the prefix."""
        return f"{self.prefix}:{name}"


def connect(url: str, prefix: str = "qq", *, block_seconds: float = 0.0) -> "redis.Redis":
    """Make a client whose stream commands return raw replies. Raises ConfigError.

    `block_seconds` is how long its commands may block in the server.
    """
    client = connection.connect(url, prefix, timeout=COMMAND_TIMEOUT + block_seconds)
    for name in _RAW:
        client.response_callbacks.pop(name, None)
    return client


class RetryLoop:
    """Repeats steps until Redis serves, and knows which of them fail at present."""

    def __init__(self) -> None:
        self._failing: dict[object, tuple[float, str]] = {}
        self._has_served = False

    def is_outage(self, exc: Exception) -> bool:
        """Return whether an error passes. Credentials that were right before may be so again."""
        return is_transient(exc) or (self._has_served and isinstance(exc, AuthenticationError))

    async def run(
        self,
        step: Callable[[], Awaitable[Any]],
        retry_if: Callable[[Exception], bool] = is_transient,
        stop: asyncio.Event | None = None,
    ) -> None:
        """Repeat the step while `retry_if` accepts its error; return early when `stop` is set."""
        token = object()
        delays = backoff(random.random, first=_FIRST_DELAY, most=_MAX_DELAY)
        try:
            while True:
                try:
                    await step()
                except (RedisError, OSError) as exc:
                    if not (retry_if(exc) or self.is_outage(exc)):
                        raise
                    since, _ = self._failing.get(token, (time.monotonic(), ""))
                    self._failing[token] = since, f"{type(exc).__name__}: {describe_error(exc)}"
                    log.debug("retrying after %s", self._failing[token][1])
                else:
                    self._has_served = True
                    return
                if await is_set_within(stop, next(delays)):
                    return
        finally:
            self._failing.pop(token, None)

    def longest_failure(self) -> tuple[float, str]:
        """Return how many seconds the oldest failing step has failed, and its last error."""
        if not self._failing:
            return 0.0, ""
        since, reason = min(self._failing.values())
        return time.monotonic() - since, reason


async def is_set_within(stop: asyncio.Event | None, seconds: float) -> bool:
    """Sleep, or return True as soon as `stop` is set."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await (stop or asyncio.Event()).wait()
            return True
    return False


def consumer_name() -> str:
    """Return a consumer name that no process had before: host, process id, random part."""
    host = re.sub(r"[^A-Za-z0-9.]", "", socket.gethostname())[:24] or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"


def application_name(name: str) -> str:
    """Return the name if it can be a consumer group and start a request id. Raises ValueError."""
    if not isinstance(name, str) or not _APPLICATION.fullmatch(name) or name == "adapter":
        raise ValueError(f"{name!r} cannot name an application: 1 to 40 of A-Z a-z 0-9 . _ -, not `adapter`")
    return name
