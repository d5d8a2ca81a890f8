"""Results of requests that somebody waits for, on a stream of this process alone."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import redis.asyncio as redis
from redis.exceptions import RedisError

from adapter import Result, SchemaError, read_result
from consumers.runtime.connection import BLOCK_MS, backoff, is_transient
from consumers.runtime.event import Request

log = logging.getLogger("qqbus.worker")

READ: Final = 100


class ResultListener:
    """Listens only while somebody waits. The adapter lets the stream expire by itself."""

    def __init__(self, reader: "redis.Redis", stream: str) -> None:
        self._reader = reader
        self.stream = stream
        self._waiting: dict[str, list[asyncio.Future[Result]]] = {}
        self._bell = asyncio.Event()
        self._last = "0-0"

    def with_reply_stream(self, request: Request) -> Request:
        """The request with this stream as the place for its result."""
        return replace(request, results=self.stream)

    @contextmanager
    def expect(self, request: str) -> Iterator["asyncio.Future[Result]"]:
        """The result of this request, once it is there."""
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(request, []).append(result)
        self._bell.set()
        try:
            yield result
        finally:
            self._waiting[request].remove(result)
            if not self._waiting[request]:
                del self._waiting[request]

    async def run(self) -> None:
        """Read while somebody waits. May be cancelled: nothing is acknowledged here."""
        delays = backoff(most=2.0)
        while True:
            if not self._waiting:
                self._bell.clear()
                await self._bell.wait()
            try:
                await self._read()
                delays = backoff(most=2.0)
            except (RedisError, OSError) as exc:
                if not is_transient(exc):
                    raise
                await asyncio.sleep(next(delays))

    async def _read(self) -> None:
        line = ("XREAD", "COUNT", READ, "BLOCK", BLOCK_MS, "STREAMS", self.stream, self._last)
        answer: Any = await self._reader.execute_command(*line)  # type: ignore[no-untyped-call]
        if not answer:
            return
        rows = next(iter(answer.values())) if isinstance(answer, dict) else answer[0][1]
        for entry, flat in rows:
            self._last = entry.decode()
            try:
                result = read_result(dict(zip(flat[::2], flat[1::2], strict=True)))
            except SchemaError as exc:
                log.warning("a result cannot be read: %s", exc)
                continue
            for future in self._waiting.get(result.id, ()):
                if not future.done():
                    future.set_result(result)
