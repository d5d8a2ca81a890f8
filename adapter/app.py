"""Run the adapter: open the resources, wait for the lease, run the active adapter, close in reverse.

A term lasts from standing by to losing or releasing the lease. Within a term only the pipelines, the lease
and the publisher may end the process; every other service runs under the supervisor.

A network that keeps nothing for a client that is away is opened before the lease is held: the standby hears
what the holder hears.
"""

import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version

import anyio

from adapter.aio import Service, host_name
from adapter.bus import embedded
from adapter.bus.bus import Bus
from adapter.bus.connection import redact_url, unreachable_error
from adapter.bus.embedded_access import DATA, URL_FILE
from adapter.bus.folder_id import read_folder_id
from adapter.bus.key_types import find_foreign_keys
from adapter.bus.lease import Lease, hold_lease
from adapter.bus.retention import Retention
from adapter.bus.server_clock import ServerClock
from adapter.bus.session_position import PositionWriter, read_position
from adapter.bus.session_replication import SessionReplicator
from adapter.bus.spool.legacy import recover_staging_file
from adapter.bus.spool.log import Spool
from adapter.bus.spool.publisher import DurablePublisher
from adapter.bus.spool.replay import StandbyPublisher
from adapter.bus.stream_ids import StreamIds
from adapter.config import DEFAULT_PORT, Config
from adapter.contact_store import ContactStore, load
from adapter.control import Control
from adapter.errors import AccessRefused, BusUnavailable, ConfigError, Fenced, first_error
from adapter.events import SessionChange, SessionState
from adapter.inbound import InboundPipeline
from adapter.networks.open import is_opened_on_standby, log_network, open_upstream, session_file
from adapter.networks.upstream import SupportsHandover, SupportsStandby, Upstream, require
from adapter.ops import page
from adapter.ops.alerts.channels import configured_channels
from adapter.ops.alerts.notifier import Notifier
from adapter.ops.alerts.store import FILE as ALERTS_FILE
from adapter.ops.alerts.store import AlertStore
from adapter.ops.alerts.watchdog import Watchdog
from adapter.ops.metrics import Metrics
from adapter.ops.state_dir import StateDirWatch, naming_folder
from adapter.ops.status_reporter import StatusReporter
from adapter.ops.supervisor import Supervisor
from adapter.outbound.own_sends import OwnSends
from adapter.outbound.pacing import Pacer
from adapter.outbound.pipeline import OutboundPipeline
from adapter.outbound.settlement import Settlement
from adapter.permanent_directory import AnyDirectory
from adapter.rpc import ControlRpc

log = logging.getLogger(__name__)

# Seconds between a term that Redis has ended and the next one.
RESTART_DELAY = 1.0
# Bytes that a standby keeps of what it hears: an hour of a busy account.
MAX_KEPT = 64 * 1024 * 1024
# Seconds that a stop waits for Redis before it leaves results to the next start.
SHUTDOWN_REDIS_TIMEOUT = 1.5
# Seconds that a stop waits for background services, one of which may hang: `docker stop` gives ten in all.
SERVICE_STOP_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Resources:
    """What the process keeps from term to term."""

    config: Config
    bus: Bus
    spool: Spool
    metrics: Metrics
    supervisor: Supervisor
    stop_reason: Callable[[], str]
    folder: str
    # Set when the adapter has been active: wrong credentials are an outage from then on.
    was_active: anyio.Event
    # What a standby hears, on a network where it is connected.
    kept: Spool | None


@asynccontextmanager
async def redis_url(config: Config) -> AsyncIterator[str]:
    """Yield the URL of REDIS_URL, of a Redis on the default port, or of the embedded server."""
    if config.redis_url is not None:
        yield config.redis_url
    elif await embedded.probe_port(DEFAULT_PORT):
        yield f"redis://127.0.0.1:{DEFAULT_PORT}"
    else:
        folder = config.state_dir / DATA
        async with embedded.run_server(folder, DEFAULT_PORT, has_password=True) as url:
            log.info("embedded server on %s, data in %s", redact_url(url), folder)
            log.info(
                "programs of this user find its password; others take the address in %s", folder / URL_FILE
            )
            yield url


async def run(config: Config, stop: anyio.Event, stop_reason: Callable[[], str] = lambda: "stop") -> None:
    """Run the adapter until stopped. While another one holds the lease it stands by.

    `stop_reason`: why, for workers and operators.
    """
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(redis_url(config))
        bus = await stack.enter_async_context(Bus.open(url, config.prefix))
        server = await _check_server(bus, url, config.prefix)
        log.info("%s at %s, prefix %s", server, redact_url(url), config.prefix)
        with naming_folder(config.state_dir):
            spool = stack.enter_context(Spool(config.state_dir / "spool"))
            recover_staging_file(spool, config.state_dir / "spool" / "held")
        if spool.corrupt_records:
            log.error("the spool is damaged: events that cannot be read are lost")
        kept = None
        if is_opened_on_standby(config):
            kept = stack.enter_context(Spool(config.state_dir / "standby", MAX_KEPT))
        metrics = Metrics(version("qqbus"))
        folder = read_folder_id(config.state_dir)
        resources = Resources(
            config, bus, spool, metrics, Supervisor(metrics), stop_reason, folder, anyio.Event(), kept
        )
        await stack.enter_async_context(page.run_page(config, url, metrics, resources.supervisor))
        is_fenced, logged = False, ""
        log_network(config)
        while not stop.is_set():
            try:
                await _run_term(resources, stop, is_fenced=is_fenced)
            except* Fenced as group:
                log.warning("%s: standing by", first_error(group))
                is_fenced = True
            except* BusUnavailable as group:
                is_wrong_setting = group.subgroup(AccessRefused) and not resources.was_active.is_set()
                if stop.is_set() or is_wrong_setting:
                    raise
                outage = str(first_error(group))
                log.log(
                    logging.DEBUG if outage == logged else logging.WARNING,
                    "%s; starting the next term",
                    outage,
                )
                logged = outage
                with anyio.move_on_after(RESTART_DELAY):
                    await stop.wait()


async def _check_server(bus: Bus, url: str, prefix: str) -> str:
    """Return name and version of the server. Raises BusError, and ConfigError for keys of other programs."""
    try:
        server = await bus.check_server()
        foreign = await find_foreign_keys(bus.client, bus.keys)
    except BusUnavailable as exc:
        raise unreachable_error(url, exc) from exc
    if foreign:
        raise ConfigError(
            "another program uses keys of QQBUS_PREFIX={prefix} at {url}: {names}; give another "
            "prefix, or delete them",
            prefix=prefix,
            url=redact_url(url),
            names="; ".join(foreign),
        )
    return server


async def _run_term(resources: Resources, stop: anyio.Event, *, is_fenced: bool) -> None:
    """Wait for the lease, then be the active adapter until stopped. Raises Fenced and BusUnavailable.

    `is_fenced`: another adapter took over in this process's time. It may use a clone of this machine, with
    the same folder id: its lease is not taken back.
    """
    config, folder = resources.config, resources.folder
    holder = f"{host_name()}:{os.getpid()}:{folder}-{secrets.token_hex(4)}"
    own = "" if is_fenced else folder
    if not is_opened_on_standby(config):
        lease = Lease(resources.bus, holder, config.lease_seconds, time.monotonic, folder=own)
        await _acquire(resources, lease, stop)
        if lease.valid():
            async with hold_lease(lease):
                replicator = await _restore_session(resources, lease)
                async with open_upstream(config) as upstream:
                    if isinstance(upstream, SupportsHandover):
                        upstream.note_position(await read_position(resources.bus))
                    await _be_active(resources, lease, upstream, stop, replicator)
        return
    async with open_upstream(config, resources.kept) as upstream:
        standby = require(upstream, SupportsStandby, "standby")
        lease = Lease(
            *(resources.bus, holder, config.lease_seconds, time.monotonic),
            folder=own,
            coverage=standby.coverage,
        )
        await _stand_by(resources, lease, standby, stop)
        if lease.valid():
            async with hold_lease(lease):
                standby.note_holder(await lease.read_coverage())
                await _be_active(resources, lease, upstream, stop)


async def _be_active(
    resources: Resources,
    lease: Lease,
    upstream: Upstream,
    stop: anyio.Event,
    replicator: SessionReplicator | None = None,
) -> None:
    permanent = upstream.traits.has_permanent_ids
    directory = await load(resources.bus, time.time(), has_permanent_ids=permanent)
    resources.was_active.set()
    await ActiveAdapter(resources, lease, directory, upstream, replicator).run(stop)


async def _stand_by(resources: Resources, lease: Lease, standby: SupportsStandby, stop: anyio.Event) -> None:
    """Keep what the network says until the lease is held or `stop` is set."""

    async def compare() -> None:
        standby.note_holder(await lease.read_coverage())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(standby.stand_by)
        await _acquire(resources, lease, stop, compare)
        tasks.cancel_scope.cancel()


async def _no_step() -> None:
    """Do nothing."""


async def _acquire(
    resources: Resources, lease: Lease, stop: anyio.Event, step: Callable[[], Awaitable[None]] = _no_step
) -> None:
    """Try to acquire the lease until it is held or `stop` is set; publish late what is in the spool.

    `step` is awaited after each try in vain.
    """
    publisher = StandbyPublisher(resources.bus, resources.spool, resources.config.min_replicas)
    is_logged = False
    async for seconds_left in lease.acquire_attempts(stop):
        if not is_logged:
            log.info("another adapter is active: standing by (its lease ends in %.1f s)", seconds_left)
            is_logged = True
        with suppress(BusUnavailable):
            await step()
            await publisher.drain()


async def _restore_session(resources: Resources, lease: Lease) -> SessionReplicator | None:
    """Take over the session of the former holder; None without QQBUS_SESSION_KEY."""
    config = resources.config
    if not config.session_key:
        return None
    replicator = SessionReplicator(resources.bus, lease, session_file(config), config.session_key)
    if await replicator.restore():
        log.info("continuing the session of the former lease holder")
    return replicator


class ActiveAdapter:
    """All parts that work together while the lease is held."""

    def __init__(
        self,
        resources: Resources,
        lease: Lease,
        directory: AnyDirectory,
        upstream: Upstream,
        replicator: SessionReplicator | None,
    ) -> None:
        config, bus, metrics = resources.config, resources.bus, resources.metrics
        self._bus, self._metrics, self._supervisor = bus, metrics, resources.supervisor
        self._stop_reason = resources.stop_reason
        self._lease = lease
        self._publisher = DurablePublisher(bus, lease, resources.spool, replicas=config.min_replicas)
        known = (bus, lease, self._publisher, metrics, version("qqbus"), time.time)
        self._status_reporter = StatusReporter(*known, network=upstream.network)
        self._clock = ServerClock(bus, metrics.set_clock_offset)
        parts = (bus, lease, self._status_reporter, metrics, self._clock.now)
        self._settlement = Settlement(*parts, OwnSends(is_enabled=config.publishes_sent), upstream.network)
        pacer = _pacer(config, upstream)
        self._outbound = OutboundPipeline(
            *(bus, lease, upstream, directory, self._settlement, pacer),
            wall=self._clock.now,
            clock=time.monotonic,
        )
        contacts, reporter = ContactStore(bus, lease, directory), self._status_reporter
        self._inbound = InboundPipeline(
            *(upstream, directory, self._publisher, contacts, lease, reporter, pacer, metrics),
            supervisor=resources.supervisor,
            wall=time.time,
            raw=config.include_raw,
            own_sends=self._settlement.own_sends,
        )
        retention = Retention(bus, lease, self._publisher, self._clock.now, reporter=metrics)
        rpc = ControlRpc(bus, lease, upstream, resources.supervisor)
        given = (bus, lease, upstream, self._outbound, reporter, retention, rpc, resources.supervisor)
        self._control = Control(*given, wall=self._clock.now)
        self._services: dict[str, Service] = {
            "status": self._status_reporter,
            "clock": self._clock,
            "state folder": StateDirWatch(config.state_dir),
            "retention": retention,
            "stream ids": StreamIds(bus, lease, metrics, self._clock.now),
            "watchdog": _watchdog(config, metrics, upstream),
        }
        if replicator is not None:
            self._services["session replication"] = replicator
        if isinstance(upstream, SupportsHandover):
            writer = PositionWriter(bus, lease, self._publisher, upstream.position, upstream.session_begun)
            self._services["session position"] = writer

    async def run(self, stop: anyio.Event) -> None:
        """Work until stopped. Raises Fenced if another adapter takes over."""
        self._metrics.snapshot = self._status_reporter.snapshot
        try:
            await self._supervisor.attempt("status", self._restore_paused)
            with suppress(BusUnavailable):
                await self._supervisor.attempt("clock", self._clock.measure)
            await self._run(stop)
        finally:
            self._metrics.closed()

    async def _restore_paused(self) -> None:
        if (await self._bus.hgetall(self._bus.keys("status"))).get("paused") == b"1":
            self._control.set_paused(paused=True)

    async def _run(self, stop: anyio.Event) -> None:
        stopped = anyio.Event()
        async with anyio.create_task_group() as background:
            for core in (self._lease, self._publisher):
                background.start_soon(core.run, stopped)
            for name, service in self._services.items():
                background.start_soon(self._supervisor.run, name, service, stopped)
            background.start_soon(self._supervisor.run, "control", self._control, stop)
            await self._run_pipelines(stop, stopped)
            change = SessionChange(SessionState.STOPPED, self._stop_reason())
            self._status_reporter.record(change, time.time())
            await self._supervisor.attempt("status", self._status_reporter.flush)
            stopped.set()
            services: list[Service] = [self._lease, self._publisher, *self._services.values()]
            for service in services:
                service.wake()
            background.cancel_scope.deadline = anyio.current_time() + SERVICE_STOP_TIMEOUT

    async def _run_pipelines(self, stop: anyio.Event, stopped: anyio.Event) -> None:
        """Receive and send until stopped; then finish what is in flight."""
        async with anyio.create_task_group() as pipelines:
            pipelines.start_soon(self._inbound.run)
            pipelines.start_soon(self._outbound.run, stop)
            try:
                await stop.wait()
            finally:  # also if the lease is lost
                self._inbound.stop()
            log.info("stopping: nothing more is taken, what is in flight is finished")
            self._outbound.wake()
            pipelines.start_soon(self._bound_shutdown, stopped)
            with suppress(BusUnavailable):
                await self._publisher.drain()

    async def _bound_shutdown(self, stopped: anyio.Event) -> None:
        with anyio.move_on_after(SHUTDOWN_REDIS_TIMEOUT):
            await stopped.wait()
        self._settlement.shutting_down = True


def _pacer(config: Config, upstream: Upstream) -> Pacer:
    interval = config.send_interval_seconds
    interval = upstream.traits.send_interval_seconds if interval is None else interval
    return Pacer(interval, config.chat_interval_seconds)


def _watchdog(config: Config, metrics: Metrics, upstream: Upstream) -> Watchdog:
    alerts = AlertStore(config.state_dir / ALERTS_FILE)
    channels = configured_channels(config.alarm_command, config.alarm_url)
    return Watchdog(
        metrics,
        alerts,
        Notifier(channels, alerts),
        upstream,
        wall=time.time,
        silence_seconds=config.silence_alarm_seconds,
    )
