"""`qqbus run` and `qqbus redis`: the adapter, or the embedded server alone."""

import argparse
import gc
import logging
import os
import signal

import anyio

from adapter import app
from adapter.aio import stop_signals
from adapter.bus import embedded
from adapter.cli.terminal import say
from adapter.config import Config
from adapter.errors import UnsupportedServer
from adapter.i18n import _
from adapter.ops.state_dir import ensure_state_dir

log = logging.getLogger(__name__)

# New containers after which Python looks for cycles among them; events make none. By default it is 700: in a
# flood a tenth of the time went there.
GC_THRESHOLD = 20_000


async def run(config: Config, _arguments: argparse.Namespace) -> int:
    """Run the adapter until a signal."""
    ensure_state_dir(config)
    gc.freeze()  # what the imports have made stays
    gc.set_threshold(GC_THRESHOLD)
    stop, received = anyio.Event(), list[str]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch_signals, stop, received)
        await app.run(config, stop, lambda: received[0])
        tasks.cancel_scope.cancel()
    return 0


async def redis(config: Config, arguments: argparse.Namespace) -> int:
    """Run the embedded server until a signal."""
    folder = ensure_state_dir(config) / "redis"
    if await embedded.probe_port(arguments.port):
        raise UnsupportedServer(
            "a Redis listens on 127.0.0.1:{port} already: use it, or give --port", port=arguments.port
        )
    stop = anyio.Event()
    async with (
        embedded.run_server(folder, arguments.port, has_password=True) as url,
        anyio.create_task_group() as tasks,
    ):
        say(_("{url}  (data in {folder}; Ctrl-C ends it)").format(url=url, folder=folder))
        tasks.start_soon(_watch_signals, stop, [])
        await stop.wait()
        tasks.cancel_scope.cancel()
    return 0


async def _watch_signals(stop: anyio.Event, received: list[str]) -> None:
    """Set `stop` at SIGINT, SIGTERM or SIGHUP, and note its name; exit at Ctrl-C while stopping.

    A closing terminal and its shell send several of the others: each is the same wish.
    """
    with anyio.open_signal_receiver(*stop_signals()) as signals:
        async for number in signals:
            if stop.is_set() and number == signal.SIGINT:
                log.warning("Ctrl-C while stopping: leaving at once")
                os._exit(128 + number)
            received.append(signal.Signals(number).name)
            log.info("%s: stopping", received[-1])
            stop.set()
