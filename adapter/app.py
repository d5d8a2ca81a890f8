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
from adapter.bus.connection import absent, shown
from adapter.bus.lease import Lease, held
from adapter.bus.retention import Retention
from adapter.bus.session_replication import Mirror
from adapter.bus.spool.handoff import Leavings, publish_late
from adapter.bus.spool.log import Spool
from adapter.bus.spool.publisher import Journal
from adapter.codec.inbound import Origin, session_draft
from adapter.config import DEFAULT_PORT, Config
from adapter.contact_store import Registry, load
from adapter.control import Control
from adapter.directory import Directory
from adapter.errors import BusUnavailable, ConfigError, Fenced, SpoolError
from adapter.events import Gap, SessionChange, SessionState
from adapter.inbound import Inbound
from adapter.networks.smartqq.session.store import NAME as SESSION
from adapter.networks.smartqq.upstream import SmartQQ
from adapter.ops import page
from adapter.ops.alerts.notifier import Bell
from adapter.ops.alerts.watchdog import Sentry
from adapter.ops.metrics import Metrics, Reading
from adapter.ops.status_reporter import Watch
from adapter.outbound.pacing import Pacer
from adapter.outbound.pipeline import Outbound
from adapter.outbound.settlement import Settling
from adapter.rpc import Errands

log = logging.getLogger(__name__)

# A term that Redis has ended is followed by the next one after so long.
AGAIN_AFTER = 1.0
# After a stop: how long Redis is waited for before results are left to the next start.
HURRY_AFTER = 1.5


@asynccontextmanager
async def redis_address(config: Config) -> AsyncIterator[str]:
    """The Redis to use: the one that is set, what already listens, or the embedded server."""
    if config.redis_url is not None:
        yield config.redis_url
    elif await embedded.is_redis(DEFAULT_PORT):
        yield f"redis://127.0.0.1:{DEFAULT_PORT}"
    else:
        async with embedded.served(config.state_dir / "redis", DEFAULT_PORT) as url:
            log.info("embedded server on %s, data in %s", url, config.state_dir / "redis")
            yield url


async def run(config: Config, stop: anyio.Event) -> None:
    """Hold the connection until stopped; whoever finds another holder stands by and takes over."""
    async with AsyncExitStack() as rooms:
        url = await rooms.enter_async_context(redis_address(config))
        bus = await rooms.enter_async_context(Bus.open(url, config.prefix))
        try:
            server = await bus.check()
        except BusUnavailable as exc:
            raise absent(url, exc) from exc
        log.info("%s at %s, prefix %s", server, shown(url), config.prefix)
        spool = rooms.enter_context(Spool(config.state_dir / "spool"))
        if spool.damaged:
            log.error("the spool was damaged: what could not be read is lost")
        metrics = Metrics(version("qqbus"))
        await rooms.enter_async_context(page.served(config, url, metrics))
        while not stop.is_set():
            try:
                await _term(config, bus, spool, metrics, stop)
            except* Fenced as group:
                log.warning("%s: standing by", group.exceptions[0])
            except* BusUnavailable as group:
                if stop.is_set():
                    raise
                log.warning("%s; beginning anew", group.exceptions[0])
                with anyio.move_on_after(AGAIN_AFTER):
                    await stop.wait()


async def _term(config: Config, bus: Bus, spool: Spool, metrics: Metrics, stop: anyio.Event) -> None:
    """One term of office: from waiting for the lease to losing or releasing it."""
    holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    lease = Lease(bus, holder, config.lease, time.monotonic)
    spool.adopt()
    leavings = Leavings(bus, spool)
    told = False

    async def waiting(seconds: float) -> None:
        nonlocal told
        with suppress(BusUnavailable):
            await leavings.give()
        if not told:
            log.info("another adapter holds the connection: standing by (its lease ends in %.1f s)", seconds)
            told = True

    async with held(lease, stop, waiting) as mine:
        if mine:
            directory = await load(bus, time.time())
            mirror = await _mirror(config, bus, lease)
            async with SmartQQ(config) as upstream:
                office = _Office(config, bus, spool, lease, metrics, directory, upstream)
                if mirror is not None:
                    office.keepers.append(mirror)
                await office.run(stop)


async def _mirror(config: Config, bus: Bus, lease: Lease) -> Mirror | None:
    """The session that the adapter before this one left, where a key for it is set."""
    if not config.session_key:
        return None
    mirror = Mirror(bus, lease, config.state_dir / SESSION, config.session_key)
    if await mirror.fetch():
        log.info("going on with the session of the adapter before this one")
    return mirror


class _Keeper(Protocol):
    """What works beside the corridors until it is stopped and woken."""

    async def keep(self, stop: anyio.Event) -> None: ...

    def wake(self) -> None: ...


class _Office:
    """All that works together while the lease is held."""

    def __init__(
        self,
        config: Config,
        bus: Bus,
        spool: Spool,
        lease: Lease,
        metrics: Metrics,
        directory: Directory,
        upstream: SmartQQ,
    ) -> None:
        self._lease = lease
        self._spool = spool
        self._bus = bus
        self._metrics = metrics
        self.journal = Journal(bus, lease, spool, self._lost, self._damaged, replicas=config.replicas)
        self.watch = Watch(bus, lease, self.journal, version("qqbus"), time.time, stuck=self._stuck)
        self.settling = Settling(bus, lease, lambda: self.watch.account, time.time, metrics.ended)
        pacer = Pacer(config.send_interval, config.chat_interval)
        self.outbound = Outbound(
            bus,
            lease,
            upstream,
            directory,
            self.settling,
            pacer,
            wall=time.time,
            clock=time.monotonic,
        )
        registry = Registry(bus, lease, directory)
        self.inbound = Inbound(
            upstream,
            directory,
            self.journal,
            registry,
            lease,
            self.watch,
            pacer,
            metrics,
            wall=time.time,
            raw=config.raw,
        )
        self.retention = Retention(bus, lease, self._alarm, self._tell, time.time)
        errands = Errands(bus, lease, upstream)
        self.control = Control(bus, upstream, self.outbound, self.watch, self.retention, errands, time.time)
        bell = Bell(config.alarm_command, config.alarm_url)
        habits = config.state_dir / "habits.json"
        self.sentry = Sentry(
            metrics, bell, habits, probe=upstream.probe, relink=upstream.relink, wall=time.time
        )
        self._replicas = config.replicas
        self.keepers: list[_Keeper] = [self.journal, self.watch, self.retention, self.sentry]

    def _reading(self) -> Reading:
        return Reading(
            state=self.watch.state,
            reason=self.watch.reason,
            account=self.watch.account,
            leased=self._lease.valid(),
            epoch=self._lease.fence.epoch,
            paused=self.outbound.paused,
            spool_bytes=self._spool.unsent_bytes(),
            bus_away=self.journal.away,
            stuck=self._stuck(),
        )

    def _lost(self, account: str, events: int) -> None:
        self._alarm(f"Redis lost {events} events of {account} that are not kept any more: seq has a hole")

    async def _damaged(self, since: float) -> None:
        await self._tell(Gap(since, time.time(), "the spool was damaged"))

    def _stuck(self) -> str:
        return self.inbound.stuck or self.journal.stuck

    def _alarm(self, words: str) -> None:
        log.error("%s", words)

    async def _tell(self, gap: Gap) -> None:
        """Raises SpoolError where it is to be said again later."""
        account = self.watch.account or self._spool.bookmark.account
        if not account:
            raise SpoolError("a gap is to be told, and nobody knows yet in whose events")
        origin = Origin(account, self._lease.fence.epoch, time.time())
        self.journal.write(origin.account, [session_draft(gap, origin)])
        with suppress(SpoolError):  # it is in the spool, and whoever flushes next tries again
            await self.journal.flush()

    async def run(self, stop: anyio.Event) -> None:
        self._metrics.reading = self._reading
        try:
            await self._run(stop)
        finally:
            self._metrics.closed()

    async def _run(self, stop: anyio.Event) -> None:
        if (await self._bus.hash(self._bus.keys("status"))).get("paused") == b"1":
            self.control.hold(paused=True)
        for stream in ("outbound", "control"):
            await self._bus.make_group(stream)
        ended = anyio.Event()
        async with anyio.create_task_group() as keepers:
            keepers.start_soon(self._lease.keep, ended)
            with suppress(BusUnavailable):
                await publish_late(self._bus, self._lease, stop, self._replicas)
            for keeper in self.keepers:
                keepers.start_soon(keeper.keep, ended)
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
                keepers.start_soon(self._hurry, ended)
                with suppress(BusUnavailable):
                    await self.journal.publish()
            await self.watch.session(SessionChange(SessionState.STOPPED, "SIGTERM"), time.time())
            ended.set()
            for keeper in (self._lease, *self.keepers):
                keeper.wake()

    async def _hurry(self, ended: anyio.Event) -> None:
        with anyio.move_on_after(HURRY_AFTER):
            await ended.wait()
        self.settling.hurry = True


def state_folder(config: Config) -> Path:
    """The folder that keeps session, spool and embedded data; made if need be. Only the owner may look."""
    try:
        config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise ConfigError(f"QQBUS_STATE_DIR: {config.state_dir} is no folder: {exc.strerror}") from exc
    return config.state_dir
