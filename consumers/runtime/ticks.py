"""Run timers over all processes of an application: each tick once.

Mechanism. At each tick every process tries to write the key `tick:<timer>:<time>`, which holds for
LEASE_SECONDS. The one that succeeds runs the handler, renews the key until then and marks it as done in the
end. The others look at it until it is done; if it vanishes before, its process is dead and another one
runs the tick. `timer:<timer>` names the newest tick that was begun.

Invariants: a tick that one living process knows is run; while its process lives, by that one alone. A tick
that is run a second time has the same id, and so have the requests of its handler: the adapter sends them
once. What breaks them: a process that stands still for longer than the lease may run a tick beside its
successor. A tick at which no process lives is missed: it is logged, and not repeated.

A handler that fails is called again, as often as an event's, and so is one whose process dies. Then the tick
goes to `qq:dead` and is over.
"""

import asyncio
import contextlib
import contextvars
import itertools
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from redis.exceptions import NoPermissionError

from adapter import DeadLetter, encode_dead_letter
from consumers.runtime.connection import is_set_within
from consumers.runtime.event import Reject
from consumers.runtime.runtime import MAX_RETRY_DELAY, Runtime
from consumers.runtime.tasks import is_being_cancelled
from consumers.runtime.timers import Tick, Timer

log = logging.getLogger("qqbus.worker")

# Seconds until a tick of a dead process is run by another one.
LEASE_SECONDS: Final = 5.0
# Seconds between two looks at the clock, and at ticks that others run.
_CHECK_SECONDS: Final = 0.5
# Seconds that a finished tick is known; an unfinished one is taken over for half as long.
DONE_TTL: Final = 3_600
# Seconds that a timer is known without a tick: longer than a year, the longest time between two.
_TIMER_TTL: Final = 400 * 86_400
# Seconds that a tick may be late before a process that starts counts it as missed.
_GRACE: Final = 2.0
_DONE: Final = b"done"

# The ids of the requests of a running tick.
_ids: contextvars.ContextVar[Iterator[str] | None] = contextvars.ContextVar("tick", default=None)


def next_request_id() -> str:
    """Return the id of the next request of the running tick; empty outside of one."""
    ids = _ids.get()
    return "" if ids is None else next(ids)


async def run_tick(timer: Timer, tick: Tick) -> None:
    """Call the handler of a timer; its requests bear ids made from the tick."""
    numbered = (f"{tick.id}/{number}" for number in itertools.count(2))
    token = _ids.set(itertools.chain((tick.id,), numbered))
    try:
        await timer.handler(tick)
    finally:
        _ids.reset(token)


class TimerLoop:
    """One timer in one process."""

    def __init__(self, timer: Timer, runtime: Runtime) -> None:
        self._timer = timer
        self._runtime = runtime
        self._client = runtime.client
        self._state = runtime.client.state
        self._stop = runtime.stop
        self._newest_key = self._state.key(f"timer:{timer.name}")
        # Ticks that were begun, and that are not known to be done.
        self._open: dict[float, None] = {}

    async def run(self) -> None:
        """Run the ticks until stopped."""
        try:
            await self._look_back()
            due = self._timer.table.next_after(time.time())
            while not self._stop.is_set():
                wait = due - time.time()
                if wait <= 0:
                    await self._begin(due)
                    due = self._timer.table.next_after(max(due, time.time()))
                    continue
                await self._take_over()
                await is_set_within(self._stop, min(_CHECK_SECONDS, max(0.0, due - time.time())))
        except NoPermissionError as exc:
            raise NoPermissionError(
                f"timers need the rights of the role worker on {self._state.key('*')}: {exc}"
            ) from exc

    async def _look_back(self) -> None:
        """Take up what the last process left, and tell what no process has run."""
        newest = await self._newest()
        if newest is None:
            return
        if newest > time.time() - DONE_TTL / 2:
            self._open[newest] = None
        await self._report_missed(newest, time.time() - _GRACE)

    async def _begin(self, due: float) -> None:
        """Run a tick, unless another process has begun it."""
        if not await self._claim(due):
            self._open[due] = None
            return
        newest = await self._newest()
        missed = 0
        if newest is None or newest < due:
            await self._state.do("SET", self._newest_key, repr(due), "EX", _TIMER_TTL)
        if newest is not None:
            missed = max(0, self._timer.table.count(newest, due) - 1)
            if missed:
                await self._report_missed(newest, due - 0.001)
        await self._run(due, missed, attempt=1)

    async def _take_over(self) -> None:
        """Run begun ticks whose process is dead."""
        for due in list(self._open):
            found: bytes | None = await self._state.do("GET", self._key(due))
            if found == _DONE or due < time.time() - DONE_TTL / 2:
                del self._open[due]
            elif found is None and await self._claim(due):
                del self._open[due]
                await self._run_again(due)

    async def _run_again(self, due: float) -> None:
        """Run a tick whose process is dead; one that has killed too many moves to `qq:dead`."""
        key = self._state.key(f"tries:{self._timer.name}:{due!r}")
        attempt = 1 + int(await self._state.do("INCR", key))
        await self._state.do("EXPIRE", key, DONE_TTL)
        if attempt > self._runtime.options.max_deliveries:
            tick = self._timer.tick(self._client.application, due, attempt=attempt - 1)
            detail = f"started {attempt - 1} times and never finished"
            await self._dead_letter(tick, attempt - 1, "deliveries", detail)
            await self._state.do("SET", self._key(due), _DONE, "EX", DONE_TTL)
            return
        log.warning("the process that ran %s of %s is gone: running it again", due, self._timer.name)
        await self._run(due, 0, attempt)

    async def _run(self, due: float, missed: int, attempt: int) -> None:
        """Call the handler until it succeeds or has failed too often."""
        options, counters = self._runtime.options, self._runtime.counters
        async with self._renewed(due):
            for attempts in range(1, options.max_deliveries + 1):
                tick = self._timer.tick(
                    self._client.application, due, missed=missed, attempt=attempt + attempts - 1
                )
                failure = await self._call(tick, attempts)
                if failure is None:
                    counters.ticks += 1
                    break
                counters.failed += 1
                if isinstance(failure, Reject):
                    await self._dead_letter(tick, attempts, "refused", str(failure))
                    break
                if attempts == options.max_deliveries:
                    detail = f"{type(failure).__name__}: {failure}"
                    await self._dead_letter(tick, attempts, "handler.failed", detail)
                    break
                delay = min(options.retry_delay * 2.0 ** (attempts - 1), MAX_RETRY_DELAY)
                if await is_set_within(self._stop, delay):
                    return  # another process takes it over
        await self._state.do("SET", self._key(due), _DONE, "EX", DONE_TTL)

    async def _call(self, tick: Tick, attempts: int) -> BaseException | None:
        """Call the handler once; returns what it raised."""
        try:
            await run_tick(self._timer, tick)
        except Reject as exc:
            return exc
        except (Exception, asyncio.CancelledError) as exc:
            if isinstance(exc, asyncio.CancelledError) and is_being_cancelled():
                raise
            limit = self._runtime.options.max_deliveries
            log.warning("tick %s failed, attempt %d of %d", tick.id, attempts, limit, exc_info=True)
            return exc
        return None

    async def _dead_letter(self, tick: Tick, attempts: int, reason: str, detail: str) -> None:
        """Move a tick to `qq:dead`: its entry has the time at which it was due."""
        settings, consumer = self._client.settings, self._client.consumer
        log.error("tick %s moves to %s: %s: %s", tick.id, settings.key("dead"), reason, detail)
        fields = {b"id": tick.id.encode(), b"type": b"tick", b"text": f"timer {tick.name}".encode()}
        letter = DeadLetter(
            self._newest_key,
            f"{round(tick.time.timestamp() * 1000)}-0",
            fields,
            self._client.application,
            consumer,
            reason,
            detail,
            attempts,
        )
        await self._client.writer.append(settings.key("dead"), encode_dead_letter(letter, time.time()))
        self._runtime.counters.buried += 1

    @contextlib.asynccontextmanager
    async def _renewed(self, due: float) -> AsyncIterator[None]:
        """Hold the key of a tick while the body runs."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(LEASE_SECONDS / 3)
                await self._state.do("SET", self._key(due), "running", "XX", "PX", int(LEASE_SECONDS * 1000))

        task = asyncio.get_running_loop().create_task(renew())
        try:
            yield
        finally:
            task.cancel()
            # redis-py may lose a cancellation: the loop of the worker cancels again what is left.
            await asyncio.wait([task], timeout=_CHECK_SECONDS)

    async def _claim(self, due: float) -> bool:
        mark = f"{self._client.consumer}:{time.monotonic_ns()}"
        key = self._key(due)
        if await self._state.do("SET", key, mark, "NX", "PX", int(LEASE_SECONDS * 1000)):
            return True
        # A reply that was lost: the key is this process's own.
        found: Any = await self._state.do("GET", key)
        return bool(found == mark.encode())

    async def _newest(self) -> float | None:
        found: bytes | None = await self._state.do("GET", self._newest_key)
        return None if found is None else float(found)

    async def _report_missed(self, newest: float, until: float) -> None:
        missed = self._timer.table.count(newest, until)
        if not missed:
            return
        key = self._state.key(f"missed:{self._timer.name}:{newest!r}")
        if await self._state.do("SET", key, "1", "NX", "EX", DONE_TTL):
            first = self._timer.tick(self._client.application, self._timer.table.next_after(newest))
            log.warning("%d ticks of %s were missed since %s", missed, self._timer.name, first.time)

    def _key(self, due: float) -> str:
        return self._state.key(f"tick:{self._timer.name}:{due!r}")
