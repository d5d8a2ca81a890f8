"""Waiting for something to become true, with a limit and words for when it does not."""

import asyncio
from collections.abc import Awaitable, Callable


class Pulse:
    """Lets any number of tasks wait for the next change of something."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def beat(self) -> None:
        """Wake everybody who waits."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Wait until a beat finds the predicate true."""
        while not predicate():
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future


class WaitTimeoutError(AssertionError):
    """What a test waited for did not happen; the text tells what had happened by then."""


async def within(seconds: float, awaitable: Awaitable[None], described: Callable[[], str]) -> None:
    """Wait at most `seconds`; then raise WaitTimeoutError with the description."""
    try:
        async with asyncio.timeout(seconds):
            await awaitable
    except TimeoutError as exc:
        raise WaitTimeoutError(described()) from exc
