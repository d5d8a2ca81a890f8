"""Read lines of standard input without holding up the end of the process.

A thread that blocks in a read cannot be interrupted: asyncio.run and the interpreter would both wait for it.
This one is a daemon. It reads the descriptor itself, whose buffer has no lock that the interpreter needs.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from typing import Any, Final

from mcp.server import MCPServer
from mcp.server.stdio import stdio_server

# Bytes of one read, and of one line: a request with a long text.
_CHUNK: Final = 64 * 1024
MAX_LINE: Final = 4 * 1024 * 1024
# Reads that wait for the server: then the client waits too.
_MAX_WAITING: Final = 16


class StandardInput:
    """Lines of text as they come, until the end of input."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue(_MAX_WAITING)
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, name="standard input", daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._descriptor, _CHUNK)
            except OSError:
                chunk = b""
            try:
                asyncio.run_coroutine_threadsafe(self._chunks.put(chunk), self._loop).result()
            except RuntimeError:  # the loop has ended
                return
            if not chunk:
                return

    async def __aiter__(self) -> AsyncIterator[str]:
        """Yield lines; one that is too long is cut, which makes it no message."""
        line = b""
        while chunk := await self._chunks.get():
            *lines, rest = (line + chunk).split(b"\n")
            for one in lines:
                yield one.decode("utf-8", "replace")
            line = rest[:MAX_LINE]
        if line:
            yield line.decode("utf-8", "replace")


async def serve_stdio(server: MCPServer[Any]) -> None:
    """Serve one agent on standard input and output until it leaves."""
    lowlevel = server._lowlevel_server  # noqa: SLF001 – run_stdio_async takes no streams
    lines: Any = StandardInput()
    async with stdio_server(stdin=lines) as (read_stream, write_stream):
        await lowlevel.run(read_stream, write_stream, lowlevel.create_initialization_options())
