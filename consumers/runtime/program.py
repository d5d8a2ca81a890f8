"""Run a worker as a program: help, log, signals, exit codes, and an end for certain."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from redis.exceptions import RedisError

from adapter import ConfigError
from adapter.aio import stop_signals
from adapter.i18n import N_
from adapter.ops.logs import LineFormatter, mute_libraries
from consumers.runtime.connection import describe_error

log = logging.getLogger("qqbus.worker")

# Exit codes.
_FAILED: Final = 1
_BAD_USE: Final = 2
_CANNOT_REACH: Final = 3
# Seconds after the shutdown timeout at which the process exits whatever still runs in it.
_EXIT_MARGIN: Final = 5.0
# Threads beside those of handlers, for what the loop itself needs, such as names of hosts.
_SPARE_THREADS: Final = 4
LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
ENVIRONMENT: Final = N_("""environment:
  REDIS_URL           where the bus is (redis://127.0.0.1:6379)
  QQBUS_PREFIX        prefix of its keys (qq)
  QQBUS_WORKER_HTTP   host:port of /healthz and /metrics (none)""")


class WorkerProgram:
    """The one worker of a process. `run` works until `stop` is called; `in_hand` counts events."""

    def __init__(
        self,
        run: Callable[[], Awaitable[None]],
        stop: Callable[[], None],
        in_hand: Callable[[], int],
        *,
        shutdown_timeout: float,
        concurrency: int,
    ) -> None:
        self._run = run
        self._stop = stop
        self._in_hand = in_hand
        self._shutdown_timeout = shutdown_timeout
        self._concurrency = concurrency
        self._timers: list[threading.Timer] = []
        self._is_stopping = False

    def main(self) -> None:
        """Run until SIGTERM, SIGINT or SIGHUP; exits with 0 after them.

        The process ends within the shutdown timeout and a few seconds, whatever a handler does.
        """
        handler = logging.StreamHandler()
        handler.setFormatter(LineFormatter(LOG_FORMAT))
        logging.basicConfig(level=logging.INFO, handlers=[handler])
        mute_libraries()
        try:
            asyncio.run(self._run_until_signal())
        except ConfigError as exc:
            log.error("%s", exc)  # noqa: TRY400 – the message is enough
            sys.exit(_BAD_USE)
        except (RedisError, OSError) as exc:
            log.error("Redis cannot be used: %s (REDIS_URL names it)", describe_error(exc))  # noqa: TRY400 – likewise
            sys.exit(_CANNOT_REACH)
        finally:
            for timer in self._timers:
                timer.cancel()

    async def _run_until_signal(self) -> None:
        loop = asyncio.get_running_loop()
        # A thread for each handler that may run: the default pool has fewer.
        loop.set_default_executor(ThreadPoolExecutor(self._concurrency + _SPARE_THREADS, "handler"))

        def on_signal(number: int, _frame: object) -> None:
            # The log has locks, and the interrupted code may hold one: it writes in a thread of its own.
            if self._is_stopping:
                # A closing terminal and its shell send several others: they are the same wish.
                if number == signal.SIGINT:
                    self._start_timer(0.0, lambda: _leave(number))
                return
            self._is_stopping = True
            self._start_timer(0.0, self._announce_stop)
            self._start_timer(self._shutdown_timeout + _EXIT_MARGIN, _exit)
            loop.call_soon_threadsafe(self._stop)

        # Not the loop's own handlers: a handler that blocks the loop would block them too.
        for number in stop_signals():
            signal.signal(number, on_signal)
        try:
            await self._run()
        finally:
            # asyncio.run waits without limit for tasks that ignore their cancellation, and for threads.
            self._start_timer(_EXIT_MARGIN, _exit)

    def _announce_stop(self) -> None:
        log.info(
            "stopping: %d events in hand get %g s; Ctrl-C leaves at once",
            self._in_hand(),
            self._shutdown_timeout,
        )

    def _start_timer(self, seconds: float, call: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, call)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)


def _leave(number: int) -> None:
    log.warning("Ctrl-C while stopping: leaving at once; events in hand will come again")
    os._exit(128 + number)


def _exit() -> None:
    log.error("a handler does not end: exiting without it, its event will come again")
    os._exit(_FAILED)


def asks_for_help(arguments: list[str]) -> bool:
    """Return whether a bot was started to be explained, not to work."""
    return "--help" in arguments or arguments == ["-h"]
