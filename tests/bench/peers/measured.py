"""The same for every peer: a number a line on standard input, seconds for so many events on standard output."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Awaitable, Callable

# The size of an event of ours without names: everybody carries the same.
PAYLOAD = "明天下午三点见 " * 12


# What has not been handled by then never will be: some lose sight of a few.
LONGEST = 10.0


class Count:
    """Counts handled events."""

    def __init__(self, events: int) -> None:
        self.events = self.left = events
        self.began = 0.0
        self.ended = 0.0
        self._done = asyncio.Event()

    def one(self) -> None:
        """Another one."""
        self.ended = time.perf_counter()
        self.began = self.began or self.ended
        self.left -= 1
        if self.left <= 0:
            self._done.set()

    async def done(self) -> None:
        """Wait for the last one, within reason."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                await self._done.wait()


async def serve(measure: Callable[[Count, int], Awaitable[None]]) -> None:
    """Measure as often as is asked; from the first handler called until the last one."""
    loop = asyncio.get_running_loop()
    turn = 0
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        turn += 1
        count = Count(int(line))
        await measure(count, turn)
        told = {"events": count.events - count.left, "left": count.left, "seconds": count.ended - count.began}
        print(json.dumps(told), flush=True)
