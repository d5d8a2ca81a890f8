"""SmartQQ against the simulator, as the tests of door 1 use it: short waits, and all events kept."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio

from adapter.config import Config
from adapter.content import Text
from adapter.events import Address, Batch, ChatKind, Outcome, SessionChange, SessionState, UpstreamEvent
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.upstream import SmartQQUpstream
from tests.simulator import Simulator
from tests.support.helpers import wait_until

Event = TypeVar("Event")

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


class Listener:
    """Iterates the events of an upstream and keeps them."""

    def __init__(self, upstream: SmartQQUpstream) -> None:
        self.upstream = upstream
        self.batches: list[Batch] = []

    async def run(self) -> None:
        """Listen until cancelled."""
        async with aclosing(self.upstream.events()) as events:
            async for batch in events:
                self.batches.append(batch)

    @property
    def events(self) -> list[UpstreamEvent]:
        """All events so far."""
        return [event for batch in self.batches for event in batch]

    def of(self, kind: type[Event]) -> list[Event]:
        """All events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def states(self) -> list[str]:
        """The session's states so far."""
        return [change.state.value for change in self.of(SessionChange)]

    async def state(self, state: SessionState, count: int = 1) -> SessionChange:
        """Wait until this state has been told so many times; the latest telling of it."""
        await wait_until(
            lambda: self.states.count(state.value) >= count, f"{state} told {count} times, but {self.states}"
        )
        return [change for change in self.of(SessionChange) if change.state is state][-1]

    async def first(self, kind: type[Event], count: int = 1) -> Event:
        """Wait until there are so many events of a kind; the last of these."""
        await wait_until(lambda: len(self.of(kind)) >= count, f"{count} × {kind.__name__}")
        return self.of(kind)[count - 1]


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
