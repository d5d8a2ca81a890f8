"""Run a worker: read, dispatch to handlers, write, and recover whenever Redis fails."""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from redis.exceptions import RedisError

from adapter import Received, SchemaError, read_event_header
from consumers.runtime.client import BusClient
from consumers.runtime.connection import describe_error, is_group_missing
from consumers.runtime.consumer_group import ConsumerGroup, Pending
from consumers.runtime.conversations import NoAnswerError
from consumers.runtime.dispatcher import Dispatcher, KeyedDispatcher, WorkItem
from consumers.runtime.event import Event, Reject
from consumers.runtime.handlers import HandlerRegistry
from consumers.runtime.holding import EntrySink, HeldEntries, HoldingSource
from consumers.runtime.partitioned import PartitionedSource
from consumers.runtime.replies import mapping_of
from consumers.runtime.shared import SharedSource
from consumers.runtime.tasks import TaskSupervisor, is_being_cancelled

log = logging.getLogger("qqbus.worker")

# Seconds before a failed event is tried again: doubled each time up to the second value.
RETRY_DELAY: Final = 0.5
MAX_RETRY_DELAY: Final = 30.0
# Seconds between two heartbeats while handlers finish: peers must not claim their events.
_HEARTBEAT_INTERVAL: Final = 1.0
# Seconds of the shutdown that are kept for the last acks, or a quarter of it if that is less.
_FLUSH_SECONDS: Final = 2.0
# Seconds without progress after which `/healthz` fails: longer than a slow reassignment.
STALL_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker runs. Times are in seconds.

    `start`: where a new group starts. `claim_after`: a peer claims an event that was idle for this time.
    `max_deliveries`: attempts before an event goes to `qq:dead`. `retry_delay`: before the second
    attempt. `shutdown_timeout`: from a stop to the end, handlers included. `partitioned`: one process at
    a time for each chat; all processes of an application must agree on it. `session_timeout`: a member
    that pauses for this time loses its chats.
    """

    concurrency: int = 16
    start: str = "0"
    claim_after: float = 30.0
    max_deliveries: int = 5
    retry_delay: float = RETRY_DELAY
    shutdown_timeout: float = 20.0
    partitioned: bool = False
    session_timeout: float = 6.0

    def __post_init__(self) -> None:
        for name in ("concurrency", "max_deliveries"):
            if not _is_count(getattr(self, name)):
                raise ValueError(f"{name} is a whole number from 1 up, not {getattr(self, name)!r}")
        for name in ("claim_after", "retry_delay", "shutdown_timeout", "session_timeout"):
            if not _is_span(getattr(self, name)):
                raise ValueError(f"{name} is a number of seconds above 0, not {getattr(self, name)!r}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_span(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


@dataclass(slots=True)
class Counters:
    """What a run counts, for `/metrics`."""

    handled: int = 0
    ticks: int = 0
    failed: int = 0
    buried: int = 0
    lost_connections: int = 0


class EntrySource(Protocol):
    """Where entries come from: a shared group, or a partitioned one."""

    claimed: int

    async def recover(self) -> None:
        """Load what is pending here, after a start or a lost connection."""

    async def poll(self) -> None:
        """Read once; takes about a second at most."""

    async def heartbeat(self) -> None:
        """Keep what is in flight while no new entries are taken."""

    async def leave(self, unfinished: Sequence[Pending]) -> None:
        """Release these entries and leave the group."""


class Runtime:
    """One run of a worker.

    Its loops are the reader, the slots that call handlers, the writer and the result listener. The first
    that fails stops the run, which then ends within the shutdown timeout and raises the error.
    """

    def __init__(
        self,
        client: BusClient,
        handlers: HandlerRegistry,
        options: WorkerOptions,
        sink: EntrySink[Any] | None = None,
    ) -> None:
        self.client = client
        self.options = options
        self.counters = Counters()
        self.stop = asyncio.Event()
        self.started = asyncio.Event()
        self.connected = False
        self.group = ConsumerGroup(client, options.start)
        self._handlers = handlers
        self._recovered = False
        self._last_poll = 0.0
        self._suspects = asyncio.Lock()
        # The entry of the event that holds the lock.
        self._suspect = ""
        client.park = self._park
        # Loops beside the reader; each ends by itself after a stop.
        self.extra_loops: list[Callable[[], Coroutine[Any, Any, None]]] = []
        # Coroutines of an application that holds entries. They are cancelled at the end.
        self.services: list[Callable[[], Coroutine[Any, Any, None]]] = []
        # Of an application: name of a gauge -> what it shows, and its value.
        self.more_metrics: Callable[[], Mapping[str, tuple[str, float]]] = dict
        self.dispatcher: Dispatcher
        self.source: EntrySource
        if sink is not None:
            self.held = HeldEntries(client)
            self.dispatcher = self.held
            self.source = HoldingSource(
                client, self.group, self.held, sink, self._bury_unreadable, options.claim_after
            )
            return
        dispatcher = self.dispatcher = KeyedDispatcher(self._handle, options.concurrency)
        self.source = (
            PartitionedSource(client, self.group, dispatcher, options.session_timeout)
            if options.partitioned
            else SharedSource(client, self.group, dispatcher, options.claim_after)
        )

    def health_problem(self) -> str:
        """Return why the worker makes no progress; empty while its loops do."""
        if self.stop.is_set():
            return "stopping"
        if not self.connected:
            return "Redis does not serve"
        seconds, reason = self.client.retries.longest_failure()
        if seconds > STALL_SECONDS:
            return f"Redis has refused a command for {seconds:.0f} s: {reason}"
        if time.monotonic() > self._last_poll + STALL_SECONDS:
            return f"nothing was read for {STALL_SECONDS:g} s"
        return ""

    # --- running -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until stopped. Raises the error of the first loop that fails."""
        tasks = TaskSupervisor(self.stop.set)
        try:
            writer = self.client.start(tasks)
            reader = tasks.start(self._read())
            slots = set[asyncio.Task[None]]()
            self.dispatcher.start_slot = lambda: slots.add(tasks.start(self.dispatcher.run_slot()))
            for _ in range(self.dispatcher.slots):
                self.dispatcher.start_slot()
            slots |= {tasks.start(loop()) for loop in self.extra_loops}
            for service in self.services:
                tasks.start(service())
            await self.stop.wait()
            await self._shut_down(tasks, reader, writer, slots)
        finally:
            await tasks.close()

    async def _shut_down(
        self,
        tasks: TaskSupervisor,
        reader: "asyncio.Task[None]",
        writer: "asyncio.Task[None]",
        slots: "set[asyncio.Task[None]]",
    ) -> None:
        """Let handlers finish, write their acks, and release the rest to the peers."""
        timeout = self.options.shutdown_timeout
        end = time.monotonic() + timeout
        # Without a writer no handler can finish.
        handlers_end = time.monotonic() if writer.done() else end - min(_FLUSH_SECONDS, timeout / 4)
        self.dispatcher.close()
        self.client.conversations.close()
        # A cancelled read would strand its entries.
        await asyncio.wait([reader], timeout=max(0.0, handlers_end - time.monotonic()))
        await self._finish_handlers(tasks, slots, handlers_end)
        # Handlers that ignored their cancellation have used up the rest.
        end = max(end, time.monotonic() + min(_FLUSH_SECONDS, timeout / 4))
        self.client.writer.close()
        await asyncio.wait([writer], timeout=max(0.0, end - time.monotonic()))
        await tasks.cancel()
        if lost := self.client.writer.unacknowledged:
            log.error("Redis took no more writes: %d events stay pending and will come again", len(lost))
        with contextlib.suppress(RedisError, OSError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self.source.leave(self.dispatcher.unfinished())

    async def _finish_handlers(
        self, tasks: TaskSupervisor, slots: "set[asyncio.Task[None]]", end: float
    ) -> None:
        late = {slot for slot in slots if not slot.done()}
        while late and (left := end - time.monotonic()) > 0:
            _, late = await asyncio.wait(late, timeout=min(_HEARTBEAT_INTERVAL, left))
            with contextlib.suppress(RedisError, OSError):
                async with asyncio.timeout(left):
                    await self.source.heartbeat()
        if late:
            await tasks.cancel(late)
            log.warning("%d handlers did not finish in time: their events will come again", len(late))

    async def _read(self) -> None:
        while not self.stop.is_set():
            await self.client.retries.run(self._poll, self._may_recover, self.stop)

    async def _poll(self) -> None:
        if not self._recovered:
            await self.source.recover()
            self._recovered = self.connected = True
            if not self.started.is_set():
                stream = self.client.settings.key("inbound")
                log.info("%s reads %s as %s", self.client.application, stream, self.client.consumer)
            self.started.set()
        await self.source.poll()
        self._last_poll = time.monotonic()

    def _may_recover(self, exc: Exception) -> bool:
        """Return whether to read again, and log the first of several failures."""
        # A reply may have been lost: what it held is in the own pending list.
        first = self._recovered or not self.counters.lost_connections
        self._recovered = False
        if is_group_missing(exc):
            log.warning("the consumer group %s is gone; creating it again", self.client.application)
            return True
        if not self.client.retries.is_outage(exc):
            return False
        self.connected = False
        self.counters.lost_connections += 1
        if first:
            where = "" if self.started.is_set() else "; is REDIS_URL right?"
            log.warning(
                "Redis does not serve (%s: %s), retrying%s", type(exc).__name__, describe_error(exc), where
            )
        return True

    # --- one event -----------------------------------------------------------------------------

    async def _bury_unreadable(self, item: WorkItem, exc: SchemaError) -> float | None:
        """Move an entry that cannot be read to `qq:dead`."""
        return await self._dead_letter(item, "schema.invalid", str(exc))

    async def _handle(self, item: WorkItem) -> float | None:
        """Handle an entry; returns None when done, or the seconds until the next attempt."""
        try:
            received = read_event_header(item.entry, mapping_of(item.fields))
        except SchemaError as exc:
            return await self._bury_unreadable(item, exc)
        if not item.attempts:
            item.attempts = 1
            return await self._run_handlers(item, received)
        # A process did not finish this one, and it may be the event that killed it. Suspects run one at a
        # time, each once Redis has the XACK of the one before: if the process dies again, no innocent
        # neighbour collects an attempt.
        await self._suspects.acquire()
        self._suspect = item.entry
        try:
            delay = await self._handle_suspect(item, received)
            if delay is None and self._suspect == item.entry:
                await self.client.writer.wait_acked(item.entry)
            return delay
        finally:
            self._release_suspect(item.entry)

    async def _handle_suspect(self, item: WorkItem, received: Received) -> float | None:
        # The lease may have ended in the meantime. Then another member owns it, and it is dropped here.
        if not self.dispatcher.is_owned(item):
            return self.options.retry_delay
        if item.attempts >= self.options.max_deliveries:
            detail = f"started {item.attempts} times and never finished"
            return await self._dead_letter(item, "deliveries", detail)
        if not await self._record_attempt(item):
            return self.options.retry_delay
        return await self._run_handlers(item, received)

    def _release_suspect(self, entry: str) -> None:
        if self._suspect == entry:
            self._suspect = ""
            self._suspects.release()

    def _park(self, entry: str) -> None:
        """Free what the handler of an entry holds: it waits for a message of its speaker."""
        if self.dispatcher.park(entry):
            self._release_suspect(entry)

    async def _record_attempt(self, item: WorkItem) -> bool:
        """Record one more attempt in Redis; False if the lease ended before."""
        item.attempts += 1

        async def record() -> None:
            # XCLAIM takes an entry from whichever consumer has it.
            if not self.dispatcher.is_owned(item):
                return
            try:
                await self.group.record_attempt(item.entry, item.attempts)
            except RedisError as exc:
                # Nothing is pending in a group that is gone.
                if not is_group_missing(exc):
                    raise

        await self.client.retries.run(record)
        if self.dispatcher.is_owned(item):
            return True
        item.attempts -= 1
        return False

    async def _run_handlers(self, item: WorkItem, received: Received) -> float | None:
        try:
            if not await self.client.conversations.take(received):
                await self._handlers.run(Event(received, self.client, item.attempts))
        except NoAnswerError as exc:
            log.info("event %s: %s", item.entry, exc)
        except Reject as exc:
            self.counters.failed += 1
            return await self._dead_letter(item, "refused", str(exc))
        except asyncio.CancelledError as exc:
            # Of this slot, it is the end of the shutdown timeout. Of what the handler awaited, it is a
            # failure like any other: passed on, it would end the slot silently with its chat busy for ever.
            if is_being_cancelled():
                raise
            self.counters.failed += 1
            return await self._retry_or_dead_letter(item, exc)
        except Exception as exc:  # noqa: BLE001 – a handler may raise anything
            self.counters.failed += 1
            if isinstance(exc, SchemaError) and not _is_readable(received):
                return await self._dead_letter(item, "schema.invalid", str(exc))
            return await self._retry_or_dead_letter(item, exc)
        self.counters.handled += 1
        self.client.writer.ack(item.entry)
        return None

    async def _retry_or_dead_letter(self, item: WorkItem, exc: BaseException) -> float | None:
        limit = self.options.max_deliveries
        log.warning("event %s failed, attempt %d of %d", item.entry, item.attempts, limit, exc_info=exc)
        if item.attempts >= limit:
            return await self._dead_letter(item, "handler.failed", f"{type(exc).__name__}: {exc}")
        return min(self.options.retry_delay * 2.0 ** (item.attempts - 1), MAX_RETRY_DELAY)

    async def _dead_letter(self, item: WorkItem, reason: str, detail: str) -> float | None:
        """Move an entry to `qq:dead`; the writer acknowledges it once Redis has the dead letter."""
        stream = self.client.settings.key("dead")
        log.error("entry %s moves to %s: %s: %s", item.entry, stream, reason, detail)
        letter = self.group.dead_letter(item.entry, item.fields, reason, detail, max(item.attempts, 1))
        await self.client.writer.append(stream, letter)
        self.client.writer.ack(item.entry)
        self.counters.buried += 1
        return None


def _is_readable(received: Received) -> bool:
    """Return whether the body can be unpacked, which happens when a handler asks for it."""
    try:
        _ = received.body
    except SchemaError:
        return False
    return True
