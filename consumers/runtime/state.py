"""What the processes of an application share in Redis, beside the group: keys under `worker:<application>`.

Each key has a time to live. Every command here may be repeated after a lost reply.
"""

import time
from typing import Any, Final

import redis.asyncio as redis

from consumers.runtime.connection import RetryLoop

# Seconds for which `once` remembers a key: as long as an event may be handled again.
ONCE_TTL: Final = 7 * 86_400


class SharedState:
    """Commands on the keys of one application, repeated until Redis serves."""

    def __init__(self, client: "redis.Redis", prefix: str, consumer: str, retries: RetryLoop) -> None:
        self._client = client
        self._prefix = prefix
        self._consumer = consumer
        self._retries = retries

    def key(self, name: str) -> str:
        """Return the key of that name."""
        return f"{self._prefix}:{name}"

    async def do(self, *args: str | bytes | float) -> Any:
        """Execute a command, as often as it takes; returns its reply."""
        reply: Any = None

        async def step() -> None:
            nonlocal reply
            reply = await self._client.execute_command(*args)  # type: ignore[no-untyped-call]

        await self._retries.run(step)
        return reply

    async def first_time(self, key: str) -> bool:
        """Return whether this key is new to the application; one process alone gets True.

        A reply that is lost is asked for again, so a process that dies just then leaves it True for none.
        """
        name = self.key(f"once:{key}")
        # The first holder may ask again within this call: its own mark tells it from the others.
        mark = f"{self._consumer}:{time.monotonic_ns()}"
        if await self.do("SET", name, mark, "NX", "EX", ONCE_TTL):
            return True
        holder: bytes | None = await self.do("GET", name)
        return holder == mark.encode()

    async def count(self, key: str, seconds: float) -> int:
        """Count a key in the present window of `seconds`; returns its count there."""
        name = self.key(f"rate:{key}:{int(time.time() / seconds)}")
        number = int(await self.do("INCR", name))
        if number == 1:
            await self.do("EXPIRE", name, max(1, int(2 * seconds)))
        return number
