"""Find keys under the prefix that another program uses: their type is not that of the contract."""

from typing import Any, Final

import redis.asyncio as redis
from redis.exceptions import NoPermissionError

from adapter.bus.connection import map_redis_errors
from adapter.bus.keys import Keys

_STREAMS: Final = ("inbound", "outbound", "results", "dead", "control", "session")
_HASHES: Final = ("status", "friends", "groups", "discusses", "ids:epoch")
TYPES: Final = dict.fromkeys(_STREAMS, "stream") | dict.fromkeys(_HASHES, "hash")


async def find_foreign_keys(client: "redis.Redis", keys: Keys) -> list[str]:
    """Return what is wrong with each key that is not of its type. Raises BusUnavailable."""
    found = []
    for name, expected in TYPES.items():
        with map_redis_errors():
            try:
                actual: Any = await client.type(keys(name))
            except NoPermissionError:  # this user may not ask
                continue
        if actual.decode() not in {expected, "none"}:
            found.append(describe_foreign_key(keys(name), actual.decode(), expected))
    return found


def describe_foreign_key(key: str, actual: str, expected: str) -> str:
    """Say of which type a key is, and of which it should be."""
    return f"{key} is a {actual}, not a {expected}"
