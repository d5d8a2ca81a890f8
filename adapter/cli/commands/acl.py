"""`qqbus acl`: the Redis user for a role, or an ACL file with a user for each role."""

import argparse
import os
import secrets
import sys
from pathlib import Path

from adapter.bus.admin import AdminClient
from adapter.cli.errors import CommandError
from adapter.cli.terminal import say
from adapter.config import Config
from adapter.contract.acl import PLACEHOLDER, ROLES, Role, check_user_name, hash_password, setuser_line
from adapter.errors import BusError, ConfigError
from adapter.i18n import _, translate_error

_OLD, _NEW = "7.0", "7.2"
# Bytes of a password that is made here.
_PASSWORD_BYTES = 24
# The user of a client that does not log in: closed, since `default` may do everything.
_CLOSED = "user default off"


async def acl(config: Config, arguments: argparse.Namespace) -> int:
    """Print a line for one role, or write an ACL file. Redis is asked for its version alone."""
    if arguments.all == bool(arguments.role):
        raise ConfigError("give a role, or --all --file FILE")
    is_old = (arguments.redis or await _version(config)) == _OLD
    if arguments.all:
        return _write_all(config, arguments, is_old=is_old)
    role = ROLES[arguments.role]
    password = sys.stdin.readline().rstrip("\r\n") if arguments.password == "-" else arguments.password  # noqa: S105 – the name of a file
    user = check_user_name(arguments.user or _user(config, role))
    secret = hash_password(password) if password else f">{PLACEHOLDER}"
    text = setuser_line(role, config.prefix, user=user, secret=secret, old=is_old)
    if arguments.file not in {None, "-"}:
        _write(Path(arguments.file), [f"user {text}"])
        say(f"{arguments.file}: {user}")
    else:
        say(("user " if arguments.file else "ACL SETUSER ") + text)
    if sys.stderr.isatty():
        _explain(role, is_password_given=bool(password))
    return 0


async def _version(config: Config) -> str:
    """Return the version that the server of REDIS_URL understands; the newer one if it cannot be asked."""
    if config.redis_url is None:
        return _NEW
    try:
        async with AdminClient.open(config.redis_url, config.prefix) as admin:
            found = str((await admin.info()).get("redis_version", _NEW))
    except BusError as exc:
        print(
            _("# the server was not asked for its version ({error}); --redis 7.0 is for older ones").format(
                error=translate_error(exc)
            ),
            file=sys.stderr,
        )
        return _NEW
    major, minor = (*found.split("."), "")[:2]
    numbers = (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else (7, 2)
    return _OLD if numbers < (7, 2) else _NEW


def _user(config: Config, role: Role) -> str:
    return f"{config.prefix.strip('{}')}-{role.name}"


def _write_all(config: Config, arguments: argparse.Namespace, *, is_old: bool) -> int:
    """Write a user for each role, and print the passwords, which the file has as hashes alone."""
    if arguments.file in {None, "-"}:
        raise ConfigError("--all wants --file FILE: the ACL file to write")
    if arguments.user or arguments.password:
        raise ConfigError("--all names the users by their roles and makes their passwords")
    lines, printed = [_CLOSED], []
    for role in ROLES.values():
        user, password = check_user_name(_user(config, role)), secrets.token_urlsafe(_PASSWORD_BYTES)
        secret = hash_password(password)
        lines.append("user " + setuser_line(role, config.prefix, user=user, secret=secret, old=is_old))
        printed.append(f"{role.name}  redis://{user}:{password}@HOST:PORT")
    _write(Path(arguments.file), lines)
    say(
        _("{file}: a user for each role, and no other one. The passwords stand here alone:").format(
            file=arguments.file
        ),
        "",
        *printed,
    )
    say(
        "",
        _("Start Redis with `--aclfile {file}`, or name it as `aclfile` in its configuration.").format(
            file=arguments.file
        ),
        _("The users are in that file and survive a restart. After a change: ACL LOAD."),
    )
    return 0


def _write(path: Path, lines: list[str]) -> None:
    """Write a new file that only its owner can read. Raises CommandError."""
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(number, "w", encoding="utf-8") as file:  # noqa: PTH123 – opened with its mode
            file.write("\n".join(lines) + "\n")
    except FileExistsError as exc:
        raise CommandError("{path} exists: move it away first", path=path) from exc
    except OSError as exc:
        raise CommandError("cannot write {path}: {strerror}", path=path, strerror=exc.strerror) from exc


def _explain(role: Role, *, is_password_given: bool) -> None:
    notes = [f"# {role.name}: {_(role.what)}"]
    if not is_password_given:
        notes.append(
            _("# put a password in place of {placeholder}, or give --password").format(
                placeholder=PLACEHOLDER
            )
        )
    notes += [
        _("# then close the server to all other users: ACL SETUSER default off"),
        _("# and keep it over a restart: ACL SAVE, or CONFIG REWRITE without an ACL file"),
        _("# `qqbus acl --all --file users.acl` writes all roles into an ACL file"),
    ]
    print("\n".join(notes), file=sys.stderr)
