"""SmartQQ against the simulator, as the tests of door 1 use it: short waits, and all events kept."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from adapter.config import Config
from adapter.content import Text
from adapter.events import Address, ChatKind, Outcome
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.upstream import SmartQQUpstream
from tests.simulator import Simulator
from tests.support.upstream_listener import UpstreamListener

Listener = UpstreamListener[SmartQQUpstream]

FAST = Limits(
    qr_poll_interval=0.01,
    short_pause=0.01,
    long_pause=0.02,
    fast_pause_first=0.005,
    fast_pause_max=0.05,
    busy_pause=0.02,
    blocked_pause=0.02,
    kick_pause=0.05,
    qr_slow_interval=30.0,
    retry_first=0.01,
    retry_max=0.05,
    send_retry_first=0.01,
    session_repair=5.0,
    members_timeout=2.0,
)
"""The waits of `Limits`, a hundred times shorter; what ends by itself in real life stays long."""


def config(sim: Simulator | str, folder: Path, **settings: str) -> Config:
    """Return settings that lead to this simulator (or another origin) and keep the session in this folder."""
    url = sim if isinstance(sim, str) else sim.url
    named = {f"QQBUS_{name.upper()}": value for name, value in settings.items()}
    return Config.from_env({"QQBUS_SMARTQQ_URL": url, "QQBUS_STATE_DIR": str(folder), **named})


@asynccontextmanager
async def listening(
    sim: Simulator | str, folder: Path, limits: Limits = FAST, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Listener]:
    """Listen to the events of an upstream."""
    async with SmartQQUpstream(config(sim, folder, **(settings or {})), limits=limits) as upstream:
        listener = Listener(upstream)
        async with anyio.create_task_group() as group:
            group.start_soon(listener.run)
            yield listener
            group.cancel_scope.cancel()


@asynccontextmanager
async def online(
    sim: Simulator, folder: Path, limits: Limits = FAST, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Listener]:
    """Listen likewise, once it is online, has sent its contacts, and polls."""
    async with listening(sim, folder, limits, settings) as listener:
        with anyio.fail_after(10):
            await listener.upstream.connected()
        await sim.wait_poll()
        yield listener


def friend(sim: Simulator, qq: int = 10001) -> Address:
    """Return the address of a friend in the ids of this session."""
    return Address(ChatKind.FRIEND, str(sim.uin_of(qq)))


def always() -> bool:
    """Nobody else holds the connection."""
    return True


async def send(listener: Listener, to: Address, text: str = "hello") -> Outcome:
    """Send one short message."""
    (part,) = listener.upstream.split((Text(text),), None)
    return await listener.upstream.send(to, part, may_send=always)


def names(sim: Simulator, since: int = 0) -> list[str]:
    """Return the calls answered so far, by the last part of their path."""
    return [entry.path.rpartition("/")[2] for entry in sim.requests[since:]]
