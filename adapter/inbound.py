"""Corridor 1: upstream.events() -> directory -> journal, and only then upstream is asked for more."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

import anyio

from adapter.bus.lease import Lease
from adapter.bus.spool.publisher import Journal
from adapter.codec.inbound import ANNOUNCED, Draft, Origin, message_draft, notice_draft, session_draft
from adapter.contact_store import Registry
from adapter.directory import Directory
from adapter.errors import BusUnavailable, SpoolError
from adapter.events import Batch, ContactList, Gap, Message, Notice, Provisional, SessionChange, SessionState
from adapter.failpoints import Step, reach
from adapter.networks.upstream import Upstream
from adapter.ops.metrics import Metrics
from adapter.ops.status_reporter import Watch
from adapter.outbound.pacing import Pacer

log = logging.getLogger(__name__)

# A full disk is looked at again this often; upstream is not asked for more meanwhile.
DISK_RETRY = 1.0


class Inbound:
    """Publishes what upstream tells. `stuck`: why the disk takes no more, "" while it does."""

    def __init__(
        self,
        upstream: Upstream,
        directory: Directory,
        journal: Journal,
        registry: Registry,
        lease: Lease,
        watch: Watch,
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
        self.stuck = ""
        self._held = False
        self._owes_epoch = False

    async def run(self) -> None:
        """Until `stop`; to cancel this is not enough. What upstream has given away by then is stored."""
        with anyio.CancelScope(shield=True):
            async with aclosing(self._upstream.events()) as batches:
                asked = anyio.current_time()
                async for batch in batches:
                    if isinstance(batch, Provisional):
                        self._hold(batch.batch)
                        continue
                    if self._watch.state is SessionState.ONLINE:
                        self._metrics.polled(anyio.current_time() - asked)
                    await self._take(batch)
                    # Whoever was paused may have lost the connection without anything to publish.
                    await self._lease.confirm()
                    asked = anyio.current_time()

    def stop(self) -> None:
        """No more is taken, and a full disk is waited for no longer."""
        self._stopped = True
        self._upstream.hang_up()

    def _hold(self, batch: Batch) -> None:
        """Keep what has come while upstream is asked who speaks: whoever is met in it is not met for good."""
        self._held = True
        directory, now = self._directory.sketch(), self._wall()
        drafts = [
            self._draft(event, directory, self._origin(now, ordinal))
            for ordinal, event in enumerate(batch)
            if isinstance(event, Message | Notice | Gap)
        ]
        with suppress(SpoolError):  # a full disk: the batch itself will wait for room, and say so
            self._journal.hold(self._watch.account, drafts)

    async def _take(self, batch: Batch) -> None:
        """Disk first: whatever Redis does or refuses afterwards, what upstream has told is kept."""
        now, began = self._wall(), anyio.current_time()
        if batch:
            reach(Step.RECEIVED)
        drafts = self._drafts(batch, now)
        self._watch.polled(now, len(drafts))
        about = any(isinstance(event, ContactList | SessionChange) for event in batch)
        first = about or self._held
        if drafts and first and not await self._keep(drafts, self._journal.sync):
            return  # stopped; what is held is told at the next start
        if about:
            await self._advance()
            await self._registry.settle()
            await self._watch.tell()
        if drafts:
            await self._keep([] if first else drafts, self._journal.flush)
            self._metrics.stored([draft.type for draft in drafts], anyio.current_time() - began)

    def _drafts(self, batch: Batch, now: float) -> list[Draft]:
        drafts: list[Draft] = []
        for ordinal, event in enumerate(batch):
            match event:
                case ContactList():
                    self._registry.learn(event, now)
                case SessionChange():
                    drafts += self._session(event, self._origin(now, ordinal))
                case _:
                    drafts.append(self._draft(event, self._directory, self._origin(now, ordinal)))
        return drafts

    def _origin(self, now: float, ordinal: int) -> Origin:
        return Origin(self._watch.account, self._lease.fence.epoch, now, ordinal)

    def _draft(self, event: Message | Notice | Gap, directory: Directory, origin: Origin) -> Draft:
        match event:
            case Message():
                return message_draft(event, directory.place(event), origin, raw=self._raw)
            case Notice():
                return notice_draft(event, directory.place(event), origin, raw=self._raw)
            case Gap():
                return session_draft(event, origin)

    def _session(self, change: SessionChange, origin: Origin) -> list[Draft]:
        was = self._watch.state
        if change.renewed:
            self._registry.renew(change.account)
            self._owes_epoch = True
        if change.state is SessionState.ONLINE and self._watch.was_online:
            self._pacer.reconnected()
        self._watch.note(change, origin.now)
        if change.state is not was:
            self._metrics.session(change.state)
        if change.state not in ANNOUNCED or change.state is was or not self._watch.account:
            return []
        return [session_draft(change, origin._replace(account=self._watch.account))]

    async def _advance(self) -> None:
        if self._owes_epoch:
            with suppress(BusUnavailable):  # the next change of the session tries again
                await self._lease.advance()
                self._owes_epoch = False

    async def _keep(self, drafts: list[Draft], done: Callable[[], Awaitable[None]]) -> bool:
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
                if not self.stuck:
                    log.error("%s; upstream is not asked for more until there is room", exc)  # noqa: TRY400
                self.stuck = str(exc)
                if self._stopped:
                    log.critical("stopped with %d events that could not be put on disk", len(drafts))
                    return written
                self._metrics.turn("poll")
                await anyio.sleep(DISK_RETRY)
            else:
                self.stuck = ""
                if self._held:
                    self._journal.release()
                    self._held = False
                return True

    def _write(self, drafts: list[Draft]) -> None:
        if self._held and drafts:  # what was held goes by other names, perhaps: no end may tell both
            self._journal.hold(self._watch.account, drafts)
        self._journal.write(self._watch.account, drafts)
