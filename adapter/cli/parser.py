"""The arguments of `qqbus`: one parser, and for each command the function that runs it.

Functions are named, not imported. Help and completion import no command, a command only what it uses.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adapter import contract
from adapter.config import DEFAULT_PORT, MAX_PORT
from adapter.contract.acl import ROLES
from adapter.contract.tables import PRESENCES
from adapter.events import Delivery, Priority
from adapter.i18n import _

# Seconds: a login by QR code takes a person with a phone.
LOGIN_TIMEOUT_SECONDS = 900.0
# Seconds that `send --wait` waits for a result: a busy queue sends one part each three seconds.
WAIT_SECONDS = 30.0
# Seconds that a worker under test may take for one reaction.
CHECK_TIMEOUT_SECONDS = 20.0
# Seconds between two pictures of `status --watch`.
WATCH_SECONDS = 2.0
# Dead letters that a list shows without --all: about two windows.
NEWEST_DEAD = 100
# The simulator of each network, below `tests` in the checkout and below `qqbus_sim` in an installation.
SIMULATORS = {"smartqq": "simulator", "onebot": "onebot_server", "official": "official_server"}
# Flags of a command that becomes another program.
_PROGRAM = {"handles_signals": True}

_Subparsers = Any  # argparse has no public name for it


def make_parser() -> argparse.ArgumentParser:
    """Return the parser.

    Parsed arguments name the function in `run`, as `module:function` below the package `commands`.
    """
    top = argparse.ArgumentParser(prog="qqbus", description=_("QQ on a Redis stream."))
    top.set_defaults(run="")
    top.add_argument("--version", action=_Version, nargs=0, help=_("show the version and exit"))
    commands = top.add_subparsers(metavar="COMMAND")
    for add in (
        *(
            _add_services,
            _add_workers,
            _add_simulators,
            _add_session,
            _add_tail,
            _add_send,
            _add_call_and_contacts,
        ),
        *(_add_dead, _add_contract, _add_tools),
    ):
        add(commands)
    return top


class _Version(argparse.Action):
    """Print the version.

    Reading it takes a tenth of the start: it happens only here.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        _namespace: argparse.Namespace,
        _values: str | Sequence[Any] | None,
        _option: str | None = None,
    ) -> None:
        from importlib.metadata import version  # noqa: PLC0415 – see above

        print(f"qqbus {version('qqbus')}")
        parser.exit()


def _command(
    commands: _Subparsers, name: str, run: str, what: str, **defaults: object
) -> Callable[..., argparse.Action]:
    """Add a command; return the method that adds its arguments.

    `needed_role`: whose rights it needs on a Redis with users. `interrupted`: exit code after Ctrl-C.
    `needs_state_dir`: it uses the adapter's folder. `handles_signals`:
    it ends by itself after SIGINT.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=what[:1].upper() + what[1:] + _(".")
    )
    flags = {
        "needed_role": "operator",
        "interrupted": 1,
        "needs_state_dir": False,
        "handles_signals": False,
    }
    parser.set_defaults(run=run, **flags | defaults)
    return parser.add_argument


def _add_json(add: Callable[..., argparse.Action], what: str) -> None:
    add("--json", action="store_true", help=what)


def _add_services(commands: _Subparsers) -> None:
    service = {"needs_state_dir": True, "handles_signals": True}
    _command(
        commands, "run", "run:run", _("run the adapter until it is stopped"), needed_role="adapter", **service
    )
    add = _command(commands, "redis", "run:redis", _("run the embedded Redis server alone"), **service)
    add(
        "--port",
        type=_port,
        default=DEFAULT_PORT,
        help=_("default {DEFAULT_PORT}").format(DEFAULT_PORT=DEFAULT_PORT),
    )
    add = _command(
        commands, "status", "status:status", _("show the state and what to do next"), interrupted=0
    )
    _add_json(add, _("one JSON object"))
    add(
        "--watch",
        type=_seconds,
        nargs="?",
        const=WATCH_SECONDS,
        metavar="SECONDS",
        help=_("repeat it (default every {WATCH_SECONDS:g} s)").format(WATCH_SECONDS=WATCH_SECONDS),
    )
    add = _command(
        commands, "page", "page:page", _("print a link that opens the status page once"), needs_state_dir=True
    )
    add("--revoke", action="store_true", help=_("make a new token first: every browser must sign in again"))
    add = _command(
        commands,
        "doctor",
        "doctor:doctor",
        _("check Redis, disk, rights and ports, and say what to change"),
        needs_state_dir=True,
    )
    _add_json(add, _("one JSON object a line"))


def _add_workers(commands: _Subparsers) -> None:
    add = _command(commands, "worker", "worker:worker", _("run a bot of yours"), handles_signals=True)
    add("bot", type=Path, metavar="FILE", help=_("the program of the bot, such as bot.py"))
    add(
        "--processes",
        type=_count,
        default=1,
        metavar="N",
        help=_("processes that share the work (default 1)"),
    )
    add("--reload", action="store_true", help=_("restart whenever a Python file beside it is saved"))
    add("arguments", nargs="*", metavar="ARG", help=_("arguments of the bot, after --"))
    add = _command(commands, "new", "new:new", _("write a project with a bot that passes its own test"))
    add("name", metavar="NAME", help=_("name of the bot and of its folder"))


def _add_simulators(commands: _Subparsers) -> None:
    what = _("run a simulated QQ, the adapter and an echo worker")
    add = _command(commands, "demo", "sim:demo", what, **_PROGRAM)
    add("--network", choices=["smartqq", "onebot"], default="smartqq", help=_("smartqq (default) or onebot"))
    add("--bot", choices=["nonebot"], help=_("a bot of nonebot2 in the place of the worker, at a gateway"))
    add("--no-echo", action="store_true", help=_("start no worker, so that yours alone answers"))
    add("--any-ports", action="store_true", help=_("take other ports than 6379, 8710 and 8017"))
    add = _command(commands, "sim", "sim:sim", _("run the simulator of a network"), **_PROGRAM)
    add("network", choices=list(SIMULATORS), help=_("whose network"))
    rest = add(
        "arguments",
        nargs=argparse.REMAINDER,
        metavar="ARG",
        help=_("arguments of the simulator: `qqbus sim NETWORK --help` lists them"),
    )
    rest.required = False  # argparse names it as missing otherwise


def _add_session(commands: _Subparsers) -> None:
    add = _command(
        commands, "login", "login:login", _("show the QR code and wait until the account is online")
    )
    add("--force", action="store_true", help=_("log in again even if the account is online"))
    add(
        "--timeout",
        type=_seconds,
        default=LOGIN_TIMEOUT_SECONDS,
        metavar="SECONDS",
        help=_("default {LOGIN_TIMEOUT_SECONDS:g}").format(LOGIN_TIMEOUT_SECONDS=LOGIN_TIMEOUT_SECONDS),
    )
    control = "control:control"
    _command(commands, "logout", control, _("log out and stay offline until `qqbus login`"), sent="logout")
    _command(commands, "refresh", control, _("load all contacts again"), sent="refresh")
    _command(commands, "pause", control, _("hold all sends until `qqbus resume`"), sent="pause")
    _command(commands, "resume", control, _("send what is held"), sent="resume")
    add = _command(
        commands, "captcha", control, _("answer the captcha that `qqbus login` shows"), sent="captcha"
    )
    add("detail", metavar="TEXT")
    add = _command(commands, "lapse", control, _("stop keeping events for a consumer group"), sent="lapse")
    add("detail", metavar="GROUP")
    add = _command(commands, "restore", control, _("keep events for a lapsed group again"), sent="restore")
    add("detail", metavar="GROUP")
    add = _command(commands, "presence", "rpc:presence", _("change how other users see the account"))
    add("status", choices=PRESENCES, metavar="STATUS", help=", ".join(PRESENCES))


def _add_tail(commands: _Subparsers) -> None:
    add = _command(commands, "tail", "tail:tail", _("print events as they arrive, one a line"), interrupted=0)
    _add_json(add, _("one JSON object a line, with the body"))
    add(
        "--since",
        metavar="ID|TIME",
        help=_("start at an entry id, a time (11:00, yesterday, 2026-11-30 11:00) or an age (10m, 2h)"),
    )
    add("-n", type=int, metavar="N", help=_("begin with the newest N entries"))
    add("--chat", metavar="CHAT", help=_("only this chat: an address, a name or a QQ number"))
    streams = add.__self__.add_mutually_exclusive_group()  # type: ignore[attr-defined]
    streams.add_argument(
        "--sent", action="store_true", help=_("what is asked to be sent, and what became of it")
    )
    streams.add_argument("--all", action="store_true", help=_("events, requests and results"))
    add(
        "--type",
        action="append",
        default=[],
        metavar="TYPE",
        help=_("only this type: message.group, or notice for all notices; may be repeated"),
    )


def _add_send(commands: _Subparsers) -> None:
    add = _command(commands, "send", "send:send", _("send a message to a friend, group or discussion"))
    add(
        "to",
        metavar="TO",
        help=_("friend:1, group:2, discuss:3, temp:4@group:2, reply:EVENT-ID, or a contact's name or number"),
    )
    add("text", metavar="TEXT", nargs="+", help=_("the message; - reads it from standard input"))
    add("--id", help=_("idempotency key: a second request with it is not sent"))
    add("--expires", metavar="SECONDS|TIME", help=_("do not send if it has not begun by then"))
    add("--delivery", choices=[kind.value for kind in Delivery])
    add("--priority", choices=[kind.value for kind in Priority])
    add(
        "--wait",
        type=_seconds,
        nargs="?",
        const=WAIT_SECONDS,
        metavar="SECONDS",
        help=_("wait for the result (default {WAIT_SECONDS:g} s); exit code 0 if it was sent, else 1").format(
            WAIT_SECONDS=WAIT_SECONDS
        ),
    )
    _add_json(add, _("print the result as JSON"))


def _add_call_and_contacts(commands: _Subparsers) -> None:
    add = _command(
        commands, "call", "call:call", _("call an action of the network, and print what it answers")
    )
    add("action", metavar="ACTION", help=_("by the network's own name, such as get_group_info"))
    add(
        "params",
        metavar="PARAMS",
        nargs="?",
        default="{}",
        help=_("a JSON object; - reads it from standard input"),
    )
    add(
        "--wait",
        type=_seconds,
        default=WAIT_SECONDS,
        metavar="SECONDS",
        help=_("default {WAIT_SECONDS:g}").format(WAIT_SECONDS=WAIT_SECONDS),
    )
    _add_json(add, _("print the whole result as JSON"))
    add = _command(commands, "contacts", "contacts:contacts", _("list contacts with their addresses"))
    add(
        "words",
        nargs="*",
        metavar="friends|groups|discusses|members CHAT|SEARCH",
        help=_("a list, and words to search for"),
    )
    _add_json(add, _("one JSON object a line"))
    add = _command(commands, "image", "rpc:image", _("fetch a picture of a message, while the session lasts"))
    add("event", metavar="EVENT-ID", help=_("id of the event, or of its entry on qq:inbound"))
    add("--number", type=int, default=1, metavar="N", help=_("which picture of the message (default 1)"))
    add("--out", metavar="FILE", help=_("- is standard output; default picture-ENTRY-N with a suffix"))


def _add_dead(commands: _Subparsers) -> None:
    add = _command(commands, "dead", "dead:dead", _("list, redrive or drop dead letters"))
    add("action", nargs="?", choices=["list", "redrive", "drop"], default="list")
    add("ids", nargs="*", metavar="ID")
    add(
        "--all",
        action="store_true",
        help=_("all letters (a list has the newest {NEWEST_DEAD})").format(NEWEST_DEAD=NEWEST_DEAD),
    )
    add("--group", metavar="GROUP", help=_("only letters of this consumer group"))
    add(
        "--to-all",
        action="store_true",
        help=_("of redrive: append an event whose entry is trimmed again, for every application"),
    )
    _add_json(add, _("one JSON object a line"))


def _add_contract(commands: _Subparsers) -> None:
    add = _command(commands, "acl", "acl:acl", _("print the Redis user for a role, or write an ACL file"))
    add("role", nargs="?", choices=list(ROLES), metavar="ROLE", help=", ".join(ROLES))
    add("--all", action="store_true", help=_("a user for each role, with new passwords; wants --file"))
    add("--user", metavar="NAME", help=_("default: prefix and role, as qq-worker"))
    add("--password", metavar="TEXT", help=_("printed as its hash; - reads it from standard input"))
    add(
        "--redis",
        choices=["7.0", "7.2"],
        help=_("version of the server, 7.2 or newer; without it the server of REDIS_URL is asked"),
    )
    add(
        "--file",
        nargs="?",
        const="-",
        metavar="FILE",
        help=_("a line of an ACL file instead of a command; with a name: write it to that file"),
    )
    schemas = sorted(path.stem for path in Path(contract.__file__).with_name("schemas").iterdir())
    add = _command(
        commands, "contract", "contract:contract", _("print the contract as AsyncAPI or JSON Schema")
    )
    add("--schema", choices=schemas, metavar="NAME", help=", ".join(schemas))
    add = _command(
        commands, "check", "check:check", _("check the streams, or a worker, against the contract")
    )
    _add_json(add, _("one JSON object"))
    add("--worker", metavar="GROUP", help=_("test a worker: the name of its consumer group"))
    add(
        "--timeout",
        type=_seconds,
        default=CHECK_TIMEOUT_SECONDS,
        metavar="SECONDS",
        help=_("limit for one reaction of the worker (default {CHECK_TIMEOUT_SECONDS:g})").format(
            CHECK_TIMEOUT_SECONDS=CHECK_TIMEOUT_SECONDS
        ),
    )
    add(
        "program",
        nargs="*",
        metavar="PROGRAM",
        help=_(
            "after --: the worker to start, on keys of its own; without: one that runs, without an adapter"
        ),
    )


def _add_tools(commands: _Subparsers) -> None:
    add = _command(commands, "alarm", "alarm:alarm", _("deliver a test alarm by the settings of the adapter"))
    add("--test", action="store_true", required=True, help=_("say so: nothing but a test is sent"))
    add = _command(
        commands, "completion", "completion:completion", _("print the completion script of a shell")
    )
    add("shell", choices=["bash", "zsh", "fish"], help=_('in the profile: eval "$(qqbus completion bash)"'))


def _count(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(_("{text!r} is not a number from 1 up").format(text=text))


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and 0 < int(text[:6]) <= MAX_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(_("{text!r} is not a port, 1 to 65535").format(text=text))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(_("{text!r} is not a number of seconds").format(text=text))
    return seconds
