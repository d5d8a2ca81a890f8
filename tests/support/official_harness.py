"""OfficialUpstream against the official server: short waits, and all events kept."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import anyio

from adapter.content import Text
from adapter.events import (
    Address,
    Batch,
    ChatKind,
    Message,
    Notice,
    Outcome,
    SessionChange,
    SessionState,
    UpstreamEvent,
)
from adapter.networks.official.hosts import Hosts
from adapter.networks.official.limits import Limits
from adapter.networks.official.protocol.binding import BotCredentials
from adapter.networks.official.upstream import OfficialUpstream
from tests.official_server import OfficialServer
from tests.support.helpers import wait_until

Event = TypeVar("Event")

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


class Listener:
    """Iterates the events of an upstream and keeps them. While `gate` is closed no batch is stored."""

    def __init__(self, upstream: OfficialUpstream) -> None:
        self.upstream = upstream
        self.batches: list[Batch] = []
        self.gate = anyio.Event()
        self.gate.set()

    async def run(self) -> None:
        """Listen until cancelled or until the events end."""
        async with aclosing(self.upstream.events()) as events:
            async for batch in events:
                self.batches.append(batch)
                await self.gate.wait()

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

    @property
    def texts(self) -> list[str]:
        """What was said so far."""
        return [
            "".join(one.text for one in each.segments if isinstance(one, Text)) for each in self.of(Message)
        ]

    async def online(self, times: int = 1) -> None:
        """Wait until the session has been online so often."""
        await wait_until(
            lambda: self.states.count(SessionState.ONLINE.value) >= times, f"online {times} times", 20.0
        )

    async def heard(self, count: int, timeout: float = 20.0) -> list[Message]:
        """Wait for so many messages and return them."""
        return await wait_until(lambda: _at_least(self.of(Message), count), f"{count} messages", timeout)  # type: ignore[no-any-return]

    async def noticed(self, kind: str, count: int = 1) -> list[Notice]:
        """Wait for so many notices of a kind and return them."""

        def found() -> list[Notice]:
            return _at_least([one for one in self.of(Notice) if one.kind == kind], count)

        return await wait_until(found, f"{count} notices {kind}", 20.0)  # type: ignore[no-any-return]

    async def state(self, state: SessionState) -> SessionChange:
        """Wait until a change to this state has come, and return the last one."""
        found = await wait_until(
            lambda: [one for one in self.of(SessionChange) if one.state is state],
            f"the state {state.value}",
            20.0,
        )
        return found[-1]  # type: ignore[no-any-return]


def _at_least(found: list[Event], count: int) -> list[Event]:
    return found if len(found) >= count else []


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
