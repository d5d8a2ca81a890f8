"""Look at the consumer groups of a stream, whose names other programs choose: any bytes, of any length.

The server leaves out what is too long: fifty groups with names of megabytes would fill the memory of those
who look at them.
"""

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from redis.exceptions import NoPermissionError, ResponseError

from adapter.bus.connection import map_redis_errors
from adapter.bus.scripts import source

if TYPE_CHECKING:
    import redis.asyncio as redis

log = logging.getLogger(__name__)

# Bytes of the name of a group, and groups of one look.
MAX_NAME: Final = 1_024
MAX_GROUPS: Final = 1_000
# Milliseconds: a worker asks for entries every few seconds, also while a handler runs. A consumer that has
# not asked for longer than this has ended, or it blocks without a limit.
GONE_MS: Final = 120_000


class Group(NamedTuple):
    """A consumer group. `gone`: consumers that have not asked of late; `lag`: None if Redis keeps none.

    `oldest`: the oldest pending entry, "" if there is none.
    """

    name: bytes
    consumers: int
    gone: int
    pending: int
    last_delivered: str
    lag: int | None
    oldest: str


async def read_groups(client: "redis.Redis", key: str) -> list[Group]:
    """Return the groups of a stream; those with too long a name are left out. Raises BusError."""
    bounds = [MAX_NAME, MAX_GROUPS, GONE_MS]
    with map_redis_errors():
        try:
            rows: Any = await client.eval(source("groups"), 1, key, *bounds)
        except NoPermissionError:  # a user that may only look: its own memory is at stake
            return await _look(client, key)
    return [
        Group(
            row[0],
            row[1],
            row[2],
            row[3],
            row[4].decode(),
            None if row[5] == b"" else row[5],
            row[6].decode(),
        )
        for row in rows
        if row
    ]


async def _look(client: "redis.Redis", key: str) -> list[Group]:
    found = []
    for row in await _xinfo_groups(client, key):
        pending: Any = await client.xpending(key, row["name"]) if row["pending"] else {}
        members: Any = await client.xinfo_consumers(key, row["name"]) if row["consumers"] else []
        gone = sum(int(member["idle"]) > GONE_MS for member in members)
        oldest = (pending.get("min") or b"").decode()
        last = row["last-delivered-id"].decode()
        found.append(Group(row["name"], row["consumers"], gone, row["pending"], last, row.get("lag"), oldest))
    return found


async def _xinfo_groups(client: "redis.Redis", key: str) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = await client.xinfo_groups(key)
    except ResponseError as exc:
        if "no such key" not in str(exc):
            raise
        return []
    return rows
