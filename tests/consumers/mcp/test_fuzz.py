"""Fuzz the MCP server: whatever comes in, it goes on, and shows nothing that is not allowed."""

import asyncio
import contextlib
import json
import random
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.consumers.mcp.test_server import TOKEN, serving
from tests.consumers.onebot.test_fuzz import value
from tests.support.bus_events import Desk, desk_at, message
from tests.support.gateway_harness import set_status, stub_adapter
from tests.support.helpers import clean_environment

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

METHODS = (
    *("tools/call",) * 8,
    *("initialize", "ping", "tools/list", "resources/list", "resources/read", "resources/templates/list"),
    *("prompts/list", "prompts/get", "completion/complete", "logging/setLevel", "server/discover"),
    *("notifications/initialized", "notifications/cancelled", "nothing/at/all", "", "__class__"),
)
TOOLS = (
    *("status", "list_chats", "search_contacts", "read_messages", "get_members", "wait_for_messages"),
    *("send_message", "nothing", ""),
)
NAMES = ("chat", "query", "limit", "before", "after", "search", "text", "reply_to", "key", "done", "address")
PLACES = ("group:2", "group:9", "*", "group:02", "reply:x", "", "friend:3", "qq:session", "group:2\x00")
# Of `wait_for_messages`: none that waits.
SECONDS: tuple[Any, ...] = (0, -1, "a", None, 2**40, [0])
SECRETS = ("a-secret-code", "said-in-secret")
# Lines on their way at a time.
BATCH = 100
HELLO = {
    "jsonrpc": "2.0",
    "id": "hello",
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "fuzz", "version": "1"},
    },
}


def arguments(chance: random.Random) -> dict[str, Any]:
    """Return what a tool nearly takes."""
    found = {chance.choice(NAMES): value(chance) for _ in range(chance.randrange(4))}
    if chance.random() < 0.8:
        found["chat"] = chance.choice(PLACES)
    return found | {"seconds": chance.choice(SECONDS)}


def frame(chance: random.Random) -> bytes:
    """Return a line that is a request, nearly one, or none."""
    if chance.random() < 0.1:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(30))).replace(b"\n", b" ")
    method = chance.choice(METHODS)
    params: Any = {chance.choice(("uri", "cursor", "name", "_meta")): value(chance)}
    if method == "tools/call":
        params = {"name": chance.choice(TOOLS), "arguments": arguments(chance)}
    elif method == "resources/read":
        params = {"uri": f"qq://chat/{chance.choice(PLACES)}"}
    said: dict[str, Any] = {"jsonrpc": "2.0", "id": chance.randrange(10**9), "method": method}
    said["params"] = params
    if chance.random() < 0.1:
        said[chance.choice(["jsonrpc", "id", "method"])] = value(chance)
    if chance.random() < 0.05:
        del said[chance.choice(["jsonrpc", "id", "params"])]
    text = json.dumps([said] if chance.random() < 0.02 else said)
    return text[: chance.randrange(len(text))].encode() if chance.random() < 0.05 else text.encode()


@contextlib.asynccontextmanager
async def furnished(redis_url: str, prefix: str) -> AsyncIterator[Desk]:
    """Fill a bus with what may be read and with what may not."""
    async with desk_at(redis_url, prefix) as desk, stub_adapter(desk):
        await set_status(desk)
        await desk.client.xadd(desk.key("session"), {"state": "qr", "text": SECRETS[0]})
        await desk.publish(message("open", "group:2"), message(SECRETS[1], "group:9"))
        yield desk


async def fuzz_lines(desk: Desk, count: int, seed: int) -> None:
    """Write lines to standard input; a ping behind each batch is answered."""
    chance = random.Random(seed)
    settings = clean_environment(REDIS_URL=desk.url, QQBUS_PREFIX=desk.prefix)
    settings.pop("PYTHONWARNINGS", None)  # those of foreign packages are not ours
    pipe = asyncio.subprocess.PIPE
    line = (sys.executable, "-m", "consumers.mcp", "--chats", "group:2", "--rate", "1000000")
    process = await asyncio.create_subprocess_exec(
        *line, env=settings, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, limit=2**24
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(HELLO).encode() + b"\n")
        process.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        for start in range(0, count, BATCH):
            for _ in range(min(BATCH, count - start)):
                process.stdin.write(frame(chance) + b"\n")
            ident = f"ping-{start}"
            process.stdin.write(
                json.dumps({"jsonrpc": "2.0", "id": ident, "method": "ping"}).encode() + b"\n"
            )
            await process.stdin.drain()
            async with asyncio.timeout(60):
                while True:
                    said = await process.stdout.readline()
                    assert said, f"the server ended, seed {seed}"
                    assert not any(secret in said.decode() for secret in SECRETS), (seed, said)
                    if json.loads(said).get("id") == ident:
                        break
        process.stdin.close()
        async with asyncio.timeout(30):
            await process.stdout.read()
            assert await process.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def fuzz_requests(address: str, count: int, seed: int) -> None:
    """Post requests; none is answered by an error of the server, or by what is not allowed."""
    chance = random.Random(seed)
    head = {"Authorization": f"Bearer {TOKEN}"}
    limits = httpx.Limits(max_connections=10)
    async with httpx.AsyncClient(base_url=f"http://{address}", timeout=60, limits=limits) as client:

        async def post() -> None:
            more = {
                "Accept": chance.choice(["application/json, text/event-stream", "*/*", "text/plain"]),
                "Content-Type": chance.choice(["application/json", "application/json", "text/plain"]),
            }
            if chance.random() < 0.2:
                more["Mcp-Session-Id"] = chance.choice(["x", "a" * 40, "0"])
            if chance.random() < 0.2:
                more["Mcp-Protocol-Version"] = chance.choice(["2025-06-18", "2026-07-28", "x"])
            content = frame(chance)
            answer = await client.post("/mcp", content=content, headers=head | more)
            assert answer.status_code < 500, (seed, answer.status_code, answer.text, content)
            assert not any(secret in answer.text for secret in SECRETS), (seed, content)

        for start in range(0, count, 10):
            await asyncio.gather(*[post() for _ in range(min(10, count - start))])


async def _fuzz(redis_url: str, prefix: str, lines: int, requests: int) -> None:
    seed = random.randrange(2**32)
    async with furnished(redis_url, prefix) as desk:
        await fuzz_lines(desk, lines, seed)
        async with serving(desk, chats=frozenset({"group:2"}), rate=1_000_000) as address:
            await fuzz_requests(address, requests, seed)
            async with httpx.AsyncClient(base_url=f"http://{address}") as client:
                assert (await client.post("/mcp", content=b"{}")).status_code == 401
        asked: Any = await desk.client.xrange(desk.key("outbound"))
        assert {fields[b"to"] for _, fields in asked} <= {b"group:2"}


async def test_whatever_comes_the_server_goes_on_and_shows_only_what_is_allowed(
    redis_url: str, prefix: str
) -> None:
    await _fuzz(redis_url, prefix, 1_000, 200)


@pytest.mark.long
@pytest.mark.timeout(1_200)
async def test_a_hundred_thousand_change_nothing(redis_url: str, prefix: str) -> None:
    await _fuzz(redis_url, prefix, 85_000, 15_000)
