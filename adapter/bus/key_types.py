"""Find keys under the prefix that another program uses: their type is not that of the contract."""

from typing import Any, Final

import redis.asyncio as redis
from redis.exceptions import NoPermissionError

from adapter.bus.connection import map_redis_errors
from adapter.bus.keys import Keys

_STREAMS: Final = ("inbound", "outbound", "results", "dead", "control", "session")
_HASHES: Final = ("status", "friends", "groups", "discusses", "ids:epoch")
_TYPES: Final = dict.fromkeys(_STREAMS, b"stream") | dict.fromkeys(_HASHES, b"hash")


async def find_foreign_keys(client: "redis.Redis", keys: Keys) -> list[str]:
    """Return what is wrong with each key that is not of its type. Raises BusUnavailable."""
    found = []
    for name, expected in _TYPES.items():
        with map_redis_errors():
            try:
                actual: Any = await client.type(keys(name))
            except NoPermissionError:  # this user may not ask
                continue
        if actual not in {expected, b"none"}:
            found.append(f"{keys(name)} is a {actual.decode()}, not a {expected.decode()}")
    return found
