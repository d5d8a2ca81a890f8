"""Supervise the background services, so that none of them ends the connection.

Only the pipelines, the lease and the publisher may end the process. Every other service runs under
`Supervisor.run`: whatever it raises is logged once with its traceback, counted, shown on `/readyz`, on the
page and in `qqbus doctor`, and the service is run again after a growing delay. A Redis that is away is an
outage and no failure: the service is run again when Redis may be back. Fenced passes: another adapter has
taken over, and the term of this one is over.
"""

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable

import anyio

from adapter.aio import Service, backoff
from adapter.errors import AccessRefused, BusUnavailable, Fenced, WrongKeyType
from adapter.ops.metrics import Metrics

log = logging.getLogger(__name__)

# Seconds until a failed service is run again: the first time, and at most.
FIRST_DELAY, MAX_DELAY = 0.5, 60.0
# The same while Redis is away, which ends without a restart of anything.
FIRST_OUTAGE_DELAY, MAX_OUTAGE_DELAY = 0.05, 2.0
# A service that has run for this many seconds since its last failure counts as recovered.
RECOVERY_SECONDS = 60.0


class Supervisor:
    """Runs services and repeats them. The failures are shown by `metrics`."""

    def __init__(self, metrics: Metrics, *, first_delay: float = FIRST_DELAY) -> None:
        self._metrics = metrics
        self._first_delay = first_delay
        # The failure that was logged last, by service: the same one again is no news.
        self._logged: dict[str, str] = {}

    async def run(self, name: str, service: Service, stop: anyio.Event) -> None:
        """Run a service until stopped, again and again if it fails. Raises Fenced."""
        failures = backoff(random.random, first=self._first_delay, most=MAX_DELAY)
        outages = backoff(random.random, first=FIRST_OUTAGE_DELAY, most=MAX_OUTAGE_DELAY)
        while not stop.is_set():
            began = anyio.current_time()
            failure = await self._outcome(lambda: service.run(stop))
            if stop.is_set():
                break
            if anyio.current_time() - began >= RECOVERY_SECONDS:
                self._logged.pop(name, None)
                failures = backoff(random.random, first=self._first_delay, most=MAX_DELAY)
                outages = backoff(random.random, first=FIRST_OUTAGE_DELAY, most=MAX_OUTAGE_DELAY)
            if failure is not None and _is_outage(failure):
                log.debug("%s: %s", name, failure)
                delay = next(outages)
            else:
                delay = next(failures)
                self._report(name, failure or RuntimeError("ended by itself"), delay)
            with anyio.move_on_after(delay):
                await stop.wait()
        self._logged.pop(name, None)
        self._metrics.clear_service_failure(name)

    async def attempt(self, name: str, action: Callable[[], Awaitable[object]]) -> bool:
        """Run one action of a service; returns whether it succeeded. Raises Fenced and BusUnavailable."""
        failure = await self._outcome(action)
        if failure is not None and _is_outage(failure):
            raise failure
        if failure is not None:
            self._report(name, failure, 0.0)
        return failure is None

    async def _outcome(self, action: Callable[[], Awaitable[object]]) -> BaseException | None:
        """Return what the action raised; None if it ended by itself."""
        try:
            await action()
        except asyncio.CancelledError as exc:
            if _is_cancelled():
                raise
            return exc  # a library raised it, or let the cancellation of a task of its own escape
        except Exception as exc:  # the top of every background service
            if fenced := _find(exc, Fenced):
                raise fenced from exc
            return _find(exc, BusUnavailable) if _is_outage(exc) else exc
        return None

    def _report(self, name: str, failure: BaseException, delay: float) -> None:
        if self._logged.get(name) != repr(failure):
            self._logged[name] = repr(failure)
            log.error("service %s failed; it is run again, messages flow on", name, exc_info=failure)
        # `/readyz` is open to all, and the text of an unforeseen error may quote a secret: the type is shown.
        self._metrics.count_service_failure(name, type(failure).__name__, delay + RECOVERY_SECONDS)


def _is_cancelled() -> bool:
    """Tell whether this task is asked to end: by its cancel scope, or by the event loop."""
    task = asyncio.current_task()
    return anyio.current_effective_deadline() == -math.inf or bool(task and task.cancelling())


def _find(exc: BaseException, kind: type[Fenced] | type[BusUnavailable]) -> BaseException | None:
    """Return the first exception of this kind in an exception or a group of them."""
    if isinstance(exc, BaseExceptionGroup):
        return next(filter(None, (_find(one, kind) for one in exc.exceptions)), None)
    return exc if isinstance(exc, kind) else None


def _is_outage(exc: BaseException) -> bool:
    """Tell whether an exception, or each one of a group, is an outage of Redis."""
    if isinstance(exc, BaseExceptionGroup):
        return all(map(_is_outage, exc.exceptions))
    # A right or a key that one service alone lacks has to be seen.
    return isinstance(exc, BusUnavailable) and not isinstance(exc, AccessRefused | WrongKeyType)
