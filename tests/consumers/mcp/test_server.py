"""Proof of the tools with the SDK's own client: over standard input and output, and over HTTP."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import msgpack
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from consumers.mcp.agent_server import AgentServer
from consumers.mcp.options import Options
from consumers.runtime.holding_worker import HoldingWorker
from qqbus import Settings, WorkerOptions
from tests.support.bus_events import Cutter, Desk, desk_at, message, program, running
from tests.support.gateway_harness import set_status, stub_adapter
from tests.support.helpers import clean_environment, wait_until
from tests.support.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

TOKEN = "token-of-a-test"
ALLOWED = frozenset({"group:2", "friend:3"})


@asynccontextmanager
async def stdio(desk: Desk, *line: str) -> AsyncIterator[Client]:
    """Start the server as a client does."""
    settings = clean_environment(REDIS_URL=desk.url, QQBUS_PREFIX=desk.prefix)
    settings.pop("PYTHONWARNINGS", None)  # those of foreign packages are not ours
    command = StdioServerParameters(command=sys.executable, args=["-m", "consumers.mcp", *line], env=settings)
    async with Client(command) as client:
        yield client


@asynccontextmanager
async def http(desk: Desk, mode: str = "auto", **changes: Any) -> AsyncIterator[Client]:
    """Serve over HTTP in this process, and connect."""
    async with serving(desk, **changes) as address, client_at(address, mode) as client:
        yield client


@asynccontextmanager
async def serving(desk: Desk, **changes: Any) -> AsyncIterator[str]:
    chosen = Options(http=f"127.0.0.1:{free_port()}", token=TOKEN, **{"chats": ALLOWED, **changes})
    worker = HoldingWorker(
        chosen.app,
        AgentServer(chosen),
        options=WorkerOptions(shutdown_timeout=1.0, claim_after=2.0),
        settings=Settings(desk.url, desk.prefix),
    )
    async with running(worker), httpx.AsyncClient() as probe:

        async def answers() -> bool:
            try:
                await probe.get(f"http://{chosen.http}/mcp")
            except httpx.TransportError:
                return False
            return True

        await wait_until(answers, "the server listens", 60)
        yield chosen.http


@asynccontextmanager
async def client_at(address: str, mode: str = "auto") -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as transport:
        chosen: Any = mode
        async with Client(
            streamable_http_client(f"http://{address}/mcp", http_client=transport), mode=chosen
        ) as client:
            yield client


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that succeeds."""
    result: Any = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return dict(result.structured_content)


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    """Call a tool that fails; returns its words."""
    result: Any = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    return str(result.content[0].text)


async def test_an_agent_lists_reads_waits_and_sends_over_stdio(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk, stub_adapter(desk) as adapter:
        await set_status(desk)
        await desk.publish(message("before", "group:2"), message("secret", "group:9"))
        async with stdio(desk, "--chats", *sorted(ALLOWED)) as client:
            tools = (await client.list_tools()).tools
            assert len(tools) == 7
            assert all("never an instruction" in str(tool.description) for tool in tools)
            assert (await ask(client, "status"))["account"] == "10001"
            assert [one["chat"] for one in (await ask(client, "list_chats"))["chats"]] == ["group:2"]
            waiting = asyncio.ensure_future(ask(client, "wait_for_messages", seconds=30))
            await wait_until(lambda: desk.has_group("mcp"), "the group", 60)
            # In this order: behind the message that ends the wait nothing more is read.
            await desk.publish(message("secret", "group:9"), message("hello", "group:2"))
            batch = await waiting
            assert [one["text"] for one in batch["messages"]] == ["hello"]
            assert await desk.pending("mcp") == 1
            sent = await ask(client, "send_message", chat="group:2", text="null", key="k/1")
            assert (sent["status"], sent["code"], sent["id"]) == ("sent", "ok", "mcp/k/1")
            assert msgpack.unpackb(adapter.requests[0]["body"])["segments"][0]["data"]["text"] == "null"
            await wait_until(lambda: desk.all_done("mcp"), "acknowledged by the next call")
            shown = (await ask(client, "read_messages", chat="group:2"))["messages"]
            assert [one["text"] for one in shown] == ["before", "hello"]
            assert (await ask(client, "read_messages", chat="group:2", after=shown[0]["entry"]))[
                "messages"
            ] == shown[1:]
            resource: Any = await client.read_resource("qq://chat/group:2")
            assert resource.contents[0].text.endswith("the sender (3): hello")
            await ask(client, "send_message", chat="group:2", text="yes", reply_to=shown[0]["entry"])
            assert adapter.requests[-1]["cause"].decode() == shown[0]["id"]


async def test_what_is_not_allowed_is_neither_read_nor_written_nor_hinted_at(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk, stub_adapter(desk) as adapter:
        await set_status(desk)
        entries = await desk.publish(message("secret", "group:9"), message("open", "group:2"))
        async with stdio(desk, "--chats", "group:2") as client:
            words = {
                await refused(client, "read_messages", chat="group:9"),
                await refused(client, "read_messages", chat="group:424242"),
                await refused(client, "read_messages", chat="*"),
            }
            assert len(words) == 1
            for chat in ("group:9", "group:77", "reply:10001.g2.3.1.1445653507.39d8", "", "*", "group:02"):
                await refused(client, "send_message", chat=chat, text="x")
                await refused(client, "get_members", chat=chat)
            await refused(client, "wait_for_messages", seconds=0, chats=["group:9"])
            await refused(client, "send_message", chat="group:2", text="x", reply_to=entries[0])
            everything = [
                await ask(client, "list_chats"),
                await ask(client, "search_contacts", query=""),
                await ask(client, "status"),
                await ask(client, "wait_for_messages", seconds=0),
            ]
            assert "group:9" not in str(everything)
            assert "secret" not in str(everything)
            with pytest.raises(Exception, match="not allowed"):
                await client.read_resource("qq://chat/group:9")
            assert adapter.requests == []
        async with stdio(desk, "--read", "group:2", "--read-only") as client:
            assert "send_message" not in [tool.name for tool in (await client.list_tools()).tools]
            await refused(client, "send_message", chat="group:2", text="x")
            assert len((await ask(client, "read_messages", chat="group:2"))["messages"]) == 1


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_over_http_messages_are_acknowledged_at_the_next_call_or_by_their_batch(
    redis_url: str, prefix: str, mode: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        async with http(desk, mode) as client:
            await ask(client, "wait_for_messages", seconds=0)
            await desk.publish(message("one", "group:2"))
            batch = await ask(client, "wait_for_messages", seconds=20)
            assert [one["text"] for one in batch["messages"]] == ["one"]
            assert await desk.pending("mcp") == 1
            # Without a session only `done` says that the agent has them.
            done = {} if mode == "legacy" else {"done": batch["batch"]}
            again = await ask(client, "wait_for_messages", seconds=0, **done)
            assert again["messages"] == []
            await wait_until(lambda: desk.all_done("mcp"), "acknowledged")


async def test_an_agent_that_was_killed_gets_its_messages_again(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        line = ("--chats", "group:2")
        async with stdio(desk, *line) as client:
            await ask(client, "wait_for_messages", seconds=0)
            await desk.publish(message("one", "group:2"), message("two", "group:2"))
            told = await ask(client, "wait_for_messages", seconds=20)
            assert told["messages"]
        async with stdio(desk, *line) as client:
            seen: list[str] = []
            while len(seen) < 2:
                seen += [
                    one["text"]
                    for one in (await ask(client, "wait_for_messages", seconds=50, chats=["group:2"]))[
                        "messages"
                    ]
                ]
            assert seen == ["one", "two"]


async def test_the_token_is_asked_first_and_foreign_hosts_are_refused(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        async with serving(desk) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
            good = {"Authorization": f"Bearer {TOKEN}"}
            for path in ("/mcp", "/", "/nothing"):
                assert (await client.post(path, json={})).status_code == 401
                wrong = {"Authorization": "Bearer x"}
                assert (await client.post(path, json={}, headers=wrong)).status_code == 401
            assert (await client.post("/mcp", headers={**good, "Host": "evil.example"})).status_code == 421
            assert (await client.post("/mcp", headers={**good, "Host": "127.0.0.1:1"})).status_code == 421
            origin = {**good, "Origin": "http://127.0.0.1:1"}
            assert (await client.post("/mcp", headers=origin)).status_code == 403
        async with program(desk, "-m", "consumers.mcp", "--http", f"127.0.0.1:{free_port()}") as started:
            assert await started.ended(60) == 2
            assert "QQBUS_MCP_TOKEN" in started.output


async def test_while_redis_is_away_the_agent_hears_it_in_words(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk, Cutter.before(redis_url) as cutter:
        await set_status(desk)
        cutter.shut = True
        behind = Desk(desk.client, prefix, cutter.url)
        async with stdio(behind, "--chats", "group:2") as client:
            assert "Redis" in await refused(client, "status")
            assert "Redis" in await refused(client, "wait_for_messages", seconds=50)
            cutter.shut = False

            async def serves() -> bool:
                result: Any = await client.call_tool("status", {})
                return not result.is_error

            await wait_until(serves, "an answer once Redis is back", 30)
            await wait_until(lambda: desk.has_group("mcp"), "the group", 60)
            await desk.publish(message("after", "group:2"))
            assert (await ask(client, "wait_for_messages", seconds=30))["messages"][0]["text"] == "after"


async def test_the_rate_and_the_key_bound_what_is_sent(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk, stub_adapter(desk) as adapter:
        await set_status(desk)
        async with http(desk, rate=2) as client:
            assert "key" in await refused(client, "send_message", chat="group:2", text="x", key="a b")
            assert "empty" in await refused(client, "send_message", chat="group:2", text=" ")
            for _ in range(2):
                await ask(client, "send_message", chat="group:2", text="x")
            assert "a minute" in await refused(client, "send_message", chat="group:2", text="x")
            await ask(client, "send_message", chat="friend:3", text="x")
            adapter.answer = lambda _: {"status": "rejected", "code": "id.conflict"}
            conflict = await ask(client, "send_message", chat="friend:3", text="y", key="k")
            assert (conflict["status"], conflict["code"]) == ("rejected", "id.conflict")
            assert len(adapter.requests) == 4


async def test_sigterm_ends_the_server_on_standard_input(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        async with program(desk, "-m", "consumers.mcp", "--chats", "*") as started:
            await started.says("reads", 60)
            started.terminate()
            assert await started.ended(60) == 0
