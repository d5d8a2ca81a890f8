"""Somebody who looks at the status page: over HTTP, against a real server and a real Redis."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgpack

from adapter.bus.bus import Bus
from adapter.codec.inbound import pack
from adapter.config import Config
from adapter.ops.metrics import Metrics
from adapter.ops.page import run_page
from adapter.ops.page.tokens import TOKEN_FILE
from adapter.ops.supervisor import Supervisor


def config(prefix: str, folder: Path, **settings: str) -> Config:
    given = {"QQBUS_HTTP": "127.0.0.1:0", "QQBUS_PREFIX": prefix, "QQBUS_STATE_DIR": str(folder)}
    return Config.from_env(given | settings)


def token_of(folder: Path) -> str:
    """Return the token that a page has made."""
    return (folder / TOKEN_FILE).read_text(encoding="ascii").strip()


def bearer(folder: Path) -> dict[str, str]:
    """Return the header with which a program asks a page."""
    return {"Authorization": f"Bearer {token_of(folder)}"}


@asynccontextmanager
async def page(
    bus: Bus, redis_url: str, folder: Path, metrics: Metrics | None = None, **settings: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Open a page as a viewer would: signed in, unless the settings say where it is or what its token is."""
    made, metrics = config(bus.keys.prefix, folder, **settings), metrics or Metrics()
    async with run_page(made, redis_url, metrics, Supervisor(metrics)) as url:
        port = url.rpartition(":")[2]
        own = {"X-QQBus": "1", "Origin": f"http://127.0.0.1:{port}"}
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers=own, trust_env=False, timeout=10.0
        ) as http:
            if "QQBUS_HTTP_TOKEN" not in settings and "QQBUS_HTTP" not in settings:
                assert (await http.post("/login", json={"token": token_of(folder)})).status_code == 200
            yield http


async def event(bus: Bus, text: str, **changes: str | bytes) -> str:
    fields: dict[Any, Any] = {
        "v": "1",
        "id": f"1.f1.2.3.4.{len(text):04x}",
        "type": "message.friend",
        "time": "2026-01-02T03:04:05.000Z",
        "account": "305419896",
        "epoch": "1",
        "seq": "1",
        "chat": "friend:1",
        "sender": "1",
        "self": "0",
        "text": text,
        "body": pack({"chat": {"name": "林晓"}, "sender": {"name": "林晓"}}),
    }
    entry: bytes = await bus.client.xadd(bus.keys("inbound"), fields | changes)
    return entry.decode()


class Listener:
    """One open page's end of the stream."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self, kind: str) -> Any:
        """Return the next message of a kind."""
        with anyio.fail_after(10):
            found = ""
            async for line in self._lines:
                if line.startswith("event: "):
                    found = line[7:]
                elif line.startswith("data: ") and found == kind:
                    return json.loads(line[6:])
        raise AssertionError(f"the stream ended without {kind}")

    async def news(self, name: str) -> Any:
        """Return the next delta that has something of this name."""
        while True:
            news = await self.next("news")
            if name in news:
                return news[name]


@asynccontextmanager
async def listening(http: httpx.AsyncClient) -> AsyncIterator[Listener]:
    async with http.stream("GET", "/api/stream") as response:
        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-store"
        yield Listener(response)


async def bury(bus: Bus, entry: str, stream: str = "outbound") -> str:
    original = {"to": b"friend:1", "text": b"hello", "id": b"echo/1"}
    fields: dict[Any, Any] = {
        "v": "1",
        "stream": bus.keys(stream),
        "entry": entry,
        "reason": "handler.failed",
        "fields": msgpack.packb(original),
    }
    letter: bytes = await bus.client.xadd(bus.keys("dead"), fields)
    return letter.decode()
