"""The numbers of a running worker over HTTP: `/healthz` and, for Prometheus, `/metrics`. Plain text."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from adapter import ConfigError
from consumers.runtime.runtime import Runtime

_MAX_REQUEST: Final = 4_096
_WITHIN: Final = 5.0
_HELP: Final = {
    "handled_total": ("counter", "events whose handlers ended well"),
    "failed_total": ("counter", "handlers that raised an error"),
    "buried_total": ("counter", "entries put into the dead letters"),
    "claimed_total": ("counter", "entries taken up from others, or found again after a lost connection"),
    "acked_total": ("counter", "entries acknowledged"),
    "requests_total": ("counter", "requests written to the bus"),
    "redis_lost_total": ("counter", "times that Redis did not serve"),
    "in_hand": ("gauge", "entries read and not finished"),
    "redis_serves": ("gauge", "1 while Redis serves"),
}


def metrics(runtime: Runtime) -> str:
    """All numbers in Prometheus' text format."""
    values = {
        "handled_total": runtime.numbers.handled,
        "failed_total": runtime.numbers.failed,
        "buried_total": runtime.numbers.buried,
        "claimed_total": runtime.source.claimed,
        "acked_total": runtime.office.outlet.acked,
        "requests_total": runtime.office.outlet.added,
        "redis_lost_total": runtime.numbers.lost_connections,
        "in_hand": len(runtime.chats.in_flight),
        "redis_serves": int(runtime.connected),
    }
    lines = []
    for name, value in values.items():
        kind, words = _HELP[name]
        full = f"qqbus_worker_{name}"
        lines += [f"# HELP {full} {words}", f"# TYPE {full} {kind}"]
        lines += [f'{full}{{application="{runtime.office.application}"}} {value}']
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def endpoint(runtime: Runtime, address: str) -> AsyncIterator[int]:
    """Answer at `host:port` (0: any free one); yields the port. An empty address: no endpoint, port 0."""
    if not address:
        yield 0
        return

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_WITHIN):
                await _answer(runtime, reader, writer)
        except (TimeoutError, ValueError, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    host, _, port = address.rpartition(":")
    try:
        server = await asyncio.start_server(answer, host or "127.0.0.1", int(port), limit=_MAX_REQUEST)
    except (ValueError, OverflowError) as exc:
        raise ConfigError(f"QQBUS_WORKER_HTTP: {address!r} is no host:port") from exc
    except OSError as exc:
        raise ConfigError(f"QQBUS_WORKER_HTTP: {address} cannot be used: {exc.strerror}") from exc
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _answer(runtime: Runtime, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    path = head.split(b" ", 2)[1].partition(b"?")[0]
    if path == b"/metrics":
        status, text = "200 OK", metrics(runtime)
    elif path == b"/healthz":
        status, text = ("200 OK", "ok\n") if runtime.connected else ("503 Service Unavailable", "no Redis\n")
    else:
        status, text = "404 Not Found", "there are /healthz and /metrics\n"
    body = text.encode()
    writer.write(
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        + body
    )
    await writer.drain()
