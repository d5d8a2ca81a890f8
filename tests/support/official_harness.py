"""OfficialUpstream against the official server: short waits, and all events kept."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from adapter.events import (
    Address,
    ChatKind,
    Outcome,
)
from adapter.networks.official.hosts import Hosts
from adapter.networks.official.limits import Limits
from adapter.networks.official.protocol.binding import BotCredentials
from adapter.networks.official.upstream import OfficialUpstream
from tests.official_server import OfficialServer
from tests.support.upstream_listener import UpstreamListener

Listener = UpstreamListener[OfficialUpstream]

INTENTS = 1 << 25
# The waits of `Limits`, many times shorter; what ends by itself in real life stays long.
FAST = Limits(
    close_seconds=0.2,
    retry_seconds=(0.02, 0.05, 0.1),
    quick_seconds=0.0,
    stable_seconds=0.0,
    slow_seconds=0.3,
    repeat_seconds=0.02,
    renew_pause_seconds=0.0,
    proactive_seconds=0.0,
    proactive_chat_seconds=0.0,
    bind_poll_seconds=0.02,
    contacts_seconds=0.0,
    idle_seconds=0.2,
)


def limits(**changes: Any) -> Limits:
    """Return the fast limits with changes."""
    return replace(FAST, **changes)


def hosts(server: OfficialServer) -> Hosts:
    """Return where a server is."""
    return Hosts(server.url, server.token_url, server.url)


def credentials(server: OfficialServer) -> BotCredentials:
    """Return what the bot of a server logs in with."""
    return BotCredentials(server.appid, server.secret)


@asynccontextmanager
async def listening(
    server: OfficialServer, folder: Path, *, limits: Limits = FAST, bound: bool = True, **options: Any
) -> AsyncIterator[Listener]:
    """Open an upstream of this server and keep its events. `bound`: with AppID and secret."""
    given = options.pop("given", credentials(server)) if bound else None
    options = {"intents": INTENTS} | options
    async with OfficialUpstream(hosts(server), given, folder, limits=limits, **options) as upstream:
        listener = Listener(upstream)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.run)
            yield listener
            tasks.cancel_scope.cancel()


def friend(server: OfficialServer, name: str) -> Address:
    """Return a friend's address in the network's ids."""
    return Address(ChatKind.FRIEND, server.openid(f"friend:{name}"))


def group(server: OfficialServer, name: str) -> Address:
    """Return a group's address in the network's ids."""
    return Address(ChatKind.GROUP, server.openid(f"group:{name}"))


async def send(
    upstream: OfficialUpstream,
    to: Address,
    *segments: Any,
    answers: str = "",
    may_send: Callable[[], bool] = lambda: True,
) -> Outcome | None:
    """Send segments that need one message, once there is a session."""
    await upstream.connected()
    (part,) = upstream.split(segments, None)
    return await upstream.send(to, part, answers=answers, may_send=may_send)
