"""What is wrong with an installation, and what to change: facts in, findings out. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_OLDEST, _WITH_SELECTORS = (6, 2), (7, 0)
_SKEW = 2.0  # seconds: `expires` and the age of commands are compared across machines
_FULL, _TIGHT = 0.95, 0.8
_DISK_BAD, _DISK_TIGHT = 100 * 2**20, 2**30
_MANY_DEAD = 1
_LOOPBACK = ("127.", "::1", "-::1", "localhost")
_OTHERS = 0o077


class Level(StrEnum):
    """How much it matters."""

    GOOD = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `change`: what to do; empty where all is well."""

    level: Level
    what: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found. Sizes in bytes, times in seconds; None where it could not be found out.

    `away`: why Redis cannot be used. `info` is that of INFO, `settings` that of CONFIG GET.
    `loose`: files of the state folder that others may read. `port`: "free", "ours" or "taken".
    """

    address: str
    embedded: bool
    prefix: str
    away: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] | None = None
    skew: float | None = None
    held: bool | None = None
    failing: str = ""
    dead: int = 0
    state_dir: str = ""
    state_mode: int | None = None
    writable: bool = True
    loose: tuple[str, ...] = ()
    free: int | None = None
    waiting: int = 0
    http: str = ""
    port: str = "free"
    upstream: str = ""
    upstream_away: str = ""


def run_checks(facts: Facts) -> Iterator[Check]:
    """Everything worth a line, in the order of a way from Redis to SmartQQ."""
    if facts.away:
        change = (
            "`qqbus run` starts the embedded server" if facts.embedded else "start it, or correct REDIS_URL"
        )
        level = Level.WARN if facts.embedded else Level.BAD
        yield Check(level, facts.away, change)
    else:
        yield from _server(facts)
        yield from _memory(facts)
        yield from _persistence(facts)
        yield from _access(facts)
        yield from _bus(facts)
    yield from _folder(facts)
    yield from _doors(facts)


def _server(facts: Facts) -> Iterator[Check]:
    info = facts.info
    version = str(info.get("redis_version", "0"))
    number = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {version}"
    if number < _OLDEST:
        yield Check(Level.BAD, f"{name} at {facts.address} is too old", "use Redis 6.2 or newer, or Valkey")
    elif number < _WITH_SELECTORS:
        yield Check(Level.WARN, f"{name} at {facts.address}", "`qqbus acl` needs Redis 7.0 or newer")
    else:
        yield Check(Level.GOOD, f"{name} at {facts.address}")
    if info.get("role") == "slave":
        yield Check(
            Level.BAD, "this Redis is a replica: it takes no writes", "give the address of its primary"
        )
    if info.get("loading"):
        yield Check(Level.WARN, "this Redis is loading its data", "wait until it has")
    if info.get("cluster_enabled") and not facts.prefix.startswith("{"):
        change = f"set QQBUS_PREFIX={{{facts.prefix}}}"
        yield Check(Level.BAD, "a Cluster needs all keys in one slot", change)
    if facts.skew is not None and abs(facts.skew) > _SKEW:
        yield Check(
            Level.WARN,
            f"the clocks of this machine and of Redis are {abs(facts.skew):.0f} s apart",
            "let both follow a time server: `expires` and commands are judged by them",
        )


def _memory(facts: Facts) -> Iterator[Check]:
    policy = str(facts.info.get("maxmemory_policy", "noeviction"))
    if policy.startswith("allkeys-"):
        yield Check(
            Level.BAD,
            f"maxmemory-policy {policy} deletes whole streams when memory is short",
            "CONFIG SET maxmemory-policy noeviction",
        )
    most, used = int(facts.info.get("maxmemory", 0)), int(facts.info.get("used_memory", 0))
    share = used / most if most else 0.0
    if share > _TIGHT:
        level = Level.BAD if share > _FULL else Level.WARN
        yield Check(
            level,
            f"Redis uses {share:.0%} of its maxmemory",
            "raise maxmemory: a full server takes no events",
        )
    else:
        yield Check(
            Level.GOOD,
            f"memory: {_size(used)} used, " + (f"{_size(most)} at most" if most else "no limit set"),
        )


def _persistence(facts: Facts) -> Iterator[Check]:
    info = facts.info
    broken = [
        name for name in ("aof_last_write_status", "rdb_last_bgsave_status") if info.get(name, "ok") != "ok"
    ]
    if broken:
        change = "look at its log and at its disk: it may refuse writes until it can save"
        yield Check(Level.BAD, f"Redis cannot write its files ({', '.join(broken)})", change)
    if info.get("aof_enabled"):
        always = (facts.settings or {}).get("appendfsync", "always") == "always"
        yield Check(
            Level.GOOD,
            "append-only file is on"
            if always
            else "append-only file is on; killed while its disk is busy, Redis may forget what it has just "
            "confirmed: events are told again, a message may be sent again (appendfsync always: never)",
        )
    else:
        yield Check(
            Level.WARN,
            "append-only file is off: after a crash Redis comes back without its newest entries",
            "CONFIG SET appendonly yes, and the same in its configuration file",
        )


def _access(facts: Facts) -> Iterator[Check]:
    settings = facts.settings
    if settings is None or "bind" not in settings:
        return
    open_to_all = any(not one.startswith(_LOOPBACK) for one in settings["bind"].split() or ["*"])
    if open_to_all and not settings.get("requirepass") and settings.get("protected-mode") != "yes":
        yield Check(
            Level.BAD,
            "Redis listens on the network without a password: whoever reaches it can log in as you",
            "set a password, or better users: `qqbus acl operator`, `qqbus acl adapter`, `qqbus acl worker`",
        )


def _bus(facts: Facts) -> Iterator[Check]:
    if facts.held is False:
        yield Check(Level.WARN, "no adapter is running", "start one with `qqbus run`")
    elif facts.held:
        yield Check(Level.GOOD, "an adapter is running")
    if facts.failing:
        yield Check(
            Level.BAD,
            f"background services of the adapter fail: {facts.failing}",
            "look into the adapter's log: messages flow on without them",
        )
    if facts.dead >= _MANY_DEAD:
        yield Check(Level.WARN, f"{facts.dead} dead letters", "look at them: `qqbus dead`")


def _folder(facts: Facts) -> Iterator[Check]:
    if not facts.writable:
        yield Check(
            Level.BAD,
            f"{facts.state_dir} cannot be written",
            "give it to the user that runs qqbus, or set QQBUS_STATE_DIR",
        )
    elif facts.state_mode is not None and facts.state_mode & _OTHERS:
        yield Check(
            Level.BAD,
            f"others may look into {facts.state_dir}, where the session is kept",
            f"chmod 700 {facts.state_dir}",
        )
    else:
        yield Check(Level.GOOD, f"state folder {facts.state_dir}")
    for name in facts.loose:
        yield Check(Level.BAD, f"others may read {name}: it holds secrets", f"chmod 600 {name}")
    if facts.free is not None and facts.free < _DISK_TIGHT:
        level = Level.BAD if facts.free < _DISK_BAD else Level.WARN
        yield Check(
            level,
            f"{_size(facts.free)} are free on the disk of the state folder",
            "make room: a full disk stops receiving",
        )
    if facts.waiting:
        yield Check(
            Level.WARN,
            f"{_size(facts.waiting)} of events wait on disk for Redis",
            "start the adapter and Redis",
        )


def _doors(facts: Facts) -> Iterator[Check]:
    if facts.port == "taken":
        yield Check(
            Level.BAD,
            f"another program listens on {facts.http}, where the status page belongs",
            "set QQBUS_HTTP=127.0.0.1:PORT, or off",
        )
    if not facts.upstream:
        yield Check(
            Level.WARN,
            "QQBUS_SMARTQQ_URL is not set, and the real SmartQQ closed in 2019",
            "set it to a simulator (python -m tests.simulator) or to a gateway",
        )
    elif facts.upstream_away:
        yield Check(
            Level.BAD,
            f"{facts.upstream} cannot be reached: {facts.upstream_away}",
            "start it, or correct QQBUS_SMARTQQ_URL",
        )
    else:
        yield Check(Level.GOOD, f"{facts.upstream} answers")


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1024:  # noqa: PLR2004 – the step between units
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"
