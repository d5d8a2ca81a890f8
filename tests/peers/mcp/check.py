"""Let the MCP inspector's command line list, read, wait and send, over stdio and over HTTP."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.onebot_server import OneBotServer
from tests.peers.gateway.stage import Bus, bus, program
from tests.peers.npm import install
from tests.peers.onebot.check import TOKEN, free_port

HERE = Path(__file__).parent
CHAT, FOREIGN = "friend:10001", "group:30001"
ALLOWED = ("--chats", CHAT)
# Seconds for one call: Node has to load the inspector, and Python the SDK.
CALL_SECONDS = 90.0


@dataclass(frozen=True)
class Inspector:
    """The command line with all that leads it to a server."""

    program: Path
    target: Sequence[str]
    options: Sequence[str]

    async def ask(self, method: str, *more: str) -> Any:
        """Run it once; returns the result that it prints."""
        line = ("--cli", *self.options, "--method", method, *more, "--", *self.target)
        process = await asyncio.create_subprocess_exec(
            "node",
            str(self.program),
            *line,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(CALL_SECONDS):
            said, errors = await process.communicate()
        try:
            return json.loads(said)
        except ValueError as exc:
            words = f"{method} {more}: {said.decode()[-500:]} {errors.decode()[-1500:]}"
            raise AssertionError(words) from exc

    async def call(self, tool: str, **arguments: Any) -> Any:
        """Call a tool; returns its structured answer, or the words of its refusal."""
        pairs = [f"{name}={value}" for name, value in arguments.items()]
        more = ("--tool-arg", *pairs) if pairs else ()
        result = await self.ask("tools/call", "--tool-name", tool, *more)
        if result.get("isError"):
            return result["content"][0]["text"]
        return result["structuredContent"]


async def check() -> None:
    """Check both transports; skipped in words where Node is missing."""
    folder = install("inspector", HERE / "package.json")
    if isinstance(folder, str):
        print(f"mcp: inspector: {folder}", flush=True)
        return
    inspector = folder / "node_modules" / ".bin" / "mcp-inspector"
    async with (
        OneBotServer("napcat", token=TOKEN) as server,
        bus(
            QQBUS_NETWORK="onebot",
            QQBUS_ONEBOT_URL=server.url,
            QQBUS_ONEBOT_TOKEN=TOKEN,
        ) as stage,
    ):
        server.say(CHAT, "before")
        server.say(FOREIGN, "in secret")
        target = (sys.executable, "-m", "consumers.mcp", "--app", "stdio", *ALLOWED)
        url = f"REDIS_URL={stage.env['REDIS_URL']}"
        await converse(server, Inspector(inspector, target, ("-e", url)))
        print("mcp: inspector over stdio: accepted", flush=True)
        await over_http(server, stage, inspector)
        print("mcp: inspector over HTTP: accepted", flush=True)


async def over_http(server: OneBotServer, stage: Bus, inspector: Path) -> None:
    """Serve, and do the same."""
    address = f"127.0.0.1:{free_port()}"
    env = {**stage.env, "QQBUS_MCP_TOKEN": TOKEN}
    async with program("reads", env, "consumers.mcp", "--app", "http", "--http", address, *ALLOWED):
        options = ("--transport", "http", "--header", f"Authorization: Bearer {TOKEN}")
        await converse(server, Inspector(inspector, (f"http://{address}/mcp",), options))


async def converse(server: OneBotServer, agent: Inspector) -> None:
    """List, read, wait and send; what is not allowed is neither read nor written."""
    tools = [one["name"] for one in (await agent.ask("tools/list"))["tools"]]
    assert {"read_messages", "wait_for_messages", "send_message"} <= set(tools), tools
    chats = (await agent.call("list_chats"))["chats"]
    assert CHAT in [one["chat"] for one in chats], chats
    assert FOREIGN not in str(chats), chats
    shown = await agent.call("read_messages", chat=CHAT)
    assert "before" in [one["text"] for one in shown["messages"]], shown
    refused = await agent.call("read_messages", chat=FOREIGN)
    assert refused == await agent.call("read_messages", chat="group:424242"), refused
    # The group begins with the first call that waits.
    await agent.call("wait_for_messages", seconds=0)
    server.say(CHAT, "hello")
    server.say(FOREIGN, "in secret")
    batch = await agent.call("wait_for_messages", seconds=30)
    assert [one["text"] for one in batch["messages"]] == ["hello"], batch
    count = server.record.received.count
    sent = await agent.call("send_message", chat=CHAT, text="good day")
    assert sent["status"] == "sent", sent
    (arrived,) = (await server.wait_received(count + 1))[count:]
    assert (arrived.chat, arrived.text) == (CHAT, "good day"), arrived
    assert isinstance(await agent.call("send_message", chat=FOREIGN, text="good day"), str)
    assert server.record.received.count == count + 1
