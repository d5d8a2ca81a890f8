"""Know which dead letters the adapter wrote: any worker may add letters to the same stream.

Mechanism. The scripts that write a letter of the adapter put its id into a hash in the same step. Only the
role `adapter` may write under `qq:ids:`. A letter that is not named there is a worker's, or older than this
hash, and what it says is not proven.

Invariant: an id in the hash names a letter of the adapter, or none. What breaks it: a stream that is deleted
by hand and begins again with lower ids, until the next pruning.
"""

from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import NoPermissionError

from adapter.bus.bus import Bus, Fence
from adapter.bus.connection import map_redis_errors
from adapter.bus.keys import Keys
from adapter.bus.ledger import LETTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis.asyncio as redis

# Ids beyond the number of letters that stand before the others are looked for.
SLACK: Final = 1_000
# Ids of one call: a letter that stands is copied by the server.
_BATCH: Final = 200


async def prune(bus: Bus, fence: Fence) -> None:
    """Forget the ids of letters that were trimmed or dropped. Raises BusUnavailable."""
    key, dead = bus.keys(LETTERS), bus.keys("dead")
    with map_redis_errors():
        known, standing = int(await bus.client.hlen(key)), int(await bus.client.xlen(dead))
    if standing and known <= standing + SLACK:
        return
    names = [bus.keys("ids:epoch"), dead, key]
    letters = list(await bus.hgetall(key))
    for start in range(0, len(letters), _BATCH):
        await bus.run_script("prune_letters", names, [*fence, *letters[start : start + _BATCH]])


async def written_by_adapter(
    client: "redis.Redis", keys: Keys, letters: "Sequence[str]"
) -> dict[str, bool] | None:
    """Return by letter whether the adapter wrote it; None if this user may not know."""
    if not letters:
        return {}
    with map_redis_errors():
        try:
            marks: Any = await client.hmget(keys(LETTERS), list(letters))
        except NoPermissionError:
            return None
    return {letter: mark is not None for letter, mark in zip(letters, marks, strict=True)}
