"""The way to a simulator, that a test can close for all that is new."""

import asyncio
from contextlib import suppress
from typing import Self


class Line:
    """The way to the simulator. `close`: the poll that is out goes on, nothing new gets through."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._busy: dict[asyncio.StreamWriter, bool] = {}
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer, busy in self._busy.items():
            if not busy:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, asks = await asyncio.open_connection("127.0.0.1", self._port)
        with suppress(OSError):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, asks, writer, busy=True))
                tasks.create_task(self._pump(answers, writer, writer, busy=False))
        asks.close()
        with suppress(OSError):
            await asks.wait_closed()
        writer.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        line: asyncio.StreamWriter,
        *,
        busy: bool,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                self._busy[line] = busy
                await self._forward(data, writer, line)
        writer.close()

    async def _forward(self, data: bytes, writer: asyncio.StreamWriter, line: asyncio.StreamWriter) -> None:  # noqa: ARG002
        writer.write(data)


class Sieve(Line):
    """The way to a Redis, on which commands that hold certain bytes can be kept waiting."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._marker = b""
        self._open = asyncio.Event()
        self._waiting: set[asyncio.StreamWriter] = set()
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def held(self) -> int:
        """How many connections wait."""
        return len(self._waiting)

    def hold(self, marker: bytes) -> None:
        """Keep back whatever comes with these bytes in it."""
        self._marker = marker
        self._open.clear()

    def release(self) -> None:
        """Let it go."""
        self._marker = b""
        self._open.set()

    def cut(self) -> None:
        """End the connections that wait: what they carried never arrives."""
        for writer in self._waiting:
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()
        self.close()
        while self._serving:
            for writer in self._serving.values():
                writer.transport.abort()
            await asyncio.wait(self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = writer
        try:
            await super()._serve(reader, writer)
        finally:
            writer.transport.abort()  # whoever cancels this waits for it
            with suppress(OSError):
                await writer.wait_closed()
            del self._serving[task]

    async def _forward(self, data: bytes, writer: asyncio.StreamWriter, line: asyncio.StreamWriter) -> None:
        if self._marker and self._marker in data:
            self._waiting.add(line)
            try:
                await self._open.wait()
            finally:
                self._waiting.discard(line)
        if not line.transport.is_closing():
            writer.write(data)
