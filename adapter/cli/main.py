"""The command line: the only place for the environment, signals, logging and exit codes."""

import argparse
import io
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version

import anyio

from adapter.bus import embedded
from adapter.cli import commands
from adapter.config import DEFAULT_PORT, Config, suggest_settings
from adapter.errors import BusUnavailable, ConfigError, QQBusError, UnsupportedServer
from adapter.ops.logs import set_up

DONE, FAILED, BAD_USE, NO_REDIS = 0, 1, 2, 3

Command = Callable[[Config, argparse.Namespace], Awaitable[int]]


def main() -> None:
    """Entry point of `qqbus`. Exit codes: 0 done, 1 failed, 2 bad use or configuration, 3 no Redis."""
    arguments = parser().parse_args()
    arguments.colour = _colour()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that is not UTF-8 shows codes, not a traceback
            stream.reconfigure(errors="backslashreplace")
    try:
        config = Config.from_env(os.environ)
        set_up(config.log_format, config.log_level)
        for name, near in suggest_settings(os.environ):
            print(f"qqbus: {name} is no setting: {near} is", file=sys.stderr)
        code = anyio.run(_guarded, arguments.command, config, arguments)
    except ConfigError as exc:
        code = _say(exc, BAD_USE)
    except KeyboardInterrupt:
        code = FAILED
    sys.exit(code)


def _colour() -> bool:
    """Whether standard output shows colours and its user wants them (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


async def _guarded(command: Command, config: Config, arguments: argparse.Namespace) -> int:
    code = DONE
    try:
        code = await _interruptible(command, config, arguments)
    except* BrokenPipeError:
        # The reader of our output has gone: nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except* ConfigError as group:
        code = _say(_first(group), BAD_USE)
    except* (BusUnavailable, UnsupportedServer) as group:
        code = _say(_first(group), NO_REDIS)
    except* QQBusError as group:
        code = _say(_first(group), FAILED)
    return code


async def _interruptible(command: Command, config: Config, arguments: argparse.Namespace) -> int:
    """Ctrl-C is the proper end of a command that has none of its own.

    It cancels a scope, and a scope insists: of a plain cancellation redis-py loses one in six that come
    just before a command (it reads with a time limit of 0, which takes it for its own).
    """
    if command in {_run, _redis}:
        return await command(config, arguments)
    code: int = getattr(arguments, "interrupted", FAILED)
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


def _first(group: BaseExceptionGroup[QQBusError]) -> BaseException:
    exc: BaseException = group
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return exc


def _say(exc: BaseException, code: int) -> int:
    print(f"qqbus: {exc}", file=sys.stderr)
    return code


def parser() -> argparse.ArgumentParser:
    """What may be typed."""
    top = argparse.ArgumentParser(prog="qqbus", description="QQ on a Redis stream.")
    top.add_argument("--version", action="version", version=f"qqbus {version('qqbus')}")
    subs = top.add_subparsers(metavar="COMMAND", required=True)
    one = subs.add_parser("run", help="the adapter: hold the connection until stopped")
    one.set_defaults(command=_run)
    one = subs.add_parser("redis", help="the embedded server alone, in the foreground")
    one.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"default {DEFAULT_PORT}")
    one.set_defaults(command=_redis)
    commands.add_to(subs)
    return top


async def _run(config: Config, _: argparse.Namespace) -> int:
    # Here and not above: the other commands start in half the time without it.
    from adapter import app  # noqa: PLC0415

    app.ensure_state_dir(config)
    stop = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch_signals, stop)
        await app.run(config, stop)
        tasks.cancel_scope.cancel()
    return DONE


async def _redis(config: Config, arguments: argparse.Namespace) -> int:
    from adapter import app  # noqa: PLC0415 – likewise

    folder = app.ensure_state_dir(config) / "redis"
    if await embedded.probe_port(arguments.port):
        raise UnsupportedServer(
            f"a Redis listens on 127.0.0.1:{arguments.port} already: use it, or give --port"
        )
    stop = anyio.Event()
    async with embedded.run_server(folder, arguments.port) as url, anyio.create_task_group() as tasks:
        print(f"{url}  (data in {folder}; Ctrl-C ends it)", flush=True)
        tasks.start_soon(_watch_signals, stop)
        await stop.wait()
        tasks.cancel_scope.cancel()
    return DONE


async def _watch_signals(stop: anyio.Event) -> None:
    """The first signal asks for an orderly end, a second one for an end."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            if stop.is_set():
                logging.getLogger(__name__).warning("second signal: leaving at once")
                os._exit(128 + number)
            stop.set()
