"""`qqbus worker`: run a bot in one process or several, start it again when it ends or its files change."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import anyio

from adapter.aio import AutoResetEvent, stop_signals
from adapter.cli.terminal import complain, say
from adapter.config import Config
from adapter.errors import ConfigError
from adapter.i18n import _

# Seconds before a process that has ended is started again, doubled each time up to the second value.
_FIRST_DELAY: Final = 0.5
_MAX_DELAY: Final = 30.0
# Seconds that a process must live to count as started.
_STARTED_SECONDS: Final = 5.0
# Seconds between two looks at the processes.
_POLL_SECONDS: Final = 0.1
# Exit codes that a restart cannot mend: bad use or configuration.
_BAD_USE: Final = 2


async def worker(_config: Config, arguments: argparse.Namespace) -> int:
    """Run the bot until a signal. Exit code 0 after one, else that of the bot."""
    path: Path = arguments.bot
    if not path.is_file():
        raise ConfigError("{path} is no file: give the program of your bot, such as bot.py", path=path)
    # -P: a file `consumers.py` or a folder `adapter` where the command was typed is not meant.
    line = [sys.executable, "-P", "-m", "consumers.runtime.launch", str(path), *arguments.arguments]
    fleet = _Fleet(line)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch_signals, fleet)
        if arguments.reload:
            tasks.start_soon(_watch_files, fleet, path.resolve().parent)
        code = await fleet.run(arguments.processes, waits_for_change=arguments.reload)
        tasks.cancel_scope.cancel()
    return code


class _Fleet:
    """The processes of a bot. `stop` ends them all."""

    def __init__(self, line: list[str]) -> None:
        self._line = line
        self._processes: list[subprocess.Popen[bytes]] = []
        self.stopping = False
        self.wakeup = AutoResetEvent()
        self._reload = False

    async def run(self, number: int, *, waits_for_change: bool) -> int:
        """Run `number` processes until stopped; returns the exit code."""
        delay = _FIRST_DELAY
        while True:
            started = time.monotonic()
            self._processes += [self._start() for _ in range(number - len(self._processes))]
            ended = await self._wait_for_end()
            if self.stopping:
                await self._end_all()
                return 0
            if self._reload:
                await self._end_all()
                self._reload, delay = False, _FIRST_DELAY
                continue
            if not waits_for_change and ended in {0, _BAD_USE}:
                await self._end_all()
                return ended
            if waits_for_change:
                complain(
                    "the bot ended with exit code {ended}: waiting for a change of its files", ended=ended
                )
                await self._wait_for_change()
                continue
            if time.monotonic() - started > _STARTED_SECONDS:
                delay = _FIRST_DELAY
            complain(
                "a process of the bot ended with exit code {ended}: starting it again in {delay:g} s",
                ended=ended,
                delay=delay,
            )
            await self.wakeup.wait(delay)
            delay = min(2 * delay, _MAX_DELAY)

    def reload(self) -> None:
        """Start all processes anew."""
        self._reload = True
        self.wakeup.set()

    def stop(self, number: int) -> None:
        """End all processes; at the second call at once, but for a closed terminal, which sends several."""
        if self.stopping:
            if number == signal.SIGHUP:
                return
            for process in self._processes:
                process.kill()
            os._exit(128 + number)
        self.stopping = True
        self.wakeup.set()

    def _start(self) -> "subprocess.Popen[bytes]":
        # Ctrl-C reaches the whole foreground group: the bot gets one signal, from here.
        return subprocess.Popen(self._line, start_new_session=True)  # noqa: S603 – the operator's own program

    async def _wait_for_end(self) -> int:
        """Wait until a process ends, or a stop or reload is wanted; returns the exit code."""
        while not (self.stopping or self._reload):
            for process in self._processes:
                if (code := process.poll()) is not None:
                    self._processes.remove(process)
                    return code
            await self.wakeup.wait(_POLL_SECONDS)
        return 0

    async def _wait_for_change(self) -> None:
        while not (self.stopping or self._reload):
            await self.wakeup.wait(_POLL_SECONDS * 10)

    async def _end_all(self) -> None:
        for process in self._processes:
            process.terminate()
        while any(process.poll() is None for process in self._processes):  # noqa: ASYNC110 – other processes
            await anyio.sleep(_POLL_SECONDS)
        self._processes.clear()


async def _watch_signals(fleet: _Fleet) -> None:
    with anyio.open_signal_receiver(*stop_signals()) as signals:
        async for number in signals:
            fleet.stop(number)


async def _watch_files(fleet: _Fleet, folder: Path) -> None:
    from watchfiles import PythonFilter, awatch  # noqa: PLC0415 – 20 ms that a run without it saves

    async for changes in awatch(folder, watch_filter=PythonFilter()):
        names = sorted({Path(path).name for _, path in changes})
        say(_("{names} changed: restarting the bot").format(names=", ".join(names)))
        fleet.reload()
