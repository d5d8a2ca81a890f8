"""Record what became of each request id: the table that prevents double sends and missing results."""

from collections.abc import Sequence
from typing import NamedTuple

import msgpack

from adapter.bus.bus import Bus, Fence
from adapter.bus.keys import GROUP

# Seconds for which a repeated id gets the first result (contract).
RESULT_TTL = 86_400
# Seconds for which a request that was started and never settled is known: longer than any outage.
IN_PROGRESS_TTL = 7 * 86_400
# Seconds after its last result at which a worker's own result stream expires.
OWN_RESULTS_TTL = 7 * 86_400
# Approximate entries of such a stream: one worker reads it, as the results come.
OWN_RESULTS = 10_000


class Started(NamedTuple):
    """The request may be sent now: attempts, parts that are sent, and the message ids of all parts."""

    attempts: int
    sent: int
    message_ids: tuple[str, ...]


class InDoubt(NamedTuple):
    """An earlier process started the request and recorded no outcome: its next part may be sent."""

    attempts: int
    sent: int
    message_ids: tuple[str, ...]


class Completed(NamedTuple):
    """The request is settled: the fields of its result, names and values in turn."""

    result: tuple[str, ...]


class Ledger:
    """The ledger entries in Redis, by request id. Each method may be repeated after a lost reply."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def start(
        self,
        fence: Fence,
        request: str,
        entry: str,
        token: str,
        message_ids: Sequence[str],
        *,
        take_over: bool,
    ) -> Started | InDoubt | Completed:
        """Record a request before its first byte is sent.

        `token` names this call. `take_over`: start one in doubt again, as its next attempt.
        """
        args = [
            *(*fence, entry, token, ",".join(message_ids), len(message_ids)),
            *(int(take_over), IN_PROGRESS_TTL),
        ]
        state, *values = await self._bus.run_script("start", self._keys(request), args)
        if state == b"completed":
            return _completed(values[0])
        attempts, sent, known_ids = values
        kind = Started if state == b"started" else InDoubt
        return kind(int(attempts), int(sent), _split(known_ids))

    async def get(self, request: str) -> Started | InDoubt | Completed | None:
        """Return what is known of a request; Started if it is suspended between two parts."""
        known = await self._bus.hgetall(self._bus.keys.ledger(request))
        if not known:
            return None
        if known["state"] == b"done":
            return _completed(known["result"])
        kind = InDoubt if "token" in known else Started
        return kind(int(known["attempts"]), int(known["sent"]), _split(known["messages"]))

    async def record_progress(
        self, fence: Fence, request: str, sent: int, attempts: int, *, suspend: bool = False
    ) -> None:
        """Record the parts sent and the attempts made. `suspend`: no part is in flight now."""
        args = [*fence, sent, attempts, int(suspend)]
        await self._bus.run_script("progress", self._keys(request), args)

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
        """Publish the one result of an entry and acknowledge the entry; False if that is done already.

        `remember`: a repeat of the id gets this result for RESULT_TTL. `dead`: fields for `qq:dead`.
        """
        keys = self._bus.keys
        results_ttl = 0 if results == keys("results") else OWN_RESULTS_TTL
        ledger_ttl = RESULT_TTL if remember else 0
        payload = msgpack.packb(
            [*fence, GROUP, entry, ledger_ttl, results_ttl, OWN_RESULTS, result, dead], use_bin_type=False
        )
        names = [*self._keys(request), keys("outbound"), results, keys("dead"), keys("results")]
        return bool(await self._bus.run_script("settle", names, [payload]))

    def _keys(self, request: str) -> list[str]:
        return [self._bus.keys("ids:epoch"), self._bus.keys.ledger(request)]


def _completed(packed: bytes) -> Completed:
    return Completed(tuple(value.decode() for value in msgpack.unpackb(packed, raw=True)))


def _split(message_ids: bytes) -> tuple[str, ...]:
    return tuple(message_ids.decode().split(",")) if message_ids else ()
