"""Asyncio helpers: a wake-up event, a periodic loop, delays between retries."""

import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

import anyio

# Seconds that one step of a periodic loop may take. The longest is a probe that logs in again.
STEP_TIMEOUT = 150.0


class Service(Protocol):
    """A task in the background. To stop it: set `stop`, then call `wake`."""

    async def run(self, stop: anyio.Event) -> None:
        """Work until stopped."""
        ...

    def wake(self) -> None:
        """Let `run` notice that it was stopped."""
        ...


def host_name() -> str:
    """Return the name of this machine, which may hold any bytes, as text that can be encoded."""
    return socket.gethostname().encode("utf-8", "replace").decode()


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end a program in order.

    SIGHUP means that the terminal is closed; under nohup it is ignored, and stays so.
    """
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM, *(() if is_ignored else (signal.SIGHUP,)))


class AutoResetEvent:
    """Wake one waiter: `set` ends the present wait, or else the next one."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """Wake the waiter."""
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until set, for `seconds` at most. Returns whether it was set."""
        with anyio.move_on_after(seconds):
            await self._event.wait()
        was_set = self._event.is_set()
        if was_set:
            self._event = anyio.Event()
        return was_set


async def periodic(
    step: Callable[[], Awaitable[object]], *, seconds: float, wakeup: AutoResetEvent, stop: anyio.Event
) -> None:
    """Await `step` at once, then every `seconds` and at each wake-up, until stopped.

    To stop: set `stop`, then `wakeup`. Raises TimeoutError if a step hangs.
    """
    while not stop.is_set():
        with anyio.fail_after(STEP_TIMEOUT):
            await step()
        await wakeup.wait(seconds)


def backoff(
    jitter: Callable[[], float], *, first: float = 0.5, factor: float = 2.0, most: float = 60.0
) -> Iterator[float]:
    """Yield delays in seconds that grow to `most`, each shortened by up to a half at random.

    `jitter` returns numbers in [0, 1). Start a fresh iterator after a success.
    """
    delay = first
    while True:
        yield delay * (1.0 - jitter() / 2)
        delay = min(delay * factor, most)
