"""The operator's stream `qq:control`: login, logout, refresh, pause, resume and the others in COMMANDS."""

import logging
import random
from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

from adapter.aio import AutoResetEvent, backoff
from adapter.bus.bus import Bus
from adapter.bus.retention import Retention
from adapter.errors import BusUnavailable
from adapter.networks.upstream import Upstream
from adapter.ops.status_reporter import StatusReporter
from adapter.outbound.pipeline import OutboundPipeline
from adapter.rpc import ControlRpc

log = logging.getLogger(__name__)

STREAM = "control"
READ = 10
# A command that waited longer than this for an adapter to read it is no longer meant.
MAX_COMMAND_AGE = 60.0
COMMANDS = (
    *("login", "logout", "refresh", "pause", "resume"),
    *("captcha", "lapse", "restore", "presence", "image"),
)


class Control:
    """Does what the operator says. An unknown command is logged and passed over."""

    def __init__(
        self,
        bus: Bus,
        upstream: Upstream,
        outbound: OutboundPipeline,
        watch: StatusReporter,
        retention: Retention,
        errands: ControlRpc,
        wall: Callable[[], float],
    ) -> None:
        self._bus = bus
        self._upstream = upstream
        self._outbound = outbound
        self._watch = watch
        self._retention = retention
        self._errands = errands
        self._wall = wall
        self._wakeup = AutoResetEvent()
        self._refreshing = False

    async def run(self, stop: anyio.Event) -> None:
        """Read and obey until stopped."""
        async with anyio.create_task_group() as errands:
            await self._serve(stop, errands)
            errands.cancel_scope.cancel()

    async def _serve(self, stop: anyio.Event, errands: TaskGroup) -> None:
        delays = backoff(random.random, first=0.05, most=2.0)
        recovered = False
        while not stop.is_set():
            try:
                if recovered:
                    entries = await self._bus.read_new(STREAM, READ)
                else:
                    await self._bus.ensure_group(STREAM)
                    entries = await self._bus.read_pending(STREAM, "0", READ)
                    recovered = not entries
                for entry, fields in entries:
                    await self._execute(entry, fields, errands)
                    await self._bus.ack(STREAM, entry)
                delays = backoff(random.random, first=0.05, most=2.0)
            except BusUnavailable as exc:
                recovered = False
                log.debug("control: %s", exc)
                await self._wakeup.wait(next(delays))

    async def _execute(self, entry: str, given: dict[bytes, bytes], errands: TaskGroup) -> None:
        fields = {
            name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in given.items()
        }
        command, by = fields.get("cmd", ""), fields.get("by", "")
        age = self._wall() - int(entry.partition("-")[0]) / 1000
        if age > MAX_COMMAND_AGE:
            log.warning("command %.20r is %.0f s old: passed over", command, age)
            return
        match command:
            case "login":
                await self._upstream.login()
            case "logout":
                await self._upstream.logout()
            case "refresh":
                if not self._refreshing:
                    errands.start_soon(self._refresh)
            case "captcha":
                await self._upstream.submit_captcha(fields.get("text", "").strip())
                await self._bus.delete(STREAM, entry)  # it was for these eyes only
            case "pause" | "resume":
                self.set_paused(paused=command == "pause")
            case "lapse" | "restore":
                await self._retention.lapse(given.get(b"group", b""), lapsed=command == "lapse")
            case "presence" | "image":
                errands.start_soon(self._errands.run, command, fields)
            case _:
                log.warning("command %.20r is not known: %s are", command, ", ".join(COMMANDS))
                return
        log.info("command %s%s", command, f" by {by[:64]!r}" if by else "")

    async def _refresh(self) -> None:
        """Beside all else: a crowded account takes half a minute."""
        self._refreshing = True
        try:
            await self._upstream.refresh_contacts()
        finally:
            self._refreshing = False

    def set_paused(self, *, paused: bool) -> None:
        """Hold sends, or release them."""
        self._outbound.paused = paused
        self._outbound.wake()
        self._watch.set_paused(paused=paused)
