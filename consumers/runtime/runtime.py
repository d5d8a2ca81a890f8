"""One run of a worker: read, hand to the chats, write; and again after whatever Redis does meanwhile."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from redis.exceptions import RedisError

from adapter import Received, SchemaError, read_event_header
from consumers.runtime.client import BusClient
from consumers.runtime.connection import backoff, is_group_missing, is_transient
from consumers.runtime.consumer_group import ConsumerGroup, mapping_of
from consumers.runtime.dispatcher import KeyedDispatcher, WorkItem
from consumers.runtime.event import Event, Reject
from consumers.runtime.handlers import HandlerRegistry
from consumers.runtime.partitioned import PartitionedSource
from consumers.runtime.shared import SharedSource

log = logging.getLogger("qqbus.worker")

# A delay before a failing event is tried again; doubled each time.
RETRY_FIRST: Final = 0.5
RETRY_MOST: Final = 30.0
# While handlers finish, what they hold is kept from being claimed.
KEEP: Final = 1.0


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker runs. Seconds, unless said otherwise.

    `claim_after`: an event that nobody has touched for so long was left by a dead peer. `deliveries`:
    so often an event is begun before it goes to `qq:dead`. `grace`: what a stop grants handlers.
    `lanes`: one process at a time for each chat, whatever happens; all processes of the application must
    agree on it. `lease`: a process that pauses for so long has lost its chats.
    """

    concurrency: int = 16
    start: str = "0"
    claim_after: float = 30.0
    max_deliveries: int = 5
    retry_delay: float = RETRY_FIRST
    shutdown_timeout: float = 20.0
    partitioned: bool = False
    session_timeout: float = 6.0


@dataclass(slots=True)
class Counters:
    """What the run counts, for `/metrics`."""

    handled: int = 0
    failed: int = 0
    buried: int = 0
    lost_connections: int = 0


class EntrySource(Protocol):
    """Where the chats' jobs come from: a plain group, or lanes."""

    claimed: int

    async def recover(self) -> None:
        """After a start or a lost connection: find out what is pending here."""

    async def poll(self) -> None:
        """One round, a second long at most."""

    async def heartbeat(self) -> None:
        """Keep what is in hand while nothing new is taken."""

    async def leave(self, unfinished: Sequence[tuple[str, int]]) -> None:
        """The end: these entries are not finished, and were begun so often."""


class Runtime:
    """The worker at work."""

    def __init__(self, office: BusClient, handlers: HandlerRegistry, plan: WorkerOptions) -> None:
        self.office = office
        self.plan = plan
        self.numbers = Counters()
        self.stop = asyncio.Event()
        self.started = asyncio.Event()
        self.connected = False
        self.group = ConsumerGroup(office, plan.start)
        self.chats = KeyedDispatcher(self._handle, plan.concurrency)
        self._handlers = handlers
        self._suspects = asyncio.Lock()
        self.source: EntrySource = (
            PartitionedSource(office, self.group, self.chats, plan.session_timeout)
            if plan.partitioned
            else SharedSource(office, self.group, self.chats, plan.claim_after)
        )

    # --- running -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until stopped. What is in hand is finished within `grace`; the rest is given back to the peers."""
        async with asyncio.TaskGroup() as tasks:
            writer_stop = asyncio.Event()
            tasks.create_task(self.office.run(writer_stop, self.plan.shutdown_timeout))
            slots = [tasks.create_task(self.chats.run_slot()) for _ in range(self.plan.concurrency)]
            await self._read()
            self.chats.close()
            await self._finish(slots)
            writer_stop.set()
            self.office.outlet.wake()
        with contextlib.suppress(RedisError, OSError):
            await self.source.leave(self.chats.unfinished())

    async def _finish(self, slots: Sequence["asyncio.Task[None]"]) -> None:
        late: set[asyncio.Task[None]] = set(slots)
        end = time.monotonic() + self.plan.shutdown_timeout
        while late and time.monotonic() < end:
            _, late = await asyncio.wait(late, timeout=min(KEEP, end - time.monotonic()))
            with contextlib.suppress(RedisError, OSError):
                await self.source.heartbeat()
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
            log.warning("%d handlers did not finish: their events will come again", len(late))

    async def _read(self) -> None:
        delays = backoff(most=2.0)
        recovered = False
        while not self.stop.is_set():
            try:
                if not recovered:
                    await self.source.recover()
                    recovered = True
                    self.connected = True
                    if not self.started.is_set():
                        stream = self.office.settings.key("inbound")
                        log.info("%s reads %s as %s", self.office.application, stream, self.office.consumer)
                    self.started.set()
                await self.source.poll()
                delays = backoff(most=2.0)
            except (RedisError, OSError) as exc:
                if is_group_missing(exc):
                    log.warning("the group %s is gone and made again", self.office.application)
                    recovered = False
                    await _unless(self.stop, next(delays))
                    continue
                if not is_transient(exc):
                    raise
                if recovered or not self.numbers.lost_connections:
                    log.warning("Redis does not serve (%s: %s); trying again", type(exc).__name__, exc)
                    if not self.started.is_set():
                        log.warning("REDIS_URL says where it is")
                self.connected = False
                self.numbers.lost_connections += 1
                # An answer may have been lost on the way: what it held is in the own pending list.
                recovered = False
                await _unless(self.stop, next(delays))

    # --- one event -----------------------------------------------------------------------------

    async def _handle(self, job: WorkItem) -> float | None:
        """Handle it; None when it is done with, else the seconds until the next try."""
        try:
            received = read_event_header(job.entry, mapping_of(job.fields))
        except SchemaError as exc:
            return await self._dead_letter(job, "schema.invalid", str(exc))
        if not job.attempts:
            job.attempts = 1
            return await self._run_handlers(job, received)
        # Somebody did not finish this one, and it may be the event that killed them. One at a time:
        # if it happens again, no innocent neighbour is counted among the suspects.
        async with self._suspects:
            # The lease may have ended meanwhile. Then this is for others: it is forgotten, not tried again.
            if not self.chats.is_owned(job):
                return self.plan.retry_delay
            if job.attempts >= self.plan.max_deliveries:
                return await self._dead_letter(
                    job, "deliveries", f"begun {job.attempts} times and never finished"
                )
            if not await self._begin(job):
                return self.plan.retry_delay
            return await self._run_handlers(job, received)

    async def _begin(self, job: WorkItem) -> bool:
        """Write down that it is begun once more; False where that took so long that it is not ours now."""
        job.attempts += 1

        async def once() -> None:
            # Claiming takes an event from whoever has it.
            if self.chats.is_owned(job):
                await self.group.record_attempt(job.entry, job.attempts)

        await self._retry(once)
        if self.chats.is_owned(job):
            return True
        job.attempts -= 1
        return False

    async def _run_handlers(self, job: WorkItem, received: Received) -> float | None:
        event = Event(received, self.office, job.attempts)
        try:
            for handler, mine in self._handlers.matching(event):
                await handler(mine)
        except Reject as exc:
            self.numbers.failed += 1
            return await self._dead_letter(job, "refused", str(exc))
        except asyncio.CancelledError as exc:
            # Of this slot, it is the end of `grace`. Of what the handler awaited, it is a failure like any
            # other: let through, it would end the slot without a word, with its chat busy for ever.
            if _is_being_cancelled():
                raise
            self.numbers.failed += 1
            return await self._retry_or_dead_letter(job, exc)
        except Exception as exc:  # noqa: BLE001 – whatever a handler raises is its own affair
            self.numbers.failed += 1
            if isinstance(exc, SchemaError) and not _readable(received):
                return await self._dead_letter(job, "schema.invalid", str(exc))
            return await self._retry_or_dead_letter(job, exc)
        self.numbers.handled += 1
        self.office.outlet.ack(job.entry)
        return None

    async def _retry_or_dead_letter(self, job: WorkItem, exc: BaseException) -> float | None:
        log.warning(
            "event %s failed, try %d of %d", job.entry, job.attempts, self.plan.max_deliveries, exc_info=exc
        )
        if job.attempts >= self.plan.max_deliveries:
            return await self._dead_letter(job, "handler.failed", f"{type(exc).__name__}: {exc}")
        return min(self.plan.retry_delay * 2.0 ** (job.attempts - 1), RETRY_MOST)

    async def _dead_letter(self, job: WorkItem, reason: str, detail: str) -> float | None:
        log.error("entry %s goes to the dead letters: %s: %s", job.entry, reason, detail)
        tries = 0

        async def once() -> None:
            nonlocal tries
            tries += 1
            # The answer to a former try may have been lost: asking first keeps it from happening twice.
            if tries == 1 or await self.group.is_pending(job.entry):
                await self.group.dead_letter(job.entry, job.fields, reason, detail, max(job.attempts, 1))

        await self._retry(once)
        self.numbers.buried += 1
        return None

    async def _retry(self, step: Callable[[], Awaitable[Any]]) -> None:
        """A step that may be repeated, until Redis serves."""
        delays = backoff(most=2.0)
        while True:
            try:
                await step()
            except (RedisError, OSError) as exc:
                # Of a group that is gone nothing is pending: there is nothing left to do for it.
                if is_group_missing(exc):
                    return
                if not is_transient(exc):
                    raise
                await asyncio.sleep(next(delays))
            else:
                return


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _readable(received: Received) -> bool:
    """Whether the body can be unpacked: until a handler asks for it nobody has tried."""
    try:
        _ = received.body
    except SchemaError:
        return False
    return True


async def _unless(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
