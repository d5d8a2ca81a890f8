"""`qqbus acl`: the Redis user for a role, for redis-cli or for the server's ACL file."""

import argparse
import sys

from adapter.cli.terminal import say
from adapter.config import Config
from adapter.contract.acl import PLACEHOLDER, ROLES, check_user_name, hash_password, setuser_line

_OLD = "7.0"


async def acl(config: Config, arguments: argparse.Namespace) -> int:
    """Print the line. Redis is not asked."""
    role = ROLES[arguments.role]
    password = sys.stdin.readline().rstrip("\r\n") if arguments.password == "-" else arguments.password  # noqa: S105 – the name of a file
    text = setuser_line(
        role,
        config.prefix,
        user=check_user_name(arguments.user or f"{config.prefix.strip('{}')}-{role.name}"),
        secret=hash_password(password) if password else f">{PLACEHOLDER}",
        old=arguments.redis == _OLD,
    )
    say(("user " if arguments.file else "ACL SETUSER ") + text)
    if sys.stderr.isatty():
        print(f"# {role.name}: {role.what}", file=sys.stderr)
        if not password:
            print(f"# put a password in place of {PLACEHOLDER}, or give --password", file=sys.stderr)
        print("# then close the server to all other users: ACL SETUSER default off", file=sys.stderr)
        print(
            "# and keep it over a restart: ACL SAVE, or CONFIG REWRITE without an ACL file", file=sys.stderr
        )
    return 0
