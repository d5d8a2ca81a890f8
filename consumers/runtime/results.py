"""Results of requests, on a reply stream that belongs to this process alone."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import redis.asyncio as redis

from adapter import Result, SchemaError, read_result
from consumers.runtime.connection import BLOCK_MS, RetryLoop
from consumers.runtime.replies import entries_of, mapping_of, only_stream
from consumers.runtime.requests import Request

log = logging.getLogger("qqbus.worker")

# Results in one read.
READ_COUNT: Final = 100


class ResultListener:
    """Reads the reply stream while a caller waits. The adapter lets the stream expire."""

    def __init__(self, reader: "redis.Redis", stream: str, retries: RetryLoop) -> None:
        self._reader = reader
        self._retries = retries
        self.stream = stream
        self._waiting: dict[str, list[asyncio.Future[Result]]] = {}
        self._wakeup = asyncio.Event()
        self._last = "0-0"

    def with_reply_stream(self, request: Request) -> Request:
        """Return the request with this stream as the place for its result."""
        return replace(request, results=self.stream)

    @contextmanager
    def expect(self, request_id: str) -> Iterator["asyncio.Future[Result]"]:
        """Yield a future that gets the result of this request."""
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(request_id, []).append(result)
        self._wakeup.set()
        try:
            yield result
        finally:
            self._waiting[request_id].remove(result)
            if not self._waiting[request_id]:
                del self._waiting[request_id]

    async def run(self) -> None:
        """Read until cancelled: a lost read loses nothing, because nothing is acknowledged here."""
        while True:
            if not self._waiting:
                self._wakeup.clear()
                await self._wakeup.wait()
            await self._retries.run(self._read)

    async def _read(self) -> None:
        args = ("XREAD", "COUNT", READ_COUNT, "BLOCK", BLOCK_MS, "STREAMS", self.stream, self._last)
        reply: Any = await self._reader.execute_command(*args)  # type: ignore[no-untyped-call]
        for entry, fields in entries_of(only_stream(reply)):
            self._last = entry
            try:
                result = read_result(mapping_of(fields))
            except SchemaError as exc:
                log.warning("the result %s cannot be read: %s", entry, exc)
                continue
            for future in self._waiting.get(result.id, ()):
                if not future.done():
                    future.set_result(result)
