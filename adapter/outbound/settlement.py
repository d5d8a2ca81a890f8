"""The last step of every request: its one result, kept up until Redis has taken it."""

import logging
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import anyio
import msgpack

from adapter.aio import backoff
from adapter.bus.bus import Bus, Fence
from adapter.bus.keys import GROUP
from adapter.bus.lease import Lease
from adapter.bus.ledger import RESULT_TTL, Completed, InDoubt, Ledger, Started
from adapter.codec.inbound import timestamp
from adapter.codec.outbound import encode_result, request_id, result_stream, unwrapped
from adapter.errors import BusUnavailable, SchemaError
from adapter.events import CONTRACT_VERSION, SendRequest, SendResult, Status

log = logging.getLogger(__name__)

T = TypeVar("T")
MAX_SHOWN_TO = 128
# A server that loses its tail forgets that these were sent; this process does not.
RECENT_RESULTS = 10_000


class Settlement:
    """Writes results. `told` is called with each result that was published; `lost` counts calls in vain."""

    def __init__(
        self,
        bus: Bus,
        lease: Lease,
        account: Callable[[], str],
        wall: Callable[[], float],
        told: Callable[[SendResult], None],
    ) -> None:
        self._bus = bus
        self._lease = lease
        self._ledger = Ledger(bus)
        self._account = account
        self._wall = wall
        self._told = told
        self._ended: OrderedDict[str, tuple[float, list[str]]] = OrderedDict()
        self.shutting_down = False
        self.redis_failures = 0

    async def retry(self, step: Callable[[Fence], Awaitable[T]]) -> T:
        """Repeat a step that may be repeated until Redis serves. Raises Fenced.

        In a `hurry`, when the process is about to end, it is tried once more and no longer.
        """
        delays = backoff(random.random, first=0.05, most=2.0)
        while True:
            try:
                return await step(self._lease.fence)
            except BusUnavailable as exc:
                self.redis_failures += 1
                if self.shutting_down:
                    raise
                log.debug("settling: %s", exc)
                await anyio.sleep(next(delays))

    def recent_result(self, request: str) -> list[str] | None:
        """The result that this process gave a request, name after value; as long as the ledger keeps it."""
        moment, fields = self._ended.get(request, (0.0, None))
        return fields if self._wall() - moment < RESULT_TTL else None

    async def lookup(self, request: str) -> Started | InDoubt | Completed | None:
        """What Redis knows of a request."""
        return await self.retry(lambda _: self._ledger.get(request))

    async def save_progress(self, request: str, sent: int, attempts: int, *, suspend: bool = False) -> None:
        """So many parts have left in so many attempts; `suspend`: the rest is for whoever comes next."""
        await self.retry(
            lambda fence: self._ledger.record_progress(fence, request, sent, attempts, suspend=suspend)
        )

    async def settle(self, request: SendRequest, result: SendResult) -> None:
        """Publish the result of a request that could be read."""
        now = self._wall()
        fields = encode_result(result, self._account(), self._lease.fence.epoch, now)
        self._ended.pop(request.id, None)
        self._ended[request.id] = now, fields
        if len(self._ended) > RECENT_RESULTS:
            self._ended.popitem(last=False)
        await self.retry(
            lambda fence: self._ledger.settle(
                fence, request.id, request.entry, request.results, fields, remember=True
            )
        )
        log.debug(
            "request %s: %s %s",
            result.id,
            result.status.value,
            result.code,
            extra={"request": result.id, "entry": result.entry},
        )
        self._told(result)

    async def replay(self, request: SendRequest, former: Sequence[str]) -> None:
        """Publish the stored result of an earlier request of this id once more."""
        await self._again(request, former, remember=False)

    async def rewrite(self, request: SendRequest, former: Sequence[str]) -> None:
        """Write down again what Redis has forgotten."""
        await self._again(request, former, remember=True)

    async def _again(self, request: SendRequest, former: Sequence[str], *, remember: bool) -> None:
        values = dict(zip(former[::2], former[1::2], strict=True))
        values["replayed"] = "0" if values["entry"] == request.entry else "1"
        values |= {"entry": request.entry, "time": timestamp(self._wall())}
        fields = [item for pair in values.items() for item in pair]
        await self.retry(
            lambda fence: self._ledger.settle(
                fence, request.id, request.entry, request.results, fields, remember=remember
            )
        )

    async def reject(self, entry: str, fields: Mapping[bytes, bytes], why: SchemaError) -> None:
        """Answer an entry that makes no sense, and keep it in `qq:dead`."""
        to = unwrapped(fields).get(b"to", b"").decode("utf-8", "replace")[:MAX_SHOWN_TO]
        result = SendResult(entry, request_id(entry, fields), to, Status.REJECTED, why.code, str(why))
        now = self._wall()
        told = encode_result(result, self._account(), self._lease.fence.epoch, now)
        dead = dead_fields(self._bus.keys("outbound"), entry, why.code, str(why), fields, now)
        results = result_stream(fields, self._bus.keys.prefix)
        await self.retry(
            lambda fence: self._ledger.settle(
                fence, result.id, entry, results, told, remember=False, dead=dead
            )
        )
        self._told(result)


def dead_fields(
    stream: str, entry: str, reason: str, detail: str, fields: Mapping[bytes, bytes], now: float
) -> list[str | bytes]:
    """An entry of `qq:dead`, name after value (contract). The original values keep their bytes."""
    original = {name.decode("utf-8", "replace"): value for name, value in fields.items()}
    return [
        *("v", CONTRACT_VERSION),
        *("time", timestamp(now)),
        *("stream", stream),
        *("entry", entry),
        *("group", GROUP),
        *("consumer", GROUP),
        *("reason", reason),
        *("detail", detail),
        *("attempts", "1"),
        *("fields", msgpack.packb(original)),
    ]
