"""Inbound pipeline: events of upstream become records in the spool, before upstream is asked for more.

Mechanism. A batch is written to the spool, and a task publishes from the spool. While Redis appends one
batch, the next one is asked for and decoded.

Invariants.
- Upstream is asked for more only when all that it gave is on disk.
- A change of the session or of contacts is in Redis behind all events before it, and before the events of its
  own batch: the spool holds those back until then.
- At most MAX_AHEAD batches are ahead of Redis while it serves: then upstream waits.
"""

import logging
from collections.abc import Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import NamedTuple

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from adapter.bus.lease import Lease
from adapter.bus.spool.publisher import DurablePublisher
from adapter.codec.inbound import (
    PUBLISHED_STATES,
    EventRecord,
    RecordContext,
    encode_message,
    encode_notice,
    encode_session_event,
)
from adapter.contact_store import ContactStore
from adapter.errors import BusError, BusUnavailable, SpoolError
from adapter.events import (
    Batch,
    ContactList,
    Gap,
    Message,
    Notice,
    Participants,
    SessionChange,
    SessionState,
    UpstreamEvent,
)
from adapter.failpoints import Failpoint, hit
from adapter.networks.upstream import Upstream
from adapter.ops.metrics import Metrics
from adapter.ops.status_reporter import StatusReporter
from adapter.ops.supervisor import Supervisor
from adapter.outbound.own_sends import WAIT_SECONDS, OwnSends, Report
from adapter.outbound.pacing import Pacer
from adapter.permanent_directory import AnyDirectory

log = logging.getLogger(__name__)

# Seconds between two attempts to write to a full disk.
DISK_RETRY = 1.0
# Batches that are on disk while Redis appends one before them.
MAX_AHEAD = 8


Published = tuple[Message | Notice | Gap | SessionChange, Participants]


class Applied(NamedTuple):
    """An event to publish, with what the state said about it at its turn in the batch."""

    event: Message | Notice | Gap | SessionChange
    participants: Participants
    context: RecordContext


class InboundPipeline:
    """Publishes the events of upstream."""

    def __init__(
        self,
        upstream: Upstream,
        directory: AnyDirectory,
        publisher: DurablePublisher,
        contact_store: ContactStore,
        lease: Lease,
        status_reporter: StatusReporter,
        pacer: Pacer,
        metrics: Metrics,
        *,
        supervisor: Supervisor,
        wall: Callable[[], float],
        raw: bool,
        own_sends: OwnSends | None = None,
    ) -> None:
        self._upstream = upstream
        self._directory = directory
        self._publisher = publisher
        self._contact_store = contact_store
        self._lease = lease
        self._status_reporter = status_reporter
        self._pacer = pacer
        self._metrics = metrics
        self._supervisor = supervisor
        self._wall = wall
        self._raw = raw
        self._own_sends = own_sends or OwnSends()
        # Reports of own messages that wait for what is on the way, and since when.
        self._reports: list[tuple[Message, float]] = []
        self._stopped = False
        self._epoch_bump_due = False
        # What was written since the publishing task looked last, and when it came.
        self._written: list[tuple[list[EventRecord], float]] = []
        # Whether Redis has all that was written, or is away; and the error of an append.
        self._published = anyio.Event()
        self._published.set()
        self._error: BusError | None = None

    async def run(self) -> None:
        """Publish until `stop`. Shielded: what upstream has given away by then is stored. Raises BusError."""
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                try:
                    await self._follow(tasks)
                except BusError as exc:
                    self._error = exc
        if self._error is not None:
            raise self._error

    async def _follow(self, tasks: TaskGroup) -> None:
        async with aclosing(self._upstream.events()) as batches:
            asked = anyio.current_time()
            async for batch in batches:
                if self._status_reporter.state is SessionState.ONLINE:
                    self._metrics.observe_poll(anyio.current_time() - asked)
                await self._process(batch, tasks)
                if self._error is not None:
                    return
                # A paused process may have lost the lease without anything to publish.
                await self._lease.verify()
                asked = anyio.current_time()

    def stop(self) -> None:
        """Take no more events, and wait no longer for a full disk."""
        self._stopped = True
        self._upstream.stop_receiving()

    async def _process(self, batch: Batch, tasks: TaskGroup) -> None:
        """Disk first: whatever Redis does afterwards, the events are kept."""
        now, began = self._wall(), anyio.current_time()
        if batch:
            hit(Failpoint.RECEIVED)
        records = [encode(applied, raw=self._raw) for applied in self.apply(batch, now)]
        self._status_reporter.record_activity(now, len(records))
        # What an id stands for is in Redis before a worker can answer it.
        changes_state = self._contact_store.collect_changes() or any(
            isinstance(event, ContactList | SessionChange) for event in batch
        )
        if changes_state:
            await self._process_change(records, began)
        elif records:
            await self._persist(records, partial(self._start_publishing, tasks, records, began))
            if len(self._written) >= MAX_AHEAD:
                await self._published.wait()
        elif not batch and self._contact_store.is_dirty:  # Redis was away
            await self._supervisor.attempt("contacts", self._contact_store.flush)

    async def _process_change(self, records: list[EventRecord], began: float) -> None:
        self._publisher.hold()
        try:
            if records and not await self._persist(records):
                return
            await self._published.wait()
            await self._bump_epoch()
            # Neither may end the connection, whatever Redis holds under their keys.
            await self._supervisor.attempt("contacts", self._contact_store.flush)
            await self._supervisor.attempt("status", self._status_reporter.flush)
        finally:
            self._publisher.release()
        if records:
            await self._publisher.publish()
            self._observe(records, began)

    def _start_publishing(self, tasks: TaskGroup, records: list[EventRecord], began: float) -> None:
        self._written.append((records, began))
        if self._published.is_set():
            self._published = anyio.Event()
            tasks.start_soon(self._publish)

    async def _publish(self) -> None:
        """Put on the bus what was written. An error is raised behind the next batch, which is kept first."""
        try:
            while self._written:
                written, self._written = self._written, []
                await self._publisher.publish()
                for records, began in written:
                    self._observe(records, began)
        except BusError as exc:
            self._error = exc
        finally:
            self._published.set()

    def _observe(self, records: list[EventRecord], began: float) -> None:
        self._metrics.observe_append([record.type for record in records], anyio.current_time() - began)

    def apply(self, batch: Batch, now: float) -> list[Applied]:
        """Apply a batch to directory, status and session; returns the events to publish. `now` in seconds."""
        applied = []
        released = self._release_reports(now)
        for ordinal, event in enumerate([*released, *batch]):
            if ordinal < len(released):
                published: Published | None = (released[ordinal], self._directory.locate(released[ordinal]))
            else:
                published = self._apply(event, now)
            context = RecordContext(self._status_reporter.account, self._lease.fence.epoch, now, ordinal)
            if published is not None:
                applied.append(Applied(*published, context))
        return applied

    def _release_reports(self, now: float) -> list[Message]:
        """Return the reports of own messages that are events of their own after all."""
        waiting, self._reports = self._reports, []
        released = []
        for message, since in waiting:
            report = self._own_sends.judge(str(self._directory.locate(message).chat), message, now)
            if report is Report.WAIT and now - since < WAIT_SECONDS:
                self._reports.append((message, since))
            elif report is not Report.DROP:
                released.append(message)
        return released

    def _apply(self, event: UpstreamEvent, now: float) -> Published | None:
        match event:
            case Message(from_self=False):
                return event, self._directory.locate(event)
            case Message():
                participants = self._directory.locate(event)
                report = self._own_sends.judge(str(participants.chat), event, now)
                if report is Report.WAIT:
                    self._reports.append((event, now))
                return (event, participants) if report is Report.PUBLISH else None
            case Notice():
                return event, self._directory.locate(event)
            case ContactList():
                self._contact_store.update(event, now)
                return None
            case SessionChange():
                return (event, Participants()) if self._apply_session(event, now) else None
            case Gap():
                return event, Participants()

    def _apply_session(self, change: SessionChange, now: float) -> bool:
        """Apply a change of the session; returns whether workers hear of it."""
        was = self._status_reporter.state
        if change.ids_changed:
            self._contact_store.start_generation(change.account)
            self._epoch_bump_due = True
        if change.state is SessionState.ONLINE and self._status_reporter.was_online:
            self._pacer.restart_slow_start()
        self._status_reporter.record(change, now)
        if change.state is was:
            return False
        self._metrics.session(change.state)
        return change.state in PUBLISHED_STATES and bool(self._status_reporter.account)

    async def _bump_epoch(self) -> None:
        if self._epoch_bump_due:
            with suppress(BusUnavailable):  # the next change of the session tries again
                await self._lease.bump_epoch()
                self._epoch_bump_due = False

    async def _persist(self, records: list[EventRecord], then: Callable[[], None] | None = None) -> bool:
        """Write to the spool, call `then`, and wait for the disk; returns whether the records are written.

        Waits for room on a full disk: not polling beats polling and dropping.
        """
        if log.isEnabledFor(logging.DEBUG):
            for record in records:
                log.debug("event %s: %s", record.id, record.type, extra={"event": record.id})
        written = False
        while True:
            try:
                if not written:
                    self._publisher.append(self._status_reporter.account, records)
                    written = True
                    if then is not None:
                        then()
                        # The command leaves before the disk holds up this process.
                        await anyio.lowlevel.checkpoint()
                await self._publisher.sync()
            except SpoolError:
                if self._stopped:
                    log.critical("stopped with %d events that could not be put on disk", len(records))
                    return written
                self._metrics.heartbeat("poll")
                await anyio.sleep(DISK_RETRY)
            else:
                return True


def encode(applied: Applied, *, raw: bool) -> EventRecord:
    """Return the entry of an event; `raw`: with upstream's own form of it."""
    event, participants, context = applied
    match event:
        case Message():
            return encode_message(event, participants, context, raw=raw)
        case Notice():
            return encode_notice(event, participants, context, raw=raw)
        case Gap() | SessionChange():
            return encode_session_event(event, context)
