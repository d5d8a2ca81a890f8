"""Proof of reverse WebSocket: headers, reconnection, another account."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from consumers.onebot.options import Options
from tests.support.bus_events import desk_at, message
from tests.support.gateway_harness import gateway, set_status
from tests.support.helpers import wait_until
from tests.support.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]


class ListeningBot:
    """A bot that the gateway dials."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"ws://127.0.0.1:{port}/onebot/v11/ws?key=value"
        self.connections: list[ServerConnection] = []
        self.headers: list[dict[str, str]] = []
        self.frames: list[dict[str, Any]] = []
        self.moments: list[float] = []
        self.refuses = False

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        async with serve(self._serve, "127.0.0.1", self.port):
            yield

    async def _serve(self, socket: ServerConnection) -> None:
        self.moments.append(asyncio.get_running_loop().time())
        assert socket.request is not None
        self.headers.append({"path": socket.request.path, **dict(socket.request.headers.raw_items())})
        if self.refuses:
            await socket.close(1008)
            return
        self.connections.append(socket)
        async for frame in socket:
            self.frames.append(json.loads(frame))

    def texts(self) -> list[str]:
        return [frame["raw_message"] for frame in self.frames if frame.get("post_type") == "message"]


async def test_the_gateway_dials_once_the_account_is_known_and_again_after_a_loss(
    redis_url: str, prefix: str
) -> None:
    there = ListeningBot(free_port())
    chosen = Options(connect=(there.url,), token="tok")
    async with desk_at(redis_url, prefix) as desk, gateway(desk, chosen), there.listening():
        await set_status(desk)
        await wait_until(lambda: there.frames, "a first event", 30)
        assert there.frames[0]["meta_event_type"] == "lifecycle"
        head = there.headers[0]
        assert head["path"] == "/onebot/v11/ws?key=value"
        assert (head["X-Self-ID"], head["X-Client-Role"]) == ("10001", "Universal")
        assert head["Authorization"] == "Bearer tok"
        assert head["User-Agent"].startswith("qqbus/")
        await desk.publish(message("one"))
        await wait_until(lambda: there.texts() == ["one"], "the event")
        await wait_until(lambda: desk.all_done("onebot"), "acknowledged")
        there.connections[0].transport.abort()
        await desk.publish(message("two"))
        await wait_until(lambda: len(there.texts()) == 2, "the event after the loss", 30)
        assert there.texts() == ["one", "two"]
        assert there.moments[1] - there.moments[0] >= 1.0
        # Another account: the connection is made anew, with its number.
        await set_status(desk, account="10002")
        await wait_until(lambda: there.headers[-1]["X-Self-ID"] == "10002", "the new account", 30)


async def test_a_bot_that_refuses_is_not_dialled_in_a_hot_loop(redis_url: str, prefix: str) -> None:
    there = ListeningBot(free_port())
    there.refuses = True
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        async with gateway(desk, Options(connect=(there.url,))), there.listening():
            await wait_until(lambda: len(there.moments) == 3, "three attempts", 30)
        first, second, third = there.moments
        assert second - first >= 1.0
        assert third - second >= 2.0
