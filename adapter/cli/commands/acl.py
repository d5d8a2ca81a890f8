"""`qqbus acl`: the Redis user for a role, ready for redis-cli or for the server's ACL file."""

import argparse
import sys

from adapter.cli.terminal import say
from adapter.config import Config
from adapter.contract.acl import PLACEHOLDER, ROLES, hashed, line, user_name

_OLD = "7.0"


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    one = subs.add_parser("acl", help="the Redis user for a role, as a line for redis-cli")
    add = one.add_argument
    add("role", choices=list(ROLES), metavar="ROLE", help=", ".join(ROLES))
    add("--user", metavar="NAME", help="the user's name; default: prefix and role, qq-worker")
    add("--password", metavar="TEXT", help="printed as its hash; - reads it from standard input")
    add(
        "--redis",
        choices=["7.0", "7.2"],
        default="7.2",
        help="7.0 for a server that old; default 7.2 or newer",
    )
    add("--file", action="store_true", help="as a line of an ACL file instead of a command")
    one.set_defaults(command=acl)


async def acl(config: Config, arguments: argparse.Namespace) -> int:
    """Print the line. Nothing is sent to Redis."""
    role = ROLES[arguments.role]
    password = sys.stdin.readline().rstrip("\r\n") if arguments.password == "-" else arguments.password  # noqa: S105 – the name of a file
    text = line(
        role,
        config.prefix,
        user=user_name(arguments.user or f"{config.prefix.strip('{}')}-{role.name}"),
        secret=hashed(password) if password else f">{PLACEHOLDER}",
        old=arguments.redis == _OLD,
    )
    say(("user " if arguments.file else "ACL SETUSER ") + text)
    if sys.stderr.isatty():
        print(f"# {role.name}: {role.what}", file=sys.stderr)
        if not password:
            print(f"# put a password in place of {PLACEHOLDER}, or give --password", file=sys.stderr)
        print("# and shut the door for everybody else: ACL SETUSER default off", file=sys.stderr)
    return 0
