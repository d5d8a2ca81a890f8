"""The life of the adapter: open the rooms, run the corridors in one task group, close in reverse."""

import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import anyio

from adapter.bus import embedded
from adapter.bus.bus import Bus
from adapter.bus.connection import redact_url, unreachable_error
from adapter.bus.lease import Lease, hold_lease
from adapter.bus.retention import Retention
from adapter.bus.session_replication import SessionReplicator
from adapter.bus.spool.legacy import recover_staging_file
from adapter.bus.spool.log import Spool
from adapter.bus.spool.publisher import DurablePublisher
from adapter.bus.spool.replay import StandbyPublisher
from adapter.codec.inbound import RecordContext, encode_session_event
from adapter.config import DEFAULT_PORT, Config
from adapter.contact_store import ContactStore, load
from adapter.control import Control
from adapter.directory import Directory
from adapter.errors import BusUnavailable, ConfigError, Fenced, SpoolError
from adapter.events import Gap, SessionChange, SessionState
from adapter.inbound import InboundPipeline
from adapter.networks.smartqq.session.store import NAME as SESSION
from adapter.networks.smartqq.upstream import SmartQQUpstream
from adapter.ops import page
from adapter.ops.alerts.channels import configured_channels
from adapter.ops.alerts.notifier import Notifier
from adapter.ops.alerts.store import FILE as ALERTS_FILE
from adapter.ops.alerts.store import AlertStore
from adapter.ops.alerts.watchdog import Watchdog
from adapter.ops.metrics import Metrics, Snapshot
from adapter.ops.status_reporter import StatusReporter
from adapter.outbound.pacing import Pacer
from adapter.outbound.pipeline import OutboundPipeline
from adapter.outbound.settlement import Settlement
from adapter.rpc import ControlRpc

log = logging.getLogger(__name__)

# A term that Redis has ended is followed by the next one after so long.
RESTART_DELAY = 1.0
# After a stop: how long Redis is waited for before results are left to the next start.
SHUTDOWN_REDIS_TIMEOUT = 1.5


@asynccontextmanager
async def redis_url(config: Config) -> AsyncIterator[str]:
    """The Redis to use: the one that is set, what already listens, or the embedded server."""
    if config.redis_url is not None:
        yield config.redis_url
    elif await embedded.probe_port(DEFAULT_PORT):
        yield f"redis://127.0.0.1:{DEFAULT_PORT}"
    else:
        async with embedded.run_server(config.state_dir / "redis", DEFAULT_PORT) as url:
            log.info("embedded server on %s, data in %s", url, config.state_dir / "redis")
            yield url


async def run(config: Config, stop: anyio.Event) -> None:
    """Hold the connection until stopped; whoever finds another holder stands by and takes over."""
    async with AsyncExitStack() as rooms:
        url = await rooms.enter_async_context(redis_url(config))
        bus = await rooms.enter_async_context(Bus.open(url, config.prefix))
        try:
            server = await bus.check_server()
        except BusUnavailable as exc:
            raise unreachable_error(url, exc) from exc
        log.info("%s at %s, prefix %s", server, redact_url(url), config.prefix)
        spool = rooms.enter_context(Spool(config.state_dir / "spool"))
        recover_staging_file(spool, config.state_dir / "spool" / "held")
        if spool.corrupt_records:
            log.error("the spool was damaged: what could not be read is lost")
        metrics = Metrics(version("qqbus"))
        await rooms.enter_async_context(page.run_page(config, url, metrics))
        while not stop.is_set():
            try:
                await _term(config, bus, spool, metrics, stop)
            except* Fenced as group:
                log.warning("%s: standing by", group.exceptions[0])
            except* BusUnavailable as group:
                if stop.is_set():
                    raise
                log.warning("%s; beginning anew", group.exceptions[0])
                with anyio.move_on_after(RESTART_DELAY):
                    await stop.wait()


async def _term(config: Config, bus: Bus, spool: Spool, metrics: Metrics, stop: anyio.Event) -> None:
    """One term of office: from waiting for the lease to losing or releasing it."""
    holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    lease = Lease(bus, holder, config.lease_seconds, time.monotonic)
    standby_publisher = StandbyPublisher(bus, spool, config.min_replicas)
    told = False

    async def waiting(seconds: float) -> None:
        nonlocal told
        with suppress(BusUnavailable):
            await standby_publisher.drain()
        if not told:
            log.info("another adapter holds the connection: standing by (its lease ends in %.1f s)", seconds)
            told = True

    async with hold_lease(lease, stop, waiting) as mine:
        if mine:
            directory = await load(bus, time.time())
            mirror = await _mirror(config, bus, lease)
            async with SmartQQUpstream(config) as upstream:
                office = ActiveAdapter(config, bus, spool, lease, metrics, directory, upstream)
                if mirror is not None:
                    office.services.append(mirror)
                await office.run(stop)


async def _mirror(config: Config, bus: Bus, lease: Lease) -> SessionReplicator | None:
    """The session that the adapter before this one left, where a key for it is set."""
    if not config.session_key:
        return None
    mirror = SessionReplicator(bus, lease, config.state_dir / SESSION, config.session_key)
    if await mirror.restore():
        log.info("going on with the session of the adapter before this one")
    return mirror


class Service(Protocol):
    """What works beside the corridors until it is stopped and woken."""

    async def run(self, stop: anyio.Event) -> None: ...

    def wake(self) -> None: ...


class ActiveAdapter:
    """All that works together while the lease is held."""

    def __init__(
        self,
        config: Config,
        bus: Bus,
        spool: Spool,
        lease: Lease,
        metrics: Metrics,
        directory: Directory,
        upstream: SmartQQUpstream,
    ) -> None:
        self._lease = lease
        self._spool = spool
        self._bus = bus
        self._metrics = metrics
        self.publisher = DurablePublisher(
            bus, lease, spool, self._lost, self._damaged, replicas=config.min_replicas
        )
        self.status_reporter = StatusReporter(
            bus, lease, self.publisher, version("qqbus"), time.time, stuck=lambda: self.publisher.disk_error
        )
        self.settlement = Settlement(
            bus, lease, lambda: self.status_reporter.account, time.time, metrics.observe_result
        )
        pacer = Pacer(config.send_interval, config.chat_interval)
        self.outbound = OutboundPipeline(
            bus,
            lease,
            upstream,
            directory,
            self.settlement,
            pacer,
            wall=time.time,
            clock=time.monotonic,
        )
        registry = ContactStore(bus, lease, directory)
        self.inbound = InboundPipeline(
            upstream,
            directory,
            self.publisher,
            registry,
            lease,
            self.status_reporter,
            pacer,
            metrics,
            wall=time.time,
            raw=config.include_raw,
        )
        self.retention = Retention(bus, lease, self._alarm, self._publish_gap, time.time)
        errands = ControlRpc(bus, lease, upstream)
        self.control = Control(
            bus, upstream, self.outbound, self.status_reporter, self.retention, errands, time.time
        )
        alerts = AlertStore(config.state_dir / ALERTS_FILE)
        self.watchdog = Watchdog(
            metrics,
            alerts,
            Notifier(configured_channels(config.alarm_command, config.alarm_url), alerts),
            probe=upstream.probe,
            reconnect=upstream.reconnect,
            wall=time.time,
            silence_seconds=config.silence_alarm_seconds,
        )
        self.services: list[Service] = [self.publisher, self.status_reporter, self.retention, self.watchdog]

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            state=self.status_reporter.state,
            reason=self.status_reporter.reason,
            account=self.status_reporter.account,
            leased=self._lease.valid(),
            epoch=self._lease.fence.epoch,
            paused=self.outbound.paused,
            spool_bytes=self._spool.unsent_bytes(),
            bus_away=self.publisher.disconnected,
            stuck=self.publisher.disk_error,
        )

    def _lost(self, account: str, events: int) -> None:
        self._alarm(f"Redis lost {events} events of {account} that are not kept here: seq has a hole")

    async def _damaged(self, since: float) -> None:
        await self._publish_gap(Gap(since, time.time(), "the spool was damaged"))

    def _alarm(self, words: str) -> None:
        log.error("%s", words)

    async def _publish_gap(self, gap: Gap) -> None:
        """Raises SpoolError where it is to be said again later."""
        account = self.status_reporter.account or self._spool.checkpoint.account
        if not account:
            raise SpoolError("a gap is to be told, and nobody knows yet in whose events")
        origin = RecordContext(account, self._lease.fence.epoch, time.time())
        self.publisher.append(origin.account, [encode_session_event(gap, origin)])
        with suppress(SpoolError):  # it is in the spool, and whoever flushes next tries again
            await self.publisher.flush()

    async def run(self, stop: anyio.Event) -> None:
        self._metrics.snapshot = self._snapshot
        try:
            await self._run(stop)
        finally:
            self._metrics.closed()

    async def _run(self, stop: anyio.Event) -> None:
        if (await self._bus.hash(self._bus.keys("status"))).get("paused") == b"1":
            self.control.set_paused(paused=True)
        for stream in ("outbound", "control"):
            await self._bus.ensure_group(stream)
        ended = anyio.Event()
        async with anyio.create_task_group() as keepers:
            keepers.start_soon(self._lease.run, ended)
            for keeper in self.services:
                keepers.start_soon(keeper.run, ended)
            async with anyio.create_task_group() as corridors:
                corridors.start_soon(self.inbound.run)
                corridors.start_soon(self.outbound.run, stop)
                corridors.start_soon(self.control.run, stop)
                try:
                    await stop.wait()
                finally:  # also where the lease is lost
                    self.inbound.stop()
                log.info("stopping: no more is taken, what is in hand is finished")
                self.outbound.wake()
                keepers.start_soon(self._bound_shutdown, ended)
                with suppress(BusUnavailable):
                    await self.publisher.drain()
            await self.status_reporter.report(SessionChange(SessionState.STOPPED, "SIGTERM"), time.time())
            ended.set()
            for keeper in (self._lease, *self.services):
                keeper.wake()

    async def _bound_shutdown(self, ended: anyio.Event) -> None:
        with anyio.move_on_after(SHUTDOWN_REDIS_TIMEOUT):
            await ended.wait()
        self.settlement.shutting_down = True


def ensure_state_dir(config: Config) -> Path:
    """The folder that keeps session, spool and embedded data; made if need be. Only the owner may look."""
    try:
        config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise ConfigError(f"QQBUS_STATE_DIR: {config.state_dir} is no folder: {exc.strerror}") from exc
    return config.state_dir
