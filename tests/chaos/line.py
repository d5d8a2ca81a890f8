"""A line between two programs that can be cut and mended, on one port."""

import asyncio
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

CHUNK = 65_536


class Line:
    """Carries bytes from its own port to another. Use it as `async with Line(port) as line`."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._carriers: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        """Where to connect."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()

    async def mend(self) -> None:
        """Take connections, always at the same port."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """End all connections, and take none."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for end in self._ends:
            end.transport.abort()
        while self._carriers:
            await asyncio.wait(self._carriers)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carriers.add(task)
        try:
            async with AsyncExitStack() as ends:
                self._keep(ends, writer)
                with suppress(OSError):
                    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
                    self._keep(ends, far_writer)
                    async with asyncio.TaskGroup() as ways:
                        ways.create_task(_pump(reader, far_writer))
                        ways.create_task(_pump(far_reader, writer))
        finally:
            self._carriers.discard(task)

    def _keep(self, ends: AsyncExitStack, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        ends.callback(self._ends.discard, writer)
        ends.callback(writer.transport.abort)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, until either end is gone; then both are."""
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
