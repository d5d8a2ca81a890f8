"""Membership and coordinator lease of a partitioned group, with plain commands of Redis.

Keys, all below `lanes:<application>`: `leader` (the coordinator's name), `live:<consumer>` (a lease each),
`members` (hash of all that joined), `owners` (hash: partition -> consumer), and for each member `bell:`
(a list that wakes it) and `again:` (a flag: older entries were put in between).
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.exceptions import WatchError

from consumers.runtime.client import BusClient
from consumers.runtime.connection import consumer_name

# Part of the lease by which our clock may run slower than the server's.
_CLOCK_MARGIN: Final = 0.1
# Factor. The coordinator's lease ends after its member's lease, so its successor sees a dead member.
_COORDINATOR_FACTOR: Final = 1.25
# A WATCH fails when our own renewal comes between; more failures in a row mean the lease is lost.
_MAX_ATTEMPTS: Final = 5
# Seconds. A running member writes every key again; afterwards they expire.
KEY_TTL: Final = 86_400


class LeaseLost(Exception):  # noqa: N818 – a state, not a mistake
    """This process paused longer than its lease: other members own its chats."""


class Membership:
    """One member among its peers. `session_timeout` is its lease in seconds."""

    def __init__(self, client: BusClient, session_timeout: float) -> None:
        self._client = client.client
        self._base = client.settings.key(f"lanes:{client.application}")
        self._session_timeout = session_timeout
        self._valid_until = 0.0
        self._renewed_at = 0.0
        self.consumer = client.consumer
        self.leading = False

    def key(self, name: str) -> str:
        """Return the key of that name."""
        return f"{self._base}:{name}"

    def valid(self) -> bool:
        """Return whether the lease holds for certain, by the monotonic clock."""
        return time.monotonic() < self._valid_until

    @property
    def heartbeat_due(self) -> bool:
        """Return whether a third of the lease has passed since its renewal."""
        return time.monotonic() >= self._renewed_at + self._session_timeout / 3

    async def join(self) -> None:
        """Join under a new name: what the former name had is for the others."""
        # Invalid until the reply: after a lost one the group does not know our name, and we join again.
        self._valid_until = 0.0
        self.consumer = consumer_name()
        self.leading = False
        now = time.monotonic()
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.set(self.key(f"live:{self.consumer}"), "1", px=self._lease_ms())
            pipe.hset(self.key("members"), self.consumer, "1")
            pipe.expire(self.key("members"), KEY_TTL)
            await pipe.execute()
        self._extend(now)
        self._renewed_at = 0.0  # try at once to become the coordinator

    async def heartbeat(self) -> None:
        """Renew the lease; become the coordinator if there is none. Raises LeaseLost."""
        now = time.monotonic()
        live = self.key(f"live:{self.consumer}")
        if self.leading:
            await self.fenced(
                lambda pipe: (
                    pipe.set(live, "1", px=self._lease_ms()),
                    pipe.set(self.key("leader"), self.consumer, px=self._lease_ms(_COORDINATOR_FACTOR)),
                )
            )
        else:
            if not await self._client.set(live, "1", px=self._lease_ms(), xx=True):
                raise LeaseLost
            lease_ms = self._lease_ms(_COORDINATOR_FACTOR)
            taken = await self._client.set(self.key("leader"), self.consumer, px=lease_ms, nx=True)
            # It proves nothing later: each fenced step checks the key.
            self.leading = bool(taken)
        # The reply came after the lease had ended here, and chats have dropped what they were to start.
        # Only a member that joins again is assigned it.
        if not self.valid():
            raise LeaseLost
        self._extend(now)

    async def fenced(self, fill: Callable[[Pipeline], Any]) -> list[Any]:
        """Execute these commands in one MULTI while this member leads. Raises LeaseLost."""
        leader = self.key("leader")
        for _ in range(_MAX_ATTEMPTS):
            try:
                async with self._client.pipeline(transaction=True) as pipe:
                    await pipe.watch(leader)
                    if await pipe.get(leader) != self.consumer.encode():
                        break
                    pipe.multi()  # type: ignore[no-untyped-call]
                    fill(pipe)
                    return await pipe.execute(raise_on_error=True)
            except WatchError as exc:
                # redis-py raises it for a broken connection too. Then all may have been executed and must
                # not be repeated: a second read returns other entries than the first.
                if isinstance(exc.__context__, RedisConnectionError | RedisTimeoutError):
                    raise exc.__context__ from None
        raise LeaseLost

    async def live_members(self) -> tuple[set[str], set[str]]:
        """Return the members whose lease holds, and those whose lease has ended."""
        known: Any = await self._client.hkeys(self.key("members"))
        names = [name.decode() for name in known]
        leases = await self._client.mget([self.key(f"live:{name}") for name in names]) if names else []
        live = {name for name, lease in zip(names, leases, strict=True) if lease is not None}
        return live, set(names) - live

    async def evict(self, names: Iterable[str]) -> None:
        """Remove members from the list. Raises LeaseLost."""
        await self.fenced(lambda pipe: pipe.hdel(self.key("members"), *names))

    async def leave(self) -> None:
        """Delete this member's lease, so that the others take over at once. Raises LeaseLost."""
        if self.leading:
            await self.fenced(self._resign)
            return
        async with self._client.pipeline(transaction=True) as pipe:
            self._delete_keys(pipe)
            await pipe.execute()

    def _resign(self, pipe: Pipeline) -> None:
        self._delete_keys(pipe)
        pipe.delete(self.key("leader"))

    def _delete_keys(self, pipe: Pipeline) -> None:
        pipe.delete(*(self.key(f"{name}:{self.consumer}") for name in ("live", "bell", "again")))
        pipe.hdel(self.key("members"), self.consumer)

    def _extend(self, since: float) -> None:
        self._renewed_at = since
        self._valid_until = since + self._session_timeout * (1 - _CLOCK_MARGIN)

    def _lease_ms(self, factor: float = 1.0) -> int:
        return int(self._session_timeout * factor * 1000)
