"""The operator's stream `qq:control`: login, logout, refresh, pause, resume, lapse, restore."""

import logging
import random
from collections.abc import Callable

import anyio

from adapter.bus.retention import Retention
from adapter.bus.streams import Bus
from adapter.errors import BusUnavailable
from adapter.ops.status import Watch
from adapter.outbound import Outbound
from adapter.upstream import Upstream, backoff
from adapter.wakeup import Wakeup

log = logging.getLogger(__name__)

STREAM = "control"
READ = 10
# A command that waited longer than this for an adapter to read it is no longer meant.
STALE = 60.0
COMMANDS = ("login", "logout", "refresh", "pause", "resume", "captcha", "lapse", "restore")


class Control:
    """Does what the operator says. An unknown command is logged and passed over."""

    def __init__(
        self,
        bus: Bus,
        upstream: Upstream,
        outbound: Outbound,
        watch: Watch,
        retention: Retention,
        wall: Callable[[], float],
    ) -> None:
        self._bus = bus
        self._upstream = upstream
        self._outbound = outbound
        self._watch = watch
        self._retention = retention
        self._wall = wall
        self._wakeup = Wakeup()

    async def run(self, stop: anyio.Event) -> None:
        """Read and obey until stopped."""
        delays = backoff(random.random, first=0.05, most=2.0)
        recovered = False
        while not stop.is_set():
            try:
                if recovered:
                    entries = await self._bus.fresh(STREAM, READ)
                else:
                    await self._bus.make_group(STREAM)
                    entries = await self._bus.pending(STREAM, "0", READ)
                    recovered = not entries
                for entry, fields in entries:
                    await self._obey(entry, fields)
                    await self._bus.ack(STREAM, entry)
                delays = backoff(random.random, first=0.05, most=2.0)
            except BusUnavailable as exc:
                recovered = False
                log.debug("control: %s", exc)
                await self._wakeup.wait(next(delays))

    async def _obey(self, entry: str, fields: dict[bytes, bytes]) -> None:
        command = fields.get(b"cmd", b"").decode("utf-8", "replace")
        by = fields.get(b"by", b"").decode("utf-8", "replace")
        age = self._wall() - int(entry.partition("-")[0]) / 1000
        if age > STALE:
            log.warning("command %.20r is %.0f s old: passed over", command, age)
            return
        match command:
            case "login":
                await self._upstream.login()
            case "logout":
                await self._upstream.logout()
            case "refresh":
                await self._upstream.refresh()
            case "captcha":
                await self._upstream.answer(fields.get(b"text", b"").decode("utf-8", "replace").strip())
            case "pause" | "resume":
                self.hold(paused=command == "pause")
            case "lapse" | "restore":
                group = fields.get(b"group", b"").decode("utf-8", "replace")
                await self._retention.lapse(group, lapsed=command == "lapse")
            case _:
                log.warning("command %.20r is not known: %s are", command, ", ".join(COMMANDS))
                return
        log.info("command %s%s", command, f" by {by[:64]!r}" if by else "")

    def hold(self, *, paused: bool) -> None:
        """Hold sends, or release them."""
        self._outbound.paused = paused
        self._outbound.wake()
        self._watch.pause(paused=paused)
