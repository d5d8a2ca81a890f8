"""Redis users for the roles, by key and command (contract, first table). Pure.

The roles need selectors, as Redis 7.0 and Valkey have them. A plain `~inbound ~outbound +xadd +xreadgroup`
would let a worker forge events and take requests from the adapter.

What the role `worker` enforces: its user adds no event and no result, reads no request, no dead letter, no
QR code and no session, changes no status, and gives the operator no command. What an ACL cannot enforce. It
names no consumer group: a worker can read, acknowledge and delete consumers as any group. It forbids no
argument: a worker that may add requests can trim those of others with `XADD … MAXLEN`, and use up the ids of
a stream. It looks at no value: a worker can write to any chat, and any dead letter. Users that must not trust
each other need servers of their own.

What the adapter does about it. Late ids are healed. A request that was trimmed after it was read is rejected;
unread ones that were trimmed are counted and raise an alarm, on Redis 7 and newer, unless the adapter reads
the next request before it looks. A letter that the adapter wrote is known from those of workers, since
only the adapter writes `qq:ids:letters`. An event is delivered again as it stands in `qq:inbound`, never as a
letter says; one that is trimmed is appended again only from a letter of the adapter.

Nor can it forbid a field: each user that may add requests can add one with `op=call`, which may do whatever
the network can. `HSET qq:calls guarded 1` by the operator makes the adapter take only those calls that are
confirmed under this key, which a worker may not write; see outbound/call_guard.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from adapter.errors import ConfigError
from adapter.i18n import N_

# Connection and transaction, without keys. In a Cluster a client asks for the owner of a slot.
_BASE = "ping hello auth select client|setname client|setinfo client|id multi exec discard cluster|slots"
_LOOK = "xread xrange xrevrange xlen xinfo|stream xinfo|groups xinfo|consumers"
_LOOK_HASH = "hget hmget hgetall hexists hlen hkeys hvals hscan hstrlen"
_SINCE_7_2 = frozenset({"client|setinfo", "waitaof"})
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

# Stands for the password in a printed line.
PLACEHOLDER = "CHANGE-ME"


@dataclass(frozen=True, slots=True)
class Selector:
    """Commands on keys. `access`: `%R` reads, `%W` writes, empty does both."""

    commands: str
    keys: str
    access: str = ""

    def text(self, prefix: str) -> str:
        """Return the selector as `ACL SETUSER` reads it."""
        patterns = " ".join(f"{self.access}~{prefix}:{key}" for key in self.keys.split())
        return f"({_allow(self.commands)} {patterns})"


@dataclass(frozen=True, slots=True)
class Role:
    """Rights of one kind of user. `base`: commands without keys."""

    name: str
    what: str
    selectors: tuple[Selector, ...]
    base: str = ""


ADAPTER = Role(
    "adapter",
    N_("holds the connection; only this user writes events, results and the session"),
    (
        # A script is one command: one selector must allow all its keys. Redis checks the commands inside it
        # against the other selectors.
        Selector("eval evalsha", "*"),
        Selector(_ADAPTER_STREAM, "inbound outbound results results:* dead control session ids:aside:*"),
        Selector("type", "*"),  # which keys are of another program
        # A stream whose ids are used up.
        Selector("rename", "inbound outbound results dead control session ids:aside:*"),
        Selector(_ADAPTER_HASH, f"status {_CONTACTS}"),
        Selector("set get del pttl pexpire exists", "lease"),
        Selector("hmget hdel", "calls"),
        # No other role uses these keys: all commands of a kind are allowed.
        Selector(
            "@hash @set @list del unlink rename exists expire pexpire ttl pttl", "ids:* ledger:* seen:*"
        ),
    ),
    base="info time wait waitaof script|load script|exists",
)
WORKER = Role(
    "worker",
    N_("reads events as a consumer group, asks for messages to be sent, reads results and contacts"),
    (
        Selector(_WORKER_GROUP, "inbound"),
        Selector("xadd", "outbound dead", "%W"),
        Selector(_LOOK, "inbound results results:*", "%R"),
        Selector(_LOOK_HASH, f"status {_CONTACTS}", "%R"),
        # Only workers use it: which worker owns which partition.
        Selector("watch get set del getdel expire hset hdel hkeys hgetall mget rpush blpop", "lanes:*"),
        # Questions, rates and ticks of an application.
        Selector("get set del exists expire incr hget hset hdel", "worker:*"),
    ),
    base="unwatch",
)
# The confirmations of calls, and whether they are needed.
_CALLS = Selector("hset hdel", "calls", "%W")
CALLER = Role(
    "caller",
    N_("a worker that may also confirm calls: with `qq:calls` guarded only it and the operator call actions"),
    (*WORKER.selectors, _CALLS),
    base=WORKER.base,
)
GATEWAY = Role(
    "gateway",
    N_("the gateway for bots of OneBot: a worker that finds its own requests again"),
    (*WORKER.selectors, Selector("xrange", "outbound", "%R")),
    base=WORKER.base,
)
COMMANDS = Role(
    "commands",
    N_("a worker that may log the account out as well: for `consumers.commands` with #exit"),
    (*WORKER.selectors, Selector("xadd", "control", "%W")),
    base=WORKER.base,
)
READER = Role(
    "reader",
    N_("looks at events, results, status and contacts; changes nothing"),
    (
        Selector(_LOOK, "inbound results results:*", "%R"),
        Selector(_LOOK_HASH, f"status {_CONTACTS}", "%R"),
    ),
)
OPERATOR = Role(
    "operator",
    N_(
        "the command line: reads all streams and the QR code, sends commands, redrives dead letters, ends "
        "groups"
    ),
    (
        Selector(_LOOK, "inbound outbound results results:* dead control session", "%R"),
        Selector(_LOOK_HASH, f"status {_CONTACTS}", "%R"),
        Selector("xpending", "inbound outbound control", "%R"),
        Selector("hmget", "ids:letters", "%R"),  # which dead letters the adapter wrote
        Selector("xadd", "control outbound inbound", "%W"),
        Selector("xdel", "dead"),
        Selector("eval", "dead outbound inbound"),  # a redrive is one step
        Selector("xclaim xgroup|destroy xgroup|delconsumer", "inbound"),
        Selector("exists pttl", "lease", "%R"),
        Selector("blpop", "ids:reply:*"),
        _CALLS,
    ),
    base="info time config|get acl|whoami dbsize",
)
ROLES = {role.name: role for role in (ADAPTER, WORKER, GATEWAY, CALLER, COMMANDS, READER, OPERATOR)}


def setuser_line(role: Role, prefix: str, *, user: str, secret: str, old: bool = False) -> str:
    """Return the arguments of `ACL SETUSER`, beginning with the user's name.

    `secret`: `>password` or `#sha256` as Redis takes them. `old`: for Redis 7.0, which refuses a line with a
    command that it does not know.
    """
    words = f"{_BASE} {role.base}".split()
    if old:
        words = [word for word in words if word not in _SINCE_7_2]
    selectors = " ".join(selector.text(prefix) for selector in role.selectors)
    return f"{user} reset on {secret} -@all {_allow(' '.join(words))} {selectors}"


def hash_password(password: str) -> str:
    """Return the hash that Redis takes in the place of a password."""
    return "#" + sha256(password.encode()).hexdigest()


def check_user_name(name: str) -> str:
    """Return the name of a user. Raises ConfigError if Redis cannot take it."""
    if not name or any(char.isspace() or char in "()\0" for char in name):
        raise ConfigError(
            "--user {name!r} is not a name for a Redis user: leave out blanks and parentheses", name=name
        )
    return name


def _allow(commands: str | Iterable[str]) -> str:
    words = commands.split() if isinstance(commands, str) else commands
    return " ".join(f"+{word}" for word in words)
