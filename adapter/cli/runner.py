"""Run one command: settings, logging, signals, exit codes."""

import argparse
import os
import pkgutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping

import anyio

from adapter.cli.terminal import complain
from adapter.config import Config, suggest_settings
from adapter.errors import (
    AccessRefused,
    BusUnavailable,
    ConfigError,
    QQBusError,
    UnsupportedServer,
    WrongKeyType,
    first_error,
)
from adapter.i18n import N_
from adapter.ops.logs import set_up

DONE, FAILED, BAD_USE, NO_REDIS = 0, 1, 2, 3

Command = Callable[[Config, argparse.Namespace], Awaitable[int]]


def run_command(arguments: argparse.Namespace) -> int:
    """Run the command that the arguments name. Returns the exit code."""
    arguments.colour = _wants_colour()
    try:
        config = Config.from_env(_environment(needs_state_dir=arguments.needs_state_dir))
        set_up(config.log_format, config.log_level)
        for name, near in suggest_settings(os.environ):
            complain("{name} is not a setting: do you mean {near}?", name=name, near=near)
        return anyio.run(run_with_config, config, arguments)
    except ConfigError as exc:
        complain(exc.text, **exc.values)
        return BAD_USE
    except KeyboardInterrupt:
        return FAILED


def _environment(*, needs_state_dir: bool) -> Mapping[str, str]:
    """Return the settings for a command.

    Without its own use of the state folder a command runs without a home directory.
    """
    return os.environ if needs_state_dir else os.environ | {"QQBUS_STATE_DIR": os.sep}


def _wants_colour() -> bool:
    """Return whether to colour standard output (see no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


async def run_with_config(config: Config, arguments: argparse.Namespace) -> int:
    """Run the command and return the exit code; print its error, if any."""
    command: Command = pkgutil.resolve_name(f"adapter.cli.commands.{arguments.run}")
    code = DONE
    try:
        code = await _run_until_interrupted(command, config, arguments)
    except* BrokenPipeError:  # `qqbus tail | head` is no error
        pass
    except* ConfigError as group:
        code = _report(group, BAD_USE)
    except* AccessRefused as group:
        code = _report(group, NO_REDIS, arguments.needed_role if _is_right_missing(group) else "")
    except* WrongKeyType as group:
        code = _report(group, FAILED)
    except* (BusUnavailable, UnsupportedServer) as group:
        code = _report(group, NO_REDIS)
    except* QQBusError as group:
        code = _report(group, FAILED)
    return code


async def _run_until_interrupted(command: Command, config: Config, arguments: argparse.Namespace) -> int:
    """Run a command; Ctrl-C cancels one that does not handle signals.

    Ctrl-C cancels a scope, which repeats the cancellation: of a single one redis-py loses one in six that
    come just before a command (it reads with a time limit of 0, and takes the cancellation for its own).
    """
    if arguments.handles_signals:
        return await command(config, arguments)
    code: int = arguments.interrupted
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_on_interrupt, tasks.cancel_scope)
        code = await command(config, arguments)
        tasks.cancel_scope.cancel()
    return code


async def _cancel_on_interrupt(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return


def _is_right_missing(group: BaseExceptionGroup[AccessRefused]) -> bool:
    """Return whether the user was let in and lacks a right; else the password is wrong."""
    return "permission" in str(first_error(group))


def _report(group: BaseExceptionGroup[QQBusError], code: int, missing_role: str = "") -> int:
    """Print the first error of a group, and whose rights are missing. Returns `code`."""
    error = first_error(group)
    if missing_role:
        text = N_("{error}: use a user with the role {role} (`qqbus acl {role}` makes one)")
        complain(text, error=error, role=missing_role)
    else:
        complain(error.text, **error.values)
    return code
