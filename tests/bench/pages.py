"""What a hundred open status pages cost: a thousand events a second with and without them, in turns.

`python -m tests.bench.pages [--pages 100] [--rate 1000] [--seconds 10] [--turns 3]`. Simulator, adapter and
server run in processes of their own; the latency is that from somebody's writing to the entry on `qq:inbound`.
"""

import argparse
import json
import os
import re
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import redis.asyncio as redis
from anyio.abc import SocketStream

from adapter.bus.connect import connect
from adapter.bus.embedded import free_port, served
from tests.demo import process
from tests.helpers import wait_until

CHAT = "group:123456789"
SLICE = 0.05  # seconds between two batches of what people write
SETTLE = 1.0


def fetch(url: str, body: object = None) -> str:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=20) as answer:  # noqa: S310
        return str(answer.read().decode())


async def ask(url: str, body: object = None) -> str:
    return await anyio.to_thread.run_sync(fetch, url, body)


class Page:
    """A browser tab that reads what it gets and does nothing with it."""

    def __init__(self) -> None:
        self.received = 0

    async def read(self, port: int) -> None:
        stream: SocketStream = await anyio.connect_tcp("127.0.0.1", port)
        async with stream:
            await stream.send(f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            async for chunk in stream:
                self.received += len(chunk)


@asynccontextmanager
async def opened(port: int, count: int) -> AsyncIterator[list[Page]]:
    pages = [Page() for _ in range(count)]
    async with anyio.create_task_group() as tasks:
        for page in pages:
            tasks.start_soon(page.read, port)
        await wait_until(lambda: all(page.received for page in pages), "all pages have their picture")
        yield pages
        tasks.cancel_scope.cancel()


async def figures(port: int) -> dict[str, float]:
    text = await ask(f"http://127.0.0.1:{port}/metrics")
    return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE)}


async def write(origin: str, rate: int, seconds: float) -> None:
    """Let people write at this rate; each message holds the moment at which it was written."""
    began, written = time.monotonic(), 0
    while (now := time.monotonic() - began) < seconds:
        due = int(now * rate) - written
        moment = time.time() * 1000
        body = [{"chat": CHAT, "text": f"{moment:.3f} {written + n}", "sender": 10001} for n in range(due)]
        if body:
            await ask(f"{origin}/sim/say", body)
        written += due
        await anyio.sleep(SLICE)


async def latencies(client: "redis.Redis", after: str) -> tuple[list[float], str]:
    """Milliseconds from writing to the entry, of all entries behind an id; and the last id."""
    found: list[float] = []
    while True:
        rows: Any = await client.xrange("qq:inbound", f"({after}", count=1000)
        if not rows:
            return sorted(found), after
        for entry, fields in rows:
            after = entry.decode()
            text = fields[b"text"].decode()
            if re.match(r"\d+\.\d+ ", text):
                found.append(int(after.partition("-")[0]) - float(text.split()[0]))


async def turn(
    client: "redis.Redis", origin: str, port: int, asked: argparse.Namespace, after: str, pages: int
) -> tuple[list[float], str]:
    before, began = await figures(port), time.monotonic()
    async with opened(port, pages) as tabs:
        await write(origin, asked.rate, asked.seconds)
        await anyio.sleep(SETTLE)
        received = sum(tab.received for tab in tabs)
    took = time.monotonic() - began
    now = await figures(port)
    found, after = await latencies(client, after)

    def spent(name: str) -> float:
        return now[name] - before[name]

    count = spent("qqbus_append_duration_seconds_count")
    mean = 1000 * spent("qqbus_append_duration_seconds_sum") / max(1.0, count)
    print(
        f"{pages:>5} pages  {len(found):>6} events  p50 {at(found, 0.5):5.1f} ms  p99 {at(found, 0.99):5.1f} ms  "
        f"answer to bus {mean:5.2f} ms  adapter {100 * spent('process_cpu_seconds_total') / took:3.0f} % of a core  "
        f"pages {received / took / 1e6:4.1f} MB/s",
        flush=True,
    )
    return found, after


def at(sorted_values: list[float], share: float) -> float:
    return sorted_values[int(share * (len(sorted_values) - 1))] if sorted_values else 0.0


async def main(asked: argparse.Namespace) -> None:
    """Turn about, without and with pages."""
    with tempfile.TemporaryDirectory(prefix="qqbus-bench-") as name:
        folder, port = Path(name), free_port()
        async with (
            served(folder / "redis", free_port()) as url,
            process("simulator", folder, "tests.simulator", "--port", "0", "--auto-scan") as simulator,
        ):
            assert simulator.stdout is not None
            origin = (await anyio.to_thread.run_sync(simulator.stdout.readline)).strip()
            settings = {
                "REDIS_URL": url,
                "QQBUS_SMARTQQ_URL": origin,
                "QQBUS_STATE_DIR": str(folder / "state"),
                "QQBUS_HTTP": f"127.0.0.1:{port}",
            }
            client = connect(url, timeout=10.0)
            async with process("adapter", folder, "adapter", "run", **settings):
                await wait_until(
                    lambda: client.hget("qq:status", "last_event"), "the adapter is online", 20.0
                )
                print(f"{os.cpu_count()} cores, {asked.rate} events/s, {asked.seconds:g} s a turn")
                await turns(client, origin, port, asked)
            await client.aclose()


async def turns(client: "redis.Redis", origin: str, port: int, asked: argparse.Namespace) -> None:
    after = "0-0"
    figure: dict[int, list[float]] = {0: [], asked.pages: []}
    for _ in range(asked.turns):
        for pages, values in figure.items():
            found, after = await turn(client, origin, port, asked, after, pages)
            values.extend(found)
    without, with_pages = (at(sorted(values), 0.99) for values in figure.values())
    print(
        f"p99 {without:.1f} ms without, {with_pages:.1f} ms with {asked.pages} pages: {with_pages / without:.2f} times"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--turns", type=int, default=3)
    anyio.run(main, parser.parse_args())
