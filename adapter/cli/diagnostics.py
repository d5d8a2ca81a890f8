"""Checks of `qqbus doctor`: from facts to findings. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from adapter.i18n import _, translate
from adapter.networks.upstream import Finding
from adapter.ops.wording import GONE

# Streams as qqbus uses them came with 6.2, the selectors of ACL users with 7.0.
_MIN_VERSION, _SELECTORS_VERSION = (6, 2), (7, 0)
# Seconds: `expires` and the age of commands are compared across machines.
_MAX_SKEW_SECONDS = 2.0
# Share of maxmemory in use.
_MEMORY_FULL, _MEMORY_TIGHT = 0.95, 0.8
# Bytes free on disk.
_DISK_FULL, _DISK_TIGHT = 100 * 2**20, 2**30
_LOOPBACK = ("127.", "::1", "-::1", "localhost")
# Mode bits of group and other users.
_OTHERS = 0o077
_UNIT_STEP = 1024


class Level(StrEnum):
    """Severity of a finding."""

    GOOD = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """A finding, and what to change; `change` is empty if all is well."""

    level: Level
    what: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out; None for what could not be.

    `redis_error`: why Redis cannot be used. `info`: INFO of the server; `server_config`: from CONFIG GET.
    `unwritable`: a path of the state folder that this user cannot write. `exposed_files`: those that other
    users can read. `page_port`: "free", "ours" or "taken". Sizes are in bytes. `upstream`: the address of
    SmartQQ; other networks have `findings`. `lacks_own_messages`: what was sent is not on `qq:inbound`.
    `ignored_settings`: those of other networks. `denied`: what this Redis user may not see.
    `unknown_command`: the program of the alarm command, if there is none.
    """

    redis_url: str
    embedded: bool
    prefix: str
    redis_error: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)
    server_config: Mapping[str, str] | None = None
    skew_seconds: float | None = None
    is_lease_held: bool | None = None
    failing: str = ""
    dead_letters: int = 0
    state_dir: str = ""
    state_mode: int | None = None
    unwritable: str = ""
    exposed_files: tuple[str, ...] = ()
    free_bytes: int | None = None
    unpublished_bytes: int = 0
    page_address: str = ""
    page_port: str = "free"
    upstream: str = ""
    upstream_error: str = ""
    network: str = "smartqq"
    findings: tuple[Finding, ...] = ()
    lacks_own_messages: bool = False
    ignored_settings: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    unknown_command: str = ""


def run_checks(facts: Facts) -> Iterator[Check]:
    """Yield all findings, from Redis to the network."""
    if facts.redis_error:
        change = (
            _("`qqbus run` starts the embedded server")
            if facts.embedded
            else _("start it, or correct REDIS_URL")
        )
        yield Check(Level.WARN if facts.embedded else Level.BAD, facts.redis_error, change)
    else:
        if facts.info:
            yield from _check_server(facts)
            yield from _check_memory(facts)
            yield from _check_persistence(facts)
        yield from _check_access(facts)
        yield from _check_denied(facts)
        yield from _check_bus(facts)
    yield from _check_state_dir(facts)
    yield from _check_ports(facts)


def _check_server(facts: Facts) -> Iterator[Check]:
    info = facts.info
    version = str(info.get("redis_version", "0"))
    number = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {version}"
    if number < _MIN_VERSION:
        yield Check(
            Level.BAD,
            _("{name} at {redis_url} is too old").format(name=name, redis_url=facts.redis_url),
            _("use Redis 6.2 or newer, or Valkey"),
        )
    elif number < _SELECTORS_VERSION:
        yield Check(
            Level.WARN,
            _("{name} at {redis_url}").format(name=name, redis_url=facts.redis_url),
            _("`qqbus acl` needs Redis 7.0 or newer"),
        )
    else:
        yield Check(Level.GOOD, _("{name} at {redis_url}").format(name=name, redis_url=facts.redis_url))
    if info.get("role") == "slave":
        yield Check(
            Level.BAD, _("this Redis is a replica and refuses writes"), _("give the address of its primary")
        )
    if info.get("loading"):
        yield Check(Level.WARN, _("this Redis is loading its data"), _("wait until it has"))
    if info.get("cluster_enabled") and not facts.prefix.startswith("{"):
        change = _("set {setting}").format(setting=f"QQBUS_PREFIX={{{facts.prefix}}}")
        yield Check(Level.BAD, _("a Cluster needs all keys in one slot"), change)
    if facts.skew_seconds is not None and abs(facts.skew_seconds) > _MAX_SKEW_SECONDS:
        yield Check(
            Level.WARN,
            _("the clocks of this machine and of Redis are {seconds:.0f} s apart").format(
                seconds=abs(facts.skew_seconds)
            ),
            _("let both follow a time server: `expires` and the age of commands depend on them"),
        )


def _check_memory(facts: Facts) -> Iterator[Check]:
    policy = str(facts.info.get("maxmemory_policy", "noeviction"))
    if policy.startswith("allkeys-"):
        yield Check(
            Level.BAD,
            _("maxmemory-policy {policy} deletes whole streams when memory is short").format(policy=policy),
            _("CONFIG SET maxmemory-policy noeviction"),
        )
    limit, used = int(facts.info.get("maxmemory", 0)), int(facts.info.get("used_memory", 0))
    share = used / limit if limit else 0.0
    if share > _MEMORY_TIGHT:
        yield Check(
            Level.BAD if share > _MEMORY_FULL else Level.WARN,
            _("Redis uses {share:.0%} of its maxmemory").format(share=share),
            _("raise maxmemory: a full server takes no events"),
        )
    else:
        most = _("{size} at most").format(size=_size(limit)) if limit else _("no limit set")
        yield Check(Level.GOOD, _("memory: {size} used, {most}").format(size=_size(used), most=most))


def _check_persistence(facts: Facts) -> Iterator[Check]:
    info = facts.info
    failed = [
        name for name in ("aof_last_write_status", "rdb_last_bgsave_status") if info.get(name, "ok") != "ok"
    ]
    if failed:
        change = _("look at its log and at its disk: it may refuse writes until it can save")
        yield Check(
            Level.BAD, _("Redis cannot write its files ({names})").format(names=", ".join(failed)), change
        )
    if not info.get("aof_enabled"):
        yield Check(
            Level.WARN,
            _("append-only file is off: after a crash Redis comes back without its newest entries"),
            _("CONFIG SET appendonly yes, and the same in its configuration file"),
        )
    elif (facts.server_config or {}).get("appendfsync", "always") == "always":
        yield Check(Level.GOOD, _("append-only file is on"))
    else:
        yield Check(
            Level.GOOD,
            _(
                "append-only file is on. A Redis that is killed while its disk is busy may lose its last "
                "second: events are published again, a message may be sent again (never with appendfsync "
                "always)"
            ),
        )


def _check_access(facts: Facts) -> Iterator[Check]:
    config = facts.server_config
    if config is None or "bind" not in config:
        return
    is_open = any(not address.startswith(_LOOPBACK) for address in config["bind"].split() or ["*"])
    if is_open and not config.get("requirepass") and config.get("protected-mode") != "yes":
        yield Check(
            Level.BAD,
            _("Redis listens on the network without a password: every machine there can log in as you"),
            _("set a password, or better users: `qqbus acl --all --file users.acl`"),
        )


def _check_denied(facts: Facts) -> Iterator[Check]:
    if facts.denied:
        yield Check(
            Level.WARN,
            _("{redis_url}: this user may not see {names}, which were not checked").format(
                redis_url=facts.redis_url, names=", ".join(facts.denied)
            ),
            _("nothing, if this is a worker's user; the operator's sees all of it: `qqbus acl operator`"),
        )


def _check_bus(facts: Facts) -> Iterator[Check]:
    if facts.is_lease_held is False:
        yield Check(Level.WARN, _(GONE.headline), _(GONE.cli_hint))
    elif facts.is_lease_held:
        yield Check(Level.GOOD, _("an adapter is running"))
    if facts.failing:
        yield Check(
            Level.BAD,
            _("background services of the adapter fail: {failing}").format(failing=facts.failing),
            _("look into the adapter's log: messages flow on without them"),
        )
    if facts.dead_letters:
        yield Check(
            Level.WARN,
            _("{dead_letters} dead letters").format(dead_letters=facts.dead_letters),
            _("look at them: `qqbus dead`"),
        )


def _check_state_dir(facts: Facts) -> Iterator[Check]:
    if facts.unwritable:
        yield Check(
            Level.BAD,
            _("this user cannot write {unwritable}").format(unwritable=facts.unwritable),
            _("give it to the user that runs qqbus, or set QQBUS_STATE_DIR"),
        )
    elif facts.state_mode is not None and facts.state_mode & _OTHERS:
        yield Check(
            Level.BAD,
            _("other users can open {state_dir}, which holds the session").format(state_dir=facts.state_dir),
            _("chmod 700 {state_dir}").format(state_dir=facts.state_dir),
        )
    else:
        yield Check(Level.GOOD, _("state folder {state_dir}").format(state_dir=facts.state_dir))
    for name in facts.exposed_files:
        yield Check(
            Level.BAD,
            _("other users can read {name}: it holds secrets").format(name=name),
            _("chmod 600 {name}").format(name=name),
        )
    if facts.unknown_command:
        yield Check(
            Level.BAD,
            _("QQBUS_ALARM_COMMAND: this user cannot run {unknown_command}").format(
                unknown_command=facts.unknown_command
            ),
            _("correct it: no alarm would arrive; `qqbus alarm --test` tries it"),
        )
    if facts.free_bytes is not None and facts.free_bytes < _DISK_TIGHT:
        yield Check(
            Level.BAD if facts.free_bytes < _DISK_FULL else Level.WARN,
            _("{size} are free on the disk of the state folder").format(size=_size(facts.free_bytes)),
            _("make room: a full disk stops receiving"),
        )
    if facts.unpublished_bytes:
        yield Check(
            Level.WARN,
            _("{size} of events wait on disk for Redis").format(size=_size(facts.unpublished_bytes)),
            _("start the adapter and Redis"),
        )


def _check_ports(facts: Facts) -> Iterator[Check]:
    if facts.page_port == "taken":
        yield Check(
            Level.BAD,
            _("another program listens on {page_address}, the address of the status page").format(
                page_address=facts.page_address
            ),
            _("set QQBUS_HTTP=127.0.0.1:PORT, or off"),
        )
    yield from _check_network(facts)


def _check_network(facts: Facts) -> Iterator[Check]:
    for one in facts.findings:
        yield Check(Level(one.problem or Level.GOOD), translate(one.what, one.values), _(one.change))
    if facts.lacks_own_messages:
        yield Check(
            Level.WARN,
            _("the implementation does not report own messages: what the account sends is not on qq:inbound"),
            _("switch on there that own messages are reported (NapCat and LLBot: reportSelfMessage)"),
        )
    if facts.ignored_settings:
        yield Check(
            Level.WARN,
            _("settings of other networks are ignored: {names}").format(
                names=", ".join(facts.ignored_settings)
            ),
            _("remove them, or change QQBUS_NETWORK={network}").format(network=facts.network),
        )
    if facts.network == "smartqq":
        yield from _check_smartqq(facts)


def _check_smartqq(facts: Facts) -> Iterator[Check]:
    if not facts.upstream:
        yield Check(
            Level.WARN,
            _("QQBUS_SMARTQQ_URL is not set, and the real SmartQQ closed in 2019"),
            _(
                "set it to a simulator (`qqbus sim smartqq --port 8017`), "
                "or QQBUS_NETWORK to onebot or official"
            ),
        )
    elif facts.upstream_error:
        yield Check(
            Level.BAD,
            _("{upstream} cannot be reached: {upstream_error}").format(
                upstream=facts.upstream, upstream_error=facts.upstream_error
            ),
            _("start it, or correct QQBUS_SMARTQQ_URL"),
        )
    else:
        yield Check(Level.GOOD, _("{upstream} answers").format(upstream=facts.upstream))


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < _UNIT_STEP:
            return f"{count:.0f} {unit}"
        count /= _UNIT_STEP
    return f"{count:.1f} TB"
