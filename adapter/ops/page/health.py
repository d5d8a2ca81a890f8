"""Answer health checks: whether the loops come round, whether the adapter can work; serve the metrics."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from adapter.bus.admin import MonitorClient
from adapter.errors import BusError
from adapter.events import SessionState
from adapter.ops.metrics import CONTENT_TYPE, GroupRow, Metrics
from adapter.ops.page.broadcaster import Broadcaster
from adapter.ops.page.follower import GROUPED
from adapter.ops.wording import STATES, entry_time

# Seconds after which a loop is stuck: nothing outside can hold it up for longer, only a restart helps.
LIMITS: Final[Mapping[str, float]] = {"watchdog": 180.0}
# The same for a poll while online: it is parked for up to two minutes, and its answer may take another half.
POLL_LIMIT: Final = 300.0
# Seconds that Redis may take to answer a check.
REDIS_TIMEOUT: Final = 2.0


@dataclass(frozen=True, slots=True)
class HealthEndpoints:
    """The endpoints for machines: `/healthz`, `/readyz`, `/metrics`."""

    metrics: Metrics
    monitor: MonitorClient
    broadcaster: Broadcaster

    async def alive(self, _: Request) -> Response:
        """Answer `/healthz`: 200 while every loop comes round."""
        stuck = self.stuck()
        return JSONResponse({"status": "stuck" if stuck else "ok", "stuck": stuck}, 503 if stuck else 200)

    async def ready(self, _: Request) -> Response:
        """Answer `/readyz`: 200 when events flow in and requests out; the body says what is missing."""
        checks = {
            "redis": await self._redis(),
            "lease": self._lease(),
            "session": self._session(),
            "disk": self.metrics.stuck or "ok",
        }
        missing = [name for name, result in checks.items() if result != "ok"]
        # A background service that fails holds up no messages: it is shown, and changes no status.
        checks["services"] = self.metrics.failing_text() or "ok"
        offset = self.metrics.clock_text()
        checks["clock"] = f"Redis is {offset} s ahead of this machine" if offset else "ok"
        return JSONResponse({"status": "not ready" if missing else "ok", **checks}, 503 if missing else 200)

    async def figures(self, _: Request) -> Response:
        """Answer `/metrics`."""
        groups: list[GroupRow] | None = []
        dead = waiting = 0
        try:
            with anyio.fail_after(REDIS_TIMEOUT):
                groups, waiting = await self._groups()
                dead = await self.monitor.xlen("dead")
        except (BusError, TimeoutError):
            groups = None
        text = self.metrics.expose(groups, dead, waiting, len(self.broadcaster))
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    def stuck(self) -> list[str]:
        """Return the loops that have not come round for too long."""
        metrics, snapshot = self.metrics, self.metrics.snapshot
        ages = {name: metrics.age(at) or 0.0 for name, at in metrics.heartbeats.items()}
        stuck = [name for name, most in LIMITS.items() if ages.get(name, 0.0) > most]
        is_online = snapshot is not None and snapshot().state is SessionState.ONLINE
        return [*stuck, "poll"] if is_online and ages.get("poll", 0.0) > POLL_LIMIT else stuck

    async def _redis(self) -> str:
        try:
            with anyio.fail_after(REDIS_TIMEOUT):
                await self.monitor.ping()
        except TimeoutError:
            return f"no answer within {REDIS_TIMEOUT:g} s"
        except BusError as exc:
            return type(exc).__name__
        return "ok"

    def _lease(self) -> str:
        snapshot = self.metrics.snapshot
        if snapshot is None:
            return "not held: standing by"
        return "ok" if snapshot().leased else "not renewed in time: another adapter may have taken over"

    def _session(self) -> str:
        snapshot = self.metrics.snapshot
        if snapshot is None:
            return "none: standing by"
        state = snapshot().state
        return "ok" if state is SessionState.ONLINE else STATES[state].headline

    async def _groups(self) -> tuple[list[GroupRow], int]:
        now, rows, waiting = time.time(), [], 0
        for stream in GROUPED:
            for group in await self.monitor.groups(stream):
                oldest = max(0.0, now - entry_time(group.oldest)) if group.oldest else 0.0
                rows.append(GroupRow(stream, group.name, group.lag, group.pending, oldest))
                if stream == "outbound":
                    waiting = group.lag + group.pending
        return rows, waiting
