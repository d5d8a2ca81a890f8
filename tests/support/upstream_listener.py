"""Keep all events of an upstream, and wait for the ones that a test is about."""

from collections.abc import Callable
from contextlib import aclosing
from typing import Generic, TypeVar

import anyio

from adapter.content import Text
from adapter.events import Batch, Message, Notice, SessionChange, SessionState, UpstreamEvent
from adapter.networks.upstream import Upstream
from tests.support.helpers import wait_until

Event = TypeVar("Event")
AnyUpstream = TypeVar("AnyUpstream", bound=Upstream)

# What a busy machine needs, seconds; a wait ends with what it waits for.
WAIT_SECONDS = 20.0


class UpstreamListener(Generic[AnyUpstream]):
    """Iterates the events of an upstream and keeps them. While `gate` is closed no batch is stored.

    A batch that `holds` is true of closes the gate.
    """

    def __init__(self, upstream: AnyUpstream) -> None:
        self.upstream = upstream
        self.batches: list[Batch] = []
        self.gate = anyio.Event()
        self.gate.set()
        self.holds: Callable[[Batch], bool] = lambda _batch: False

    async def run(self) -> None:
        """Listen until cancelled or until the events end."""
        async with aclosing(self.upstream.events()) as events:
            async for batch in events:
                self.batches.append(batch)
                if self.holds(batch):
                    self.gate = anyio.Event()
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

    async def state(self, state: SessionState, count: int = 1) -> SessionChange:
        """Wait until this state has been reported so often, and return its last report."""
        await wait_until(
            lambda: self.states.count(state.value) >= count,
            f"{state} reported {count} times, but {self.states}",
            WAIT_SECONDS,
        )
        return [change for change in self.of(SessionChange) if change.state is state][-1]

    async def online(self, times: int = 1) -> None:
        """Wait until the session has been online so often."""
        await self.state(SessionState.ONLINE, times)

    async def first(self, kind: type[Event], count: int = 1) -> Event:
        """Wait until there are `count` events of a kind, and return the last of these."""
        await wait_until(lambda: len(self.of(kind)) >= count, f"{count} times {kind.__name__}", WAIT_SECONDS)
        return self.of(kind)[count - 1]

    async def heard(self, count: int, timeout: float = WAIT_SECONDS) -> list[Message]:
        """Wait for so many messages and return them."""
        await wait_until(lambda: len(self.of(Message)) >= count, f"{count} messages", timeout)
        return self.of(Message)

    async def noticed(self, kind: str, count: int = 1) -> list[Notice]:
        """Wait for so many notices of a kind and return them."""

        def found() -> list[Notice]:
            return [one for one in self.of(Notice) if one.kind == kind]

        await wait_until(lambda: len(found()) >= count, f"{count} notices {kind}", WAIT_SECONDS)
        return found()
