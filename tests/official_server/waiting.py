"""Wait for a condition with a limit and words for when it fails."""

import asyncio
from collections.abc import Awaitable, Callable


class Pulse:
    """Wake all waiting tasks at each change of some state."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def beat(self) -> None:
        """Wake every waiting task."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Return once a beat finds the predicate true."""
        while not predicate():
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future


class WaitTimeoutError(AssertionError):
    """The awaited condition did not come true; the text says what did."""


async def within(seconds: float, awaitable: Awaitable[None], describe: Callable[[], str]) -> None:
    """Wait at most `seconds`, then raise WaitTimeoutError with the text."""
    try:
        async with asyncio.timeout(seconds):
            await awaitable
    except TimeoutError as exc:
        raise WaitTimeoutError(describe()) from exc
