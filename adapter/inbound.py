"""Corridor 1: upstream.events() -> directory -> journal, and only then upstream is asked for more."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

import anyio

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
from adapter.directory import Directory
from adapter.errors import BusUnavailable, SpoolError
from adapter.events import (
    Batch,
    ContactList,
    Gap,
    Message,
    Notice,
    SessionChange,
    SessionState,
    UnresolvedBatch,
)
from adapter.failpoints import Failpoint, hit
from adapter.networks.upstream import Upstream
from adapter.ops.metrics import Metrics
from adapter.ops.status_reporter import StatusReporter
from adapter.outbound.pacing import Pacer

log = logging.getLogger(__name__)

# A full disk is looked at again this often; upstream is not asked for more meanwhile.
DISK_RETRY = 1.0


class InboundPipeline:
    """Publishes what upstream tells. `stuck`: why the disk takes no more, "" while it does."""

    def __init__(
        self,
        upstream: Upstream,
        directory: Directory,
        journal: DurablePublisher,
        registry: ContactStore,
        lease: Lease,
        watch: StatusReporter,
        pacer: Pacer,
        metrics: Metrics,
        *,
        wall: Callable[[], float],
        raw: bool,
    ) -> None:
        self._upstream = upstream
        self._directory = directory
        self._journal = journal
        self._registry = registry
        self._lease = lease
        self._watch = watch
        self._pacer = pacer
        self._metrics = metrics
        self._wall = wall
        self._raw = raw
        self._stopped = False
        self.disk_error = ""
        self._held = False
        self._epoch_bump_due = False

    async def run(self) -> None:
        """Until `stop`; to cancel this is not enough. What upstream has given away by then is stored."""
        with anyio.CancelScope(shield=True):
            async with aclosing(self._upstream.events()) as batches:
                asked = anyio.current_time()
                async for batch in batches:
                    if isinstance(batch, UnresolvedBatch):
                        self._stage(batch.batch)
                        continue
                    if self._watch.state is SessionState.ONLINE:
                        self._metrics.observe_poll(anyio.current_time() - asked)
                    await self._process(batch)
                    # Whoever was paused may have lost the connection without anything to publish.
                    await self._lease.verify()
                    asked = anyio.current_time()

    def stop(self) -> None:
        """No more is taken, and a full disk is waited for no longer."""
        self._stopped = True
        self._upstream.stop_receiving()

    def _stage(self, batch: Batch) -> None:
        """Keep what has come while upstream is asked who speaks: whoever is met in it is not met for good."""
        self._held = True
        directory, now = self._directory.copy(), self._wall()
        drafts = [
            self._encode_event(event, directory, self._origin(now, ordinal))
            for ordinal, event in enumerate(batch)
            if isinstance(event, Message | Notice | Gap)
        ]
        with suppress(SpoolError):  # a full disk: the batch itself will wait for room, and say so
            self._journal.stage(self._watch.account, drafts)

    async def _process(self, batch: Batch) -> None:
        """Disk first: whatever Redis does or refuses afterwards, what upstream has told is kept."""
        now, began = self._wall(), anyio.current_time()
        if batch:
            hit(Failpoint.RECEIVED)
        drafts = self._encode(batch, now)
        self._watch.record_activity(now, len(drafts))
        about = any(isinstance(event, ContactList | SessionChange) for event in batch)
        first = about or self._held
        if drafts and first and not await self._persist(drafts, self._journal.sync):
            return  # stopped; what is held is told at the next start
        if about:
            await self._bump_epoch()
            await self._registry.flush()
            await self._watch.flush()
        if drafts:
            await self._persist([] if first else drafts, self._journal.flush)
            self._metrics.observe_append([draft.type for draft in drafts], anyio.current_time() - began)

    def _encode(self, batch: Batch, now: float) -> list[EventRecord]:
        drafts: list[EventRecord] = []
        for ordinal, event in enumerate(batch):
            match event:
                case ContactList():
                    self._registry.update(event, now)
                case SessionChange():
                    drafts += self._encode_session(event, self._origin(now, ordinal))
                case _:
                    drafts.append(self._encode_event(event, self._directory, self._origin(now, ordinal)))
        return drafts

    def _origin(self, now: float, ordinal: int) -> RecordContext:
        return RecordContext(self._watch.account, self._lease.fence.epoch, now, ordinal)

    def _encode_event(
        self, event: Message | Notice | Gap, directory: Directory, origin: RecordContext
    ) -> EventRecord:
        match event:
            case Message():
                return encode_message(event, directory.locate(event), origin, raw=self._raw)
            case Notice():
                return encode_notice(event, directory.locate(event), origin, raw=self._raw)
            case Gap():
                return encode_session_event(event, origin)

    def _encode_session(self, change: SessionChange, origin: RecordContext) -> list[EventRecord]:
        was = self._watch.state
        if change.ids_changed:
            self._registry.start_generation(change.account)
            self._epoch_bump_due = True
        if change.state is SessionState.ONLINE and self._watch.was_online:
            self._pacer.restart_slow_start()
        self._watch.record(change, origin.now)
        if change.state is not was:
            self._metrics.session(change.state)
        if change.state not in PUBLISHED_STATES or change.state is was or not self._watch.account:
            return []
        return [encode_session_event(change, origin._replace(account=self._watch.account))]

    async def _bump_epoch(self) -> None:
        if self._epoch_bump_due:
            with suppress(BusUnavailable):  # the next change of the session tries again
                await self._lease.bump_epoch()
                self._epoch_bump_due = False

    async def _persist(self, drafts: list[EventRecord], done: Callable[[], Awaitable[None]]) -> bool:
        """Write until it is `done`; whether it is written. Not polling beats polling and dropping."""
        if log.isEnabledFor(logging.DEBUG):
            for draft in drafts:
                log.debug("event %s: %s", draft.id, draft.type, extra={"event": draft.id})
        written = False
        while True:
            try:
                if not written:
                    self._write(drafts)
                    written = True
                await done()
            except SpoolError as exc:
                if not self.disk_error:
                    log.error("%s; upstream is not asked for more until there is room", exc)  # noqa: TRY400
                self.disk_error = str(exc)
                if self._stopped:
                    log.critical("stopped with %d events that could not be put on disk", len(drafts))
                    return written
                self._metrics.heartbeat("poll")
                await anyio.sleep(DISK_RETRY)
            else:
                self.disk_error = ""
                if self._held:
                    self._journal.discard_staged()
                    self._held = False
                return True

    def _write(self, drafts: list[EventRecord]) -> None:
        if self._held and drafts:  # what was held goes by other names, perhaps: no end may tell both
            self._journal.stage(self._watch.account, drafts)
        self._journal.append(self._watch.account, drafts)
