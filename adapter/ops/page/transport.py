"""The line to an open page: bytes straight to its connection, past what ASGI has in between.

With a task, a timer and seven layers for each of a hundred pages, a message was one long burst for the
event loop, and the slowest hundredth of the polls took 1.4 times as long (`python -m tests.bench.pages`).
A message is the same for all pages: it is made and framed once, and what is left for a page is one `write`.
"""

import asyncio
from typing import Any, Final

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

# Bytes that a page may be behind, beyond what the system keeps for it. More than the usual picture, so
# that this alone does not count as being slow.
BEHIND: Final = 256 * 1024
_NAME: Final = "qqbus.transport"


class Protocol(H11Protocol):
    """uvicorn's, but the application is told the transport; what is written there is its own affair."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember it for all requests of this connection."""
        super().connection_made(transport)
        inner: Any = self.app

        async def told(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[_NAME] = transport
            await inner(scope, receive, send)

        self.app = told


class Line:
    """One connection in the middle of an answer without an end."""

    def __init__(self, scope: Scope) -> None:
        self._transport: asyncio.Transport = scope["extensions"][_NAME]
        # The server frames an answer of unknown length for HTTP/1.1 only; for 1.0 the connection ends it.
        self.chunked = scope["http_version"] != "1.0"

    def widen(self) -> None:
        """From now on the server's own flow control uses this limit as well."""
        self._transport.set_write_buffer_limits(BEHIND)

    def behind(self) -> bool:
        """Whether the page takes less than it is told."""
        return self._transport.get_write_buffer_size() > BEHIND

    def write(self, message: bytes) -> None:
        """Write without waiting."""
        if not self._transport.is_closing():
            self._transport.write(message)

    def tell(self, message: bytes) -> None:
        """Write a message that is for this page alone."""
        self.write(frame(message) if self.chunked else message)


def frame(message: bytes) -> bytes:
    """A chunk of an answer in HTTP/1.1."""
    return b"%x\r\n%b\r\n" % (len(message), message)
