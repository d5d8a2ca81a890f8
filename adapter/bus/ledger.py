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
# Bytes of all large answers that stand in results: the oldest results with one make room for new ones.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
# Seconds that such a stream stays, if rejected requests alone have made it.
REJECTED_TTL = 3600
# Approximate entries of such a stream: one worker reads it, as the results come.
OWN_RESULTS = 10_000
# Such streams at most: a further name gets its results on the default stream. The hash of their names.
MAX_OWN_STREAMS = 1_000
OWN_STREAMS = "ids:results"
# The ids of the dead letters that the adapter wrote; see adapter_letters.py.
LETTERS = "ids:letters"


class Started(NamedTuple):
    """The request may be sent now: attempts, parts that are sent, and the message ids of all parts.

    `results` is the stream of the first asker here and below, empty if it is unknown. `network_id` is what
    the network calls the first part, empty if no part is sent or if it gives no ids.
    """

    attempts: int
    sent: int
    message_ids: tuple[str, ...]
    results: str = ""
    network_id: str = ""


class InDoubt(NamedTuple):
    """An earlier process started the request and recorded no outcome: its next part may be sent."""

    attempts: int
    sent: int
    message_ids: tuple[str, ...]
    results: str = ""
    network_id: str = ""


class Completed(NamedTuple):
    """The request is settled: the fields of its result, names and values in turn."""

    result: tuple[str, ...]
    results: str = ""


class Conflict(NamedTuple):
    """The id belongs to a request that asks for something else."""


State = Started | InDoubt | Completed | Conflict


class Asked(NamedTuple):
    """What the ledger keeps of a request to compare and to answer it.

    `digest` stands for what is asked. `results` is the stream for the result.
    """

    id: str
    digest: str
    results: str


class Rejection(NamedTuple):
    """An entry that is no request: the stream for its result, and the fields of result and dead letter."""

    entry: str
    results: str
    result: Sequence[str]
    letter: Sequence[str | bytes]


class Ledger:
    """The ledger entries in Redis, by request id. Each method may be repeated after a lost reply."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def start(
        self,
        fence: Fence,
        request: Asked,
        entry: str,
        token: str,
        message_ids: Sequence[str],
        *,
        take_over: bool,
    ) -> State:
        """Record a request before its first byte is sent.

        `token` names this call. `take_over`: start one in doubt again, as its next attempt.
        """
        args = [
            *(*fence, entry, token, ",".join(message_ids), len(message_ids)),
            *(int(take_over), IN_PROGRESS_TTL, request.digest, request.results),
        ]
        state, *values = await self._bus.run_script("start", self._keys(request.id), args)
        if state == b"conflict":
            return Conflict()
        results = values[0].decode()
        if state == b"completed":
            return _completed(values[1], results)
        attempts, sent, known_ids, network_id = values[1:]
        kind = Started if state == b"started" else InDoubt
        return kind(int(attempts), int(sent), _split(known_ids), results, network_id.decode())

    async def get(self, request: Asked) -> State | None:
        """Return what is known of a request; Started if it is suspended between two parts."""
        known = await self._bus.hgetall(self._bus.keys.ledger(request.id))
        if not known:
            return None
        if known.get("digest", request.digest.encode()) != request.digest.encode():
            return Conflict()
        results = known.get("results", b"").decode()
        if known["state"] == b"done":
            return _completed(known["result"], results)
        kind = InDoubt if "token" in known else Started
        network_id = known.get("network", b"").decode()
        return kind(
            int(known["attempts"]), int(known["sent"]), _split(known["messages"]), results, network_id
        )

    async def record_progress(
        self,
        fence: Fence,
        request: str,
        sent: int,
        attempts: int,
        *,
        suspend: bool = False,
        network_id: str = "",
    ) -> None:
        """Record the parts sent and the attempts made. `suspend`: no part is in flight now.

        `network_id`: what the network calls the first part, "" if it gives no ids.
        """
        args = [*fence, sent, attempts, int(suspend), network_id]
        await self._bus.run_script("progress", self._keys(request), args)

    async def settle(
        self,
        fence: Fence,
        request: Asked,
        entry: str,
        result: Sequence[str],
        *,
        remember: bool,
        remembered: Sequence[str] | None = None,
        answer_bytes: int = 0,
        sent: Sequence[str | bytes] = (),
    ) -> bool:
        """Publish the one result of an entry and acknowledge the entry; False if that is done already.

        `remember`: a repeat of the id gets this result for RESULT_TTL, or the fields `remembered`.
        `answer_bytes`: of the answer that the result carries, 0 if it is small. `sent`: the account and
        the event of what was sent, for `qq:inbound`.
        """
        keys = self._bus.keys
        bounds = [RESULT_TTL if remember else 0, OWN_RESULTS_TTL, OWN_RESULTS]
        kept = result if remembered is None else remembered
        values = [*fence, GROUP, entry, *bounds, result, request.digest, kept]
        values += [answer_bytes, MAX_ANSWER_BYTES, sent, MAX_OWN_STREAMS]
        payload = msgpack.packb(values, use_bin_type=False)
        more = ("ids:answers", "ids:seq", "ids:seq:late", "seen:new", "seen:old", "inbound", OWN_STREAMS)
        names = [*self._keys(request.id), keys("outbound"), request.results, keys("results")]
        return bool(await self._bus.run_script("settle", [*names, *map(keys, more)], [payload]))

    async def reject(self, fence: Fence, rejections: Sequence[Rejection]) -> None:
        """Answer entries that are no requests, keep them in `qq:dead`, and acknowledge them."""
        names = ("ids:epoch", "outbound", "dead", "results", OWN_STREAMS, LETTERS)
        keys = [*map(self._bus.keys, names), *(one.results for one in rejections)]
        rows = [msgpack.packb([one.entry, one.result, one.letter], use_bin_type=False) for one in rejections]
        args = [*fence, GROUP, REJECTED_TTL, OWN_RESULTS, MAX_OWN_STREAMS, *rows]
        await self._bus.run_script("reject", keys, args)

    def _keys(self, request: str) -> list[str]:
        return [self._bus.keys("ids:epoch"), self._bus.keys.ledger(request)]


def _completed(packed: bytes, results: str) -> Completed:
    return Completed(tuple(value.decode() for value in msgpack.unpackb(packed, raw=True)), results)


def _split(message_ids: bytes) -> tuple[str, ...]:
    return tuple(message_ids.decode().split(",")) if message_ids else ()
