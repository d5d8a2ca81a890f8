"""Health: whether the process turns, whether it can do its work, and its figures for Prometheus."""

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

# The longest turns of loops that nothing outside can hold up for longer: only a restart helps.
LIMITS: Final[Mapping[str, float]] = {"sentry": 180.0}
# While online a poll is parked for up to two minutes, and its answer may take another half.
POLL_LIMIT: Final = 300.0
ASK: Final = 2.0


@dataclass(frozen=True, slots=True)
class Health:
    """The three endpoints that machines ask."""

    metrics: Metrics
    lookout: MonitorClient
    hub: Broadcaster

    async def alive(self, _: Request) -> Response:
        """`/healthz`: 200 while every loop comes round; answering at all shows that the event loop does."""
        stuck = self.stuck()
        return JSONResponse({"status": "stuck" if stuck else "ok", "stuck": stuck}, 503 if stuck else 200)

    async def ready(self, _: Request) -> Response:
        """`/readyz`: 200 when events flow in and requests out; the body says what is missing."""
        checks = {
            "redis": await self._redis(),
            "lease": self._lease(),
            "session": self._session(),
            "disk": self.metrics.stuck or "ok",
        }
        missing = [name for name, words in checks.items() if words != "ok"]
        return JSONResponse({"status": "not ready" if missing else "ok", **checks}, 503 if missing else 200)

    async def figures(self, _: Request) -> Response:
        """`/metrics`."""
        groups: list[GroupRow] | None = []
        dead = waiting = 0
        try:
            with anyio.fail_after(ASK):
                groups, waiting = await self._groups()
                dead = await self.lookout.length("dead")
        except (BusError, TimeoutError):
            groups = None
        text = self.metrics.expose(groups, dead, waiting, len(self.hub))
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    def stuck(self) -> list[str]:
        """The loops that have not come round for too long."""
        metrics, reading = self.metrics, self.metrics.snapshot
        ages = {name: metrics.age(at) or 0.0 for name, at in metrics.heartbeats.items()}
        stuck = [name for name, most in LIMITS.items() if ages.get(name, 0.0) > most]
        online = reading is not None and reading().state is SessionState.ONLINE
        return [*stuck, "poll"] if online and ages.get("poll", 0.0) > POLL_LIMIT else stuck

    async def _redis(self) -> str:
        try:
            with anyio.fail_after(ASK):
                await self.lookout.ping()
        except TimeoutError:
            return f"no answer within {ASK:g} s"
        except BusError as exc:
            return type(exc).__name__
        return "ok"

    def _lease(self) -> str:
        reading = self.metrics.snapshot
        if reading is None:
            return "not held: standing by"
        return "ok" if reading().leased else "doubtful: not renewed in time"

    def _session(self) -> str:
        reading = self.metrics.snapshot
        if reading is None:
            return "none: standing by"
        state = reading().state
        return "ok" if state is SessionState.ONLINE else STATES[state][0]

    async def _groups(self) -> tuple[list[GroupRow], int]:
        now, rows, waiting = time.time(), [], 0
        for stream in GROUPED:
            for group in await self.lookout.groups(stream):
                oldest = max(0.0, now - entry_time(group.oldest)) if group.oldest else 0.0
                rows.append(GroupRow(stream, group.name, group.lag, group.pending, oldest))
                if stream == "outbound":
                    waiting = -1 if group.lag is None else group.lag + group.pending
        return rows, waiting
