"""Who may do what: Redis users for the four roles, by key and command (contract, first table). Pure.

Selectors, as Redis 7.0 and Valkey have them, are the point. A plain `~inbound ~outbound +xadd +xreadgroup`
would let a worker forge events and take requests that are the adapter's. What an ACL cannot say: a
consumer group cannot be named, so a worker can read as any group; an argument cannot be forbidden, so whoever
may add requests can trim them with `XADD … MAXLEN`. Separate trust needs separate servers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from adapter.errors import ConfigError

# Connection and transaction: nothing here touches a key. In a Cluster a client asks for the owner of a slot.
_BASE = "ping hello auth select client|setname client|setinfo client|id multi exec discard cluster|slots"
_LOOK = "xread xrange xrevrange xlen xinfo|stream xinfo|groups xinfo|consumers"
_LOOK_HASH = "hget hmget hgetall hexists hlen hkeys hvals hscan hstrlen"
_CONTACTS = "friends groups discusses members:*"
_ADAPTER_STREAM = (
    "xadd xtrim xdel xlen xrange xrevrange xread xreadgroup xack xclaim xautoclaim xpending "
    "xinfo|stream xinfo|groups xinfo|consumers xgroup|create xgroup|createconsumer xgroup|delconsumer "
    "xgroup|setid type exists expire pexpire ttl pttl memory|usage"
)
_ADAPTER_HASH = f"{_LOOK_HASH} hset hdel hincrby del unlink exists expire pexpire ttl pttl"
_WORKER_GROUP = (
    "xreadgroup xack xautoclaim xclaim xpending xgroup|create xgroup|createconsumer xgroup|delconsumer"
)

PLACEHOLDER = "CHANGE-ME"


@dataclass(frozen=True, slots=True)
class Selector:
    """Commands on keys. `access`: read and write, only read (`%R`), only write (`%W`)."""

    commands: str
    keys: str
    access: str = ""

    def text(self, prefix: str) -> str:
        """As `ACL SETUSER` reads it."""
        patterns = " ".join(f"{self.access}~{prefix}:{key}" for key in self.keys.split())
        return f"({_allow(self.commands)} {patterns})"


@dataclass(frozen=True, slots=True)
class Role:
    """What one kind of user may do."""

    name: str
    what: str
    selectors: tuple[Selector, ...]
    base: str = ""


ADAPTER = Role(
    "adapter",
    "holds the connection; the only one that writes events, results and the session",
    (
        # A script is one command: all keys that it is given must be allowed in one place. What it does
        # inside is checked again, command by command, against the other selectors.
        Selector("eval evalsha", "*"),
        Selector(_ADAPTER_STREAM, "inbound outbound results results:* dead control session"),
        Selector(_ADAPTER_HASH, f"status {_CONTACTS}"),
        Selector("set get del pttl pexpire exists", "lease"),
        # Nobody else's business, so no command of these kinds needs an argument.
        Selector(
            "@hash @set @list del unlink rename exists expire pexpire ttl pttl", "ids:* ledger:* seen:*"
        ),
    ),
    base="info time wait waitaof script|load script|exists",
)
WORKER = Role(
    "worker",
    "reads events as a consumer group, asks for messages to be sent, reads results and contacts",
    (
        Selector(_WORKER_GROUP, "inbound"),
        Selector("xadd", "outbound dead", "%W"),
        Selector(_LOOK, "inbound results results:*", "%R"),
        Selector(_LOOK_HASH, f"status {_CONTACTS}", "%R"),
        # Who owns which lane is the workers' own business.
        Selector("watch get set del getdel expire hset hdel hkeys hgetall mget rpush blpop", "lanes:*"),
    ),
    base="unwatch",
)
READER = Role(
    "reader",
    "looks at events, results, status and contacts; changes nothing",
    (
        Selector(_LOOK, "inbound results results:*", "%R"),
        Selector(_LOOK_HASH, f"status {_CONTACTS}", "%R"),
    ),
)
OPERATOR = Role(
    "operator",
    "the command line: all of that, the QR code, commands, dead letters, groups that are given up",
    (
        Selector(_LOOK, "inbound outbound results results:* dead control session", "%R"),
        Selector(_LOOK_HASH, f"status {_CONTACTS}", "%R"),
        Selector("xpending", "inbound outbound control", "%R"),
        Selector("xadd", "control outbound inbound", "%W"),
        Selector("xdel", "dead"),
        Selector("eval", "dead outbound inbound"),  # a redrive is one step
        Selector("xgroup|destroy xgroup|delconsumer", "inbound"),
        Selector("exists pttl", "lease", "%R"),
        Selector("blpop", "ids:reply:*"),
    ),
    base="info time config|get acl|whoami dbsize",
)
ROLES = {role.name: role for role in (ADAPTER, WORKER, READER, OPERATOR)}


def line(role: Role, prefix: str, *, user: str, secret: str, old: bool = False) -> str:
    """The arguments of `ACL SETUSER`, beginning with the user's name.

    `secret`: `>password` or `#sha256` as Redis takes them. `old`: for Redis 7.0, which does not know
    `client|setinfo` and refuses the whole line for it.
    """
    words = f"{_BASE} {role.base}".split()
    if old:
        # WAITAOF came with 7.2 as well.
        words = [word for word in words if word not in {"client|setinfo", "waitaof"}]
    selectors = " ".join(selector.text(prefix) for selector in role.selectors)
    return f"{user} reset on {secret} -@all {_allow(' '.join(words))} {selectors}"


def hashed(password: str) -> str:
    """A password as it may be shown and stored: Redis compares the hash."""
    return "#" + sha256(password.encode()).hexdigest()


def user_name(name: str) -> str:
    """A name that Redis takes for a user. Raises ConfigError."""
    if not name or any(char.isspace() or char in "()\0" for char in name):
        raise ConfigError(f"--user {name!r} is no name for a Redis user: leave out blanks and parentheses")
    return name


def _allow(commands: str | Iterable[str]) -> str:
    words = commands.split() if isinstance(commands, str) else commands
    return " ".join(f"+{word}" for word in words)
