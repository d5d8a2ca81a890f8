"""What was asked, begun and done: the reason why nothing is sent twice and nothing goes unanswered."""

from collections.abc import Sequence
from typing import NamedTuple

import msgpack

from adapter.bus.bus import Bus, Fence
from adapter.bus.keys import GROUP

# A repeat of an id is recognised for this long (contract).
RESULT_TTL = 86_400
# A request that was begun and never settled is forgotten after this: longer than any outage.
IN_PROGRESS_TTL = 7 * 86_400
# A result stream of a worker's own lives this long after its last result.
OWN_RESULTS_TTL = 7 * 86_400
# It keeps about so many: each belongs to one worker, who reads them as they come.
OWN_RESULTS = 10_000


class Started(NamedTuple):
    """The request may be sent now: attempt number, parts that have left, and their message ids."""

    attempts: int
    sent: int
    messages: tuple[str, ...]


class InDoubt(NamedTuple):
    """An earlier process began it and did not tell how it ended."""

    attempts: int
    sent: int
    messages: tuple[str, ...]


class Completed(NamedTuple):
    """It has ended before; these are the fields of that result, name after value."""

    result: tuple[str, ...]


class Ledger:
    """Requests by their ids. Every method may be repeated when its answer was lost."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def start(
        self, fence: Fence, request: str, entry: str, token: str, messages: Sequence[str], *, again: bool
    ) -> Started | InDoubt | Completed:
        """Write down that the first byte is about to leave. `again`: take up what was left unfinished."""
        names = [self._bus.keys("ids:epoch"), self._bus.keys.ledger(request)]
        args = [*fence, entry, token, ",".join(messages), len(messages), int(again), IN_PROGRESS_TTL]
        answer = await self._bus.run_script("begin", names, args)
        if answer[0] == b"done":
            return Completed(tuple(_texts(msgpack.unpackb(answer[1], raw=True))))
        kind = Started if answer[0] == b"new" else InDoubt
        return kind(int(answer[1]), int(answer[2]), _split(answer[3]))

    async def get(self, request: str) -> Started | InDoubt | Completed | None:
        """What is known of a request, changing nothing; Begun where it waits to be taken up."""
        had = await self._bus.hash(self._bus.keys.ledger(request))
        if not had:
            return None
        if had["state"] == b"done":
            return Completed(tuple(_texts(msgpack.unpackb(had["result"], raw=True))))
        kind = InDoubt if "token" in had else Started
        return kind(int(had["attempts"]), int(had["sent"]), _split(had["messages"]))

    async def record_progress(
        self, fence: Fence, request: str, sent: int, attempts: int, *, suspend: bool = False
    ) -> None:
        """So many parts have left, in so many attempts. `suspend`: whoever comes next may go on."""
        names = [self._bus.keys("ids:epoch"), self._bus.keys.ledger(request)]
        await self._bus.run_script("step", names, [*fence, sent, attempts, int(suspend)])

    async def settle(
        self,
        fence: Fence,
        request: str,
        entry: str,
        results: str,
        result: Sequence[str],
        *,
        remember: bool,
        dead: Sequence[str | bytes] = (),
    ) -> bool:
        """Publish the one result of an entry and acknowledge it. False where that had happened before.

        `remember`: a repeat of the id within KEPT seconds gets this result. `dead`: the fields of an
        entry for `qq:dead`.
        """
        bus = self._bus
        lives = 0 if results == bus.keys("results") else OWN_RESULTS_TTL
        payload = msgpack.packb(
            [*fence, GROUP, entry, RESULT_TTL if remember else 0, lives, OWN_RESULTS, result, dead],
            use_bin_type=False,
        )
        names = [
            bus.keys("ids:epoch"),
            bus.keys.ledger(request),
            bus.keys("outbound"),
            results,
            bus.keys("dead"),
            bus.keys("results"),
        ]
        return bool(await bus.run_script("settle", names, [payload]))


def _split(messages: bytes) -> tuple[str, ...]:
    return tuple(messages.decode().split(",")) if messages else ()


def _texts(values: Sequence[bytes]) -> list[str]:
    return [value.decode() for value in values]
