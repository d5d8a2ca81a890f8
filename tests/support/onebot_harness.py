"""OneBotUpstream against the OneBot server: short waits, and all events kept."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from adapter.events import (
    Address,
    Outcome,
)
from adapter.networks.onebot.limits import Limits
from adapter.networks.onebot.upstream import OneBotUpstream
from tests.onebot_server import OneBotServer
from tests.support.upstream_listener import UpstreamListener

Listener = UpstreamListener[OneBotUpstream]

# The waits of `Limits`, many times shorter; what ends by itself in real life stays long.
FAST = Limits(
    proof_seconds=3.0,
    refused_seconds=0.3,
    retry_first_seconds=0.02,
    retry_most_seconds=0.1,
    stable_seconds=0.0,
    close_seconds=0.2,
    history_pause_seconds=0.01,
    answer_request_seconds=0.0,
    reload_seconds=0.01,
    idle_seconds=0.2,
)


def limits(**changes: Any) -> Limits:
    """Return the fast limits with changes."""
    return replace(FAST, **changes)


@asynccontextmanager
async def listening(
    server: OneBotServer | str, folder: Path, *, token: str = "", limits: Limits = FAST, **options: Any
) -> AsyncIterator[Listener]:
    """Open an upstream of this server (or address) and keep its events."""
    url = server if isinstance(server, str) else server.url
    async with OneBotUpstream(url, token, folder, limits=limits, **options) as upstream:
        listener = Listener(upstream)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.run)
            yield listener
            tasks.cancel_scope.cancel()


async def send(
    upstream: OneBotUpstream, to: Address, *segments: Any, may_send: Callable[[], bool] = lambda: True
) -> Outcome | None:
    """Send segments that need one message, once there is a session."""
    await upstream.connected()
    (part,) = upstream.split(segments, None)
    return await upstream.send(to, part, may_send=may_send)
