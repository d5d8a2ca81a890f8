"""Lead the hosts of the service to the simulator: a proxy that also ends TLS.

A client gets it as HTTP_PROXY and HTTPS_PROXY and keeps its own addresses, cookies and Host headers. A CONNECT
becomes TLS with a certificate for all hosts of the service; what is inside goes to the simulator as it is.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSStream

# Bytes of a request's head.
_MAX_HEAD = 1 << 16
_ENDS = (
    anyio.EndOfStream,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.IncompleteRead,
    OSError,
)


@contextlib.asynccontextmanager
async def gateway(port: int, certificate: Path) -> AsyncIterator[str]:
    """Serve on a port of its own; yield its address. `port` is the simulator's, `certificate` has its key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def serve(stream: ByteStream) -> None:
        async with stream:
            with contextlib.suppress(*_ENDS):
                await _serve(stream, port, context)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        own = listener.extra(SocketAttribute.local_port)  # noqa: S610 – not Django's
        serving = asyncio.ensure_future(listener.serve(serve))
        try:
            yield f"http://127.0.0.1:{own}"
        finally:
            serving.cancel()
            await asyncio.wait([serving])


async def _serve(stream: ByteStream, port: int, context: ssl.SSLContext) -> None:
    buffered = BufferedByteReceiveStream(stream)
    head = await buffered.receive_until(b"\r\n\r\n", _MAX_HEAD) + b"\r\n\r\n"
    first = head + buffered.buffer
    if head.startswith(b"CONNECT "):
        await stream.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        stream = await TLSStream.wrap(
            stream, server_side=True, ssl_context=context, standard_compatible=False
        )
        first = b""
    async with await anyio.connect_tcp("127.0.0.1", port) as inner, anyio.create_task_group() as group:
        if first:
            await inner.send(first)
        group.start_soon(_copy, stream, inner)
        await _copy(inner, stream)
        group.cancel_scope.cancel()


async def _copy(source: ByteStream, target: ByteStream) -> None:
    """Copy until one side ends; then the target ends too."""
    with contextlib.suppress(*_ENDS):
        async for data in source:
            await target.send(data)
    with contextlib.suppress(*_ENDS):
        await target.aclose()
