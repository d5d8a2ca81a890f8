"""What the chaos run needs of a network: its people, its faults, and a judgement from its own record."""

import random
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import redis.asyncio as redis

from tests.chaos.checker import Verdict

if TYPE_CHECKING:
    from tests.chaos.cluster import Stage
    from tests.chaos.faults import Fault


class Network(Protocol):
    """A simulated network. Use it as `async with … as network`; it outlives the programs of a run."""

    @property
    def settings(self) -> Mapping[str, str]:
        """Return what an adapter needs to find the network."""
        ...

    @property
    def faults(self) -> Mapping["Fault", int]:
        """Return the faults of this network, each with its weight; they undo what would last."""
        ...

    @property
    def expected(self) -> int:
        """Return the messages that must be published in the end, whatever happened: 0 if some may be lost."""
        ...

    def program(self, watch: Path) -> tuple[str, ...]:
        """Return what Python runs as an adapter; `watch` is a file for what it notes."""
        ...

    async def wait_online(self, seconds: float) -> None:
        """Wait until an adapter is connected and hears what is said."""
        ...

    def say(self, chance: random.Random) -> None:
        """Let a person write a message of its own text."""
        ...

    def calm(self) -> None:
        """Forget all faults that are planned."""
        ...

    async def judge(self, client: "redis.Redis", stage: "Stage") -> Verdict:
        """Compare the streams with the network's own record."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
