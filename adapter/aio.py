"""A bell between tasks: waiting for it has an end, and a ring before the wait is not lost."""

from collections.abc import Callable, Iterator

import anyio


class AutoResetEvent:
    """`ring` ends the present wait, or the next one. One waiter."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """Wake the waiter."""
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for a ring, for so long at most; whether there was one."""
        with anyio.move_on_after(seconds):
            await self._event.wait()
        rung = self._event.is_set()
        if rung:
            self._event = anyio.Event()
        return rung


def backoff(
    jitter: Callable[[], float], *, first: float = 0.5, factor: float = 2.0, most: float = 60.0
) -> Iterator[float]:
    """Delays in seconds between tries, growing to `most`, each shortened by up to a half at random.

    `jitter` returns numbers in [0, 1). A fresh iterator is the reset after a success.
    """
    delay = first
    while True:
        yield delay * (1.0 - jitter() / 2)
        delay = min(delay * factor, most)
