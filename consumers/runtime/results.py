"""Results of requests: those that a caller waits for, and those that say that nothing was sent.

A caller's result comes on a reply stream that belongs to this process alone. All others stand on
`qq:results`; one of this process that is not `sent` is a warning in its log.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import redis.asyncio as redis
from redis.exceptions import NoPermissionError

from adapter import Result, SchemaError, Status, read_result
from consumers.runtime.connection import BLOCK_MS, RetryLoop
from consumers.runtime.replies import entries_of, mapping_of
from consumers.runtime.requests import Request

log = logging.getLogger("qqbus.worker")

# Results in one read.
READ_COUNT: Final = 100
# Requests whose results are awaited for the log: at one a second those of three hours, in 2 MB.
MAX_WATCHED: Final = 10_000


class ResultListener:
    """Reads both streams. The adapter lets the reply stream expire.

    `shared`: the stream of all results; `own`: the reply stream.
    """

    def __init__(self, reader: "redis.Redis", shared: str, own: str, retries: RetryLoop) -> None:
        self._reader = reader
        self._retries = retries
        self._shared = shared
        self._own = own
        self._waiting: dict[str, list[asyncio.Future[Result]]] = {}
        self._watched: OrderedDict[str, None] = OrderedDict()
        # Set once no result on the shared stream that is published from then on can be missed.
        self.started = asyncio.Event()
        # The id after which each stream is read.
        self._after: dict[str, str] = {own: "0-0"}

    def with_reply_stream(self, request: Request) -> Request:
        """Return the request with the reply stream as the place for its result."""
        return replace(request, results=self._own)

    def watch(self, request_id: str) -> None:
        """Log the result of this request if it is not `sent`."""
        self._watched[request_id] = None
        if len(self._watched) > MAX_WATCHED:
            self._watched.popitem(last=False)

    @contextmanager
    def expect(self, request_id: str) -> Iterator["asyncio.Future[Result]"]:
        """Yield a future that gets the result of this request."""
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(request_id, []).append(result)
        try:
            yield result
        finally:
            self._waiting[request_id].remove(result)
            if not self._waiting[request_id]:
                del self._waiting[request_id]

    async def run(self) -> None:
        """Read until cancelled: a lost read loses nothing, because nothing is acknowledged here."""
        await self._retries.run(self._find_end)
        self.started.set()
        while True:
            await self._retries.run(self._read)

    async def _find_end(self) -> None:
        """Begin with what comes from now on: what was before is of other processes."""
        try:
            rows: Any = await self._reader.xrevrange(self._shared, count=1)
        except NoPermissionError:
            log.warning("this user may not read %s: rejected requests are not logged here", self._shared)
            return
        self._after[self._shared] = rows[0][0].decode() if rows else "0-0"

    async def _read(self) -> None:
        args = ("XREAD", "COUNT", READ_COUNT, "BLOCK", BLOCK_MS, "STREAMS")
        reply: Any = await self._reader.execute_command(*args, *self._after, *self._after.values())  # type: ignore[no-untyped-call]
        for stream, rows in reply or ():
            for entry, fields in entries_of(rows):
                self._after[stream.decode()] = entry
                self._take(entry, fields)

    def _take(self, entry: str, fields: list[bytes]) -> None:
        try:
            result = read_result(mapping_of(fields))
        except SchemaError as exc:
            log.warning("the result %s cannot be read: %s", entry, exc)
            return
        for future in self._waiting.get(result.id, ()):
            if not future.done():
                future.set_result(result)
        if result.id in self._watched:
            del self._watched[result.id]
            if result.status != Status.SENT:
                log.warning(
                    "request %s to %s: %s %s: %s",
                    result.id,
                    result.to,
                    result.status,
                    result.code,
                    result.detail,
                )
