"""Who is there and who leads: leases that only plain commands of Redis are needed for.

Keys, all below `lanes:<application>`: `leader` (who leads), `live:<consumer>` (a lease each), `members`
(hash of everybody who joined), `owners` (hash: lane -> consumer), and each member's `bell:` and `again:`.
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

# What a clock of ours may run slower than the server's, as a part of the lease.
_MARGIN: Final = 0.1
# A leader's lease ends after its member's lease has: whoever takes the lead finds it gone.
_LONGER: Final = 1.25
_TRIES: Final = 5
# Everything here is written anew while somebody works; afterwards it goes.
KEPT: Final = 86_400


class LeaseLost(Exception):  # noqa: N818 – a state, not a mistake
    """This process paused longer than its lease: others have its chats now."""


class Membership:
    """One member's place among its peers. `ttl` in seconds."""

    def __init__(self, office: BusClient, ttl: float) -> None:
        self._client = office.client
        self._base = office.settings.key(f"lanes:{office.application}")
        self._ttl = ttl
        self._until = 0.0
        self._renewed = 0.0
        self.consumer = office.consumer
        self.leading = False

    def key(self, name: str) -> str:
        """The key of that name."""
        return f"{self._base}:{name}"

    def valid(self) -> bool:
        """Whether the lease surely holds, by a clock that does not stop while we do."""
        return time.monotonic() < self._until

    @property
    def heartbeat_due(self) -> bool:
        """Whether it is time to renew."""
        return time.monotonic() >= self._renewed + self._ttl / 3

    async def join(self) -> None:
        """Come in under a name nobody had before: what the former name had is for the others."""
        # If the answer to this is lost, it has to be done again: nothing else would tell the group our name.
        self._until = 0.0
        self.consumer = consumer_name()
        self.leading = False
        now = time.monotonic()
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.set(self.key(f"live:{self.consumer}"), "1", px=self._ms())
            pipe.hset(self.key("members"), self.consumer, "1")
            pipe.expire(self.key("members"), KEPT)
            await pipe.execute()
        self._extend(now)
        self._renewed = 0.0  # take the lead, if nobody has it, at once

    async def heartbeat(self) -> None:
        """Keep the lease, and take the lead if nobody has it. Raises LeaseLost."""
        now = time.monotonic()
        live = self.key(f"live:{self.consumer}")
        if self.leading:
            await self.fenced(
                lambda pipe: (
                    pipe.set(live, "1", px=self._ms()),
                    pipe.set(self.key("leader"), self.consumer, px=self._ms(_LONGER)),
                )
            )
        else:
            if not await self._client.set(live, "1", px=self._ms(), xx=True):
                raise LeaseLost
            taken = await self._client.set(self.key("leader"), self.consumer, px=self._ms(_LONGER), nx=True)
            # Until the lead is used it proves nothing: the fence looks at it each time.
            self.leading = bool(taken)
        # Answered after the lease had ended here: chats dropped what they were to begin meanwhile, and only
        # who joins anew asks for it again.
        if not self.valid():
            raise LeaseLost
        self._extend(now)

    async def fenced(self, fill: Callable[[Pipeline], Any]) -> list[Any]:
        """Do these commands in one step, only while this member leads. Raises LeaseLost."""
        leader = self.key("leader")
        for _ in range(_TRIES):
            try:
                async with self._client.pipeline(transaction=True) as pipe:
                    await pipe.watch(leader)
                    if await pipe.get(leader) != self.consumer.encode():
                        break
                    pipe.multi()  # type: ignore[no-untyped-call]
                    fill(pipe)
                    return await pipe.execute(raise_on_error=True)
            except WatchError as exc:
                # redis-py says so too when the connection broke; then all may have been done, and must
                # not be done twice: what is read a second time is not what was read the first time.
                if isinstance(exc.__context__, RedisConnectionError | RedisTimeoutError):
                    raise exc.__context__ from None
                # Our own renewal, or the end: looked at once more.
        raise LeaseLost

    async def live_members(self) -> tuple[set[str], set[str]]:
        """The members whose lease holds, and those whose lease has ended."""
        known: Any = await self._client.hkeys(self.key("members"))
        names = [name.decode() for name in known]
        leases = await self._client.mget([self.key(f"live:{name}") for name in names]) if names else []
        live = {name for name, lease in zip(names, leases, strict=True) if lease is not None}
        return live, set(names) - live

    async def evict(self, names: Iterable[str]) -> None:
        """Take these off the list. Raises LeaseLost."""
        await self.fenced(lambda pipe: pipe.hdel(self.key("members"), *names))

    async def leave(self) -> None:
        """Let the others have everything at once."""
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
        self._renewed = since
        self._until = since + self._ttl * (1 - _MARGIN)

    def _ms(self, factor: float = 1.0) -> int:
        return int(self._ttl * factor * 1000)
