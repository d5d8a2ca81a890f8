"""Repeat a step until Redis serves."""

import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from adapter.aio import backoff
from adapter.errors import BusUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")
# Seconds between two tries: the first time, and at most.
FIRST_DELAY, MAX_DELAY = 0.05, 2.0


async def until_served(
    step: Callable[[], Awaitable[T]],
    *,
    give_up: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
) -> T:
    """Repeat an idempotent step until Redis serves; returns its result.

    `sleep` may return early, to try at once. Raises BusUnavailable after a try in vain if
    `give_up()` is true.
    """
    delays = backoff(random.random, first=FIRST_DELAY, most=MAX_DELAY)
    while True:
        try:
            return await step()
        except BusUnavailable as exc:
            if give_up():
                raise
            log.debug("%s", exc)
        await sleep(next(delays))
