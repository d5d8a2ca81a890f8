"""Know of which type each key under the prefix is, and find those that another program uses."""

from collections.abc import Iterable
from typing import Any, Final

import redis.asyncio as redis
from redis.exceptions import NoPermissionError, RedisError

from adapter.bus.connection import map_redis_errors
from adapter.bus.keys import Keys

_STREAMS: Final = ("inbound", "outbound", "results", "dead", "control", "session")
_HASHES: Final = (
    *("status", "friends", "groups", "discusses", "calls", "ids:epoch", "ids:seq", "ids:seq:late"),
    *("ids:answers", "ids:results", "ids:letters", "ids:scheduled", "ids:outbound", "ids:session"),
    *("ids:position", "ids:contacts", "ids:permanent"),
)
_SETS: Final = ("seen:new", "seen:old", "ids:lapsed")
TYPES: Final = (
    dict.fromkeys(_STREAMS, "stream")
    | dict.fromkeys(_HASHES, "hash")
    | dict.fromkeys(_SETS, "set")
    | {"lease": "string", "ids:late": "list"}
)
# Keys of which there are many, by the start of their names.
_MANY: Final = {"results:": "stream", "ids:aside:": "stream", "ledger:": "hash", "members:": "hash"}


async def find_foreign_keys(client: "redis.Redis", keys: Keys) -> list[str]:
    """Return what is wrong with each key that is not of its type. Raises BusUnavailable."""
    with map_redis_errors():
        return await _describe(client, {keys(name): expected for name, expected in TYPES.items()})


async def describe_foreign_keys(client: "redis.Redis", prefix: str, names: Iterable[str]) -> str:
    """Return which of these keys are of another type, "" if that cannot be found out."""
    known = {name: _expected(name.removeprefix(f"{prefix}:")) for name in names}
    try:
        return "; ".join(await _describe(client, {name: kind for name, kind in known.items() if kind}))
    except (RedisError, OSError):
        return ""


def describe_foreign_key(key: str, actual: str, expected: str) -> str:
    """Say of which type a key is, and of which it should be."""
    return f"{key} is a {actual}, not a {expected}"


def _expected(name: str) -> str:
    return TYPES.get(name) or next((kind for head, kind in _MANY.items() if name.startswith(head)), "")


async def _describe(client: "redis.Redis", types: dict[str, str]) -> list[str]:
    found = []
    for key, expected in types.items():
        try:
            actual: Any = await client.type(key)
        except NoPermissionError:  # this user may not ask
            continue
        if actual.decode() not in {expected, "none"}:
            found.append(describe_foreign_key(key, actual.decode(), expected))
    return found
