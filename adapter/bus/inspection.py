"""Look at what others can do to the bus: foreign keys, streams without ids, missing rights."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio as redis
from redis.exceptions import NoPermissionError, ResponseError

from adapter.bus.connection import map_redis_errors
from adapter.bus.id_limit import MAX_AHEAD_MS
from adapter.bus.key_types import find_foreign_keys
from adapter.bus.keys import GROUP, Keys

_STREAMS: Final = ("inbound", "outbound", "results", "dead", "control", "session")
# Either half of an id at most.
_MAX_HALF: Final = 2**64 - 1
_NO_ID: Final = "0-1"
# A gateway for bots names its consumer after the host and the address at which bots are; it reads nothing
# while no bot is connected.
_GATEWAY: Final = re.compile(rb"-(?:wss?://.+|\S+:\d{1,5})")
# Milliseconds for which a gateway may have read nothing.
MAX_IDLE_MS: Final = 3_600_000
# Commands that change nothing, by role: enough of each selector to see that it is there. `{}`: the prefix.
_PROBES: Final = {
    "adapter": (
        ("EVAL", "return 1", "1", "{}:ids:epoch"),
        ("XDEL", "{}:inbound", _NO_ID),
        ("XACK", "{}:outbound", GROUP, _NO_ID),
        ("XDEL", "{}:control", _NO_ID),
        ("XLEN", "{}:session"),
        ("HDEL", "{}:status", "_"),
        ("HDEL", "{}:friends", "_"),
        ("EXISTS", "{}:ledger:_"),
        ("PTTL", "{}:lease"),
    ),
    "operator": (
        ("XREVRANGE", "{}:inbound", "+", "-", "COUNT", "1"),
        ("XREVRANGE", "{}:session", "+", "-", "COUNT", "1"),
        ("XLEN", "{}:outbound"),
        ("XDEL", "{}:dead", _NO_ID),
        ("EVAL", "return 1", "1", "{}:dead"),
        ("HGETALL", "{}:status"),
        ("PTTL", "{}:lease"),
    ),
}


@dataclass(frozen=True, slots=True)
class BusFindings:
    """What is wrong. `missing_rights`: commands and keys by role, for roles that this user lacks in part.

    `idle_gateways`: group and consumer of each gateway that has read nothing for an hour.
    """

    foreign_keys: tuple[str, ...] = ()
    exhausted: tuple[str, ...] = ()
    far_ahead: tuple[str, ...] = ()
    user: str = "default"
    missing_rights: tuple[tuple[str, tuple[str, ...]], ...] = ()
    idle_gateways: tuple[tuple[str, str], ...] = ()


async def inspect_bus(
    client: "redis.Redis", keys: Keys, server_time: float, *, max_idle_ms: int = MAX_IDLE_MS
) -> BusFindings:
    """Look at everything; changes nothing. Raises BusUnavailable."""
    exhausted, far_ahead = [], []
    for name in _STREAMS:
        milliseconds, number = await _newest_id(client, keys(name))
        if milliseconds == _MAX_HALF and number == _MAX_HALF:
            exhausted.append(keys(name))
        elif milliseconds > server_time * 1000 + MAX_AHEAD_MS:
            far_ahead.append(keys(name))
    missing = [(role, await _missing(client, keys.prefix, probes)) for role, probes in _PROBES.items()]
    return BusFindings(
        tuple(await find_foreign_keys(client, keys)),
        tuple(exhausted),
        tuple(far_ahead),
        await _user(client),
        tuple((role, rights) for role, rights in missing if rights),
        tuple(await _idle_gateways(client, keys("inbound"), max_idle_ms)),
    )


async def _idle_gateways(client: "redis.Redis", stream: str, max_idle_ms: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    with map_redis_errors():
        try:
            for group in await client.xinfo_groups(stream):
                found += [
                    (_shown(group["name"]), _shown(one["name"]))
                    for one in await client.xinfo_consumers(stream, group["name"])
                    if one["idle"] > max_idle_ms and _GATEWAY.search(one["name"])
                ]
        except ResponseError:  # there is no such stream, or this user may not look at it
            return []
    return found


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "replace")


async def _newest_id(client: "redis.Redis", key: str) -> tuple[int, int]:
    with map_redis_errors():
        try:
            info: Any = await client.xinfo_stream(key)
        except ResponseError:  # there is no such stream, or this user may not look at it
            return 0, 0
    milliseconds, _, number = info["last-generated-id"].decode().partition("-")
    return int(milliseconds), int(number)


async def _missing(client: "redis.Redis", prefix: str, probes: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    refused = []
    for probe in probes:
        words = [word.replace("{}", prefix) if word.startswith("{}") else word for word in probe]
        with map_redis_errors():
            try:
                await client.execute_command(*words)  # type: ignore[no-untyped-call]
            except NoPermissionError:
                refused.append(f"{words[0]} {next(word for word in words if word.startswith(prefix))}")
            except ResponseError:  # allowed, and of no use: the key is of another type
                continue
    return tuple(refused)


async def _user(client: "redis.Redis") -> str:
    with map_redis_errors():
        try:
            name: Any = await client.acl_whoami()
        except ResponseError:
            return "?"
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
