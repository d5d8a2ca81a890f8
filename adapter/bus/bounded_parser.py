"""Bound the bytes of one reply of Redis: a connection is closed before a longer one fills the memory."""

from typing import Any, Final

from redis.asyncio.connection import DefaultParser
from redis.exceptions import RedisError

# Bytes of one reply. Larger entries are looked at on the server first.
MAX_REPLY: Final = 1024 * 1024


class ReplyTooLargeError(RedisError):
    """A reply has more than MAX_REPLY bytes."""


class BoundedParser(DefaultParser):  # type: ignore[valid-type,misc]
    """The parser of redis-py on a stream that ends where a reply becomes too large.

    redis-py closes a connection whose parser raises.
    """

    def on_connect(self, connection: Any) -> None:
        """Put the bound between the connection and the parser."""
        super().on_connect(connection)
        self._stream: Any = BoundedStream(connection._reader)  # noqa: SLF001 – as redis-py does

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read one reply. Raises ReplyTooLargeError."""
        self._stream.left = MAX_REPLY
        return await super().read_response(*args, **options)


class BoundedStream:
    """A stream reader that counts what it reads; `left` is what it may still read."""

    def __init__(self, stream: Any) -> None:
        self._reader = stream
        self.left = MAX_REPLY

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the stream reader."""
        return getattr(self._reader, name)

    async def read(self, count: int) -> bytes:
        """Read up to `count` bytes."""
        return self._count(await self._reader.read(count))

    async def readline(self) -> bytes:
        """Read a line."""
        return self._count(await self._reader.readline())

    async def readexactly(self, count: int) -> bytes:
        """Read exactly `count` bytes, if the reply may have as many."""
        if count > self.left:
            raise ReplyTooLargeError(f"a reply of more than {MAX_REPLY} bytes")
        return self._count(await self._reader.readexactly(count))

    def _count(self, data: bytes) -> bytes:
        self.left -= len(data)
        if self.left < 0:
            raise ReplyTooLargeError(f"a reply of more than {MAX_REPLY} bytes")
        return data
