"""The gateway of consumers/onebot in a test: it, a bare bot, and an adapter that answers every request."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
from websockets.asyncio.client import connect

from consumers.onebot.gateway import SHUTDOWN_SECONDS, Gateway
from consumers.onebot.options import Options
from consumers.runtime.holding_worker import HoldingWorker
from qqbus import Settings, WorkerOptions
from tests.support.bus_events import Desk, running
from tests.support.helpers import wait_until
from tests.support.ports import free_port

ACCOUNT = 10001
_echoes = itertools.count(1)


async def set_status(desk: Desk, state: str = "online", **more: str) -> None:
    """Write `qq:status` as the adapter does."""
    row = {"state": state, "account": str(ACCOUNT), "nick": "me", "network": "onebot", **more}
    await desk.client.hset(desk.key("status"), mapping=dict[Any, Any](row))


def options(**changes: Any) -> Options:
    """Return options of a gateway that listens on a free port."""
    return replace(Options(listen=f"127.0.0.1:{free_port()}"), **changes)


@asynccontextmanager
async def gateway(desk: Desk, chosen: Options, *, claim_after: float = 30.0) -> AsyncIterator[Gateway]:
    """Run a gateway in this process."""
    made = Gateway(chosen)
    worker = HoldingWorker(
        chosen.app,
        made,
        options=WorkerOptions(shutdown_timeout=SHUTDOWN_SECONDS, claim_after=claim_after),
        settings=Settings(desk.url, desk.prefix),
    )
    async with running(worker):
        if chosen.listen:
            await wait_until(lambda: _accepts(chosen), "the gateway listens", 60)
        yield made


async def _accepts(chosen: Options) -> bool:
    host, port = chosen.listen_address
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


class Bot:
    """A bare bot: it keeps what it hears and calls actions."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.frames: list[dict[str, Any]] = []
        self.answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.closed = asyncio.Event()

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Return the messages that it heard."""
        return [one for one in self.frames if str(one.get("post_type")).startswith("message")]

    @property
    def texts(self) -> list[str]:
        """Return their CQ strings."""
        return [one["raw_message"] for one in self.messages]

    def of(self, post_type: str) -> list[dict[str, Any]]:
        """Return the events of a kind."""
        return [one for one in self.frames if one.get("post_type") == post_type]

    async def read(self) -> None:
        """Keep frames until the socket closes."""
        async for frame in self.socket:
            value = json.loads(frame)
            waiting = self.answers.pop(str(value.get("echo")), None)
            if waiting is not None:
                waiting.set_result(value)
            else:
                self.frames.append(value)

    async def call(self, action: str, **params: Any) -> dict[str, Any]:
        """Call an action; returns its answer."""
        echo = f"echo-{next(_echoes)}"
        waiting = self.answers[echo] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps({"action": action, "params": params, "echo": echo}))
        async with asyncio.timeout(30):
            return await waiting

    async def hears(self, count: int, seconds: float = 20.0) -> list[dict[str, Any]]:
        """Wait for this many messages."""
        await wait_until(lambda: len(self.messages) >= count, f"{count} messages", max(seconds, 60.0))
        return self.messages


@asynccontextmanager
async def bot(chosen: Options, path: str = "/", **headers: str) -> AsyncIterator[Bot]:
    """Connect a bot, and wait for its first event unless it hears none."""
    url = f"ws://{chosen.listen}{path}"
    if chosen.token and "Authorization" not in headers:
        headers["Authorization"] = f"Bearer {chosen.token}"
    async with connect(url, additional_headers=headers, max_size=None) as socket:
        made = Bot(socket)
        reading = asyncio.ensure_future(made.read())
        reading.add_done_callback(lambda _: made.closed.set())
        try:
            if not path.startswith("/api"):
                await wait_until(lambda: made.of("meta_event"), "the first event", 60.0)
            yield made
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


@asynccontextmanager
async def silent_bot(chosen: Options, *, reads: bool) -> AsyncIterator[list[dict[str, Any]]]:
    """Connect a bot that answers no pings; returns what it heard. `reads`: whether it reads at all."""
    heard: list[dict[str, Any]] = []
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(f"ws://{chosen.listen}/", autoping=False, max_msg_size=0)

        async def read() -> None:
            async for message in socket:
                heard.extend([json.loads(message.data)] if message.type is aiohttp.WSMsgType.TEXT else [])

        reading = asyncio.ensure_future(read() if reads else asyncio.sleep(3600))
        try:
            yield heard
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await socket.close()


class StubAdapter:
    """Answers every request on the streams of results, and keeps the requests where they are."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._last = "0-0"
        self.requests: list[dict[str, bytes]] = []
        self.answer: Callable[[dict[str, bytes]], dict[str, str]] = lambda _: {}

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            rows: Any = await self._desk.client.xread({self._desk.key("outbound"): self._last}, block=50)
            for entry, fields in rows[0][1] if rows else ():
                self._last = entry
                row = {name.decode(): value for name, value in fields.items()}
                self.requests.append(row)
                await self._settle(entry.decode(), row)

    async def _settle(self, entry: str, row: dict[str, bytes]) -> None:
        answer = self.answer(row)
        if answer.get("status") == "silence":
            return
        ident = row.get("id", b"").decode() or f"entry:{entry}"
        result = {
            "v": "1",
            "id": ident,
            "entry": entry,
            "time": "2026-10-24T02:25:07.000Z",
            "account": str(ACCOUNT),
            "epoch": "1",
            "to": row.get("to", b"").decode(),
            "status": "sent",
            "code": "ok",
            "detail": "",
            "attempts": "1",
            "parts": "1/1",
            "message_id": str(900_000 + len(self.requests)),
            "replayed": "0",
        }
        await self._desk.client.xadd(self._desk.key("results"), dict[Any, Any](result | answer))


@asynccontextmanager
async def stub_adapter(desk: Desk) -> AsyncIterator[StubAdapter]:
    """Answer requests while the body runs."""
    made = StubAdapter(desk)
    running_task = asyncio.ensure_future(made.run())
    try:
        yield made
    finally:
        running_task.cancel()
        await asyncio.gather(running_task, return_exceptions=True)
