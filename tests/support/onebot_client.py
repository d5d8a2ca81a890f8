"""A plain OneBot client on `websockets`, for tests of the OneBot server."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

# Bytes of a frame that the client accepts.
MAX_FRAME = 128 * 1024 * 1024
# Seconds that a test waits for one frame.
WAIT = 10.0


class OneBotClient:
    """One connection: calls with their answers, and events in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.metas: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()  # those that no call waits for
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._calls: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        self.closed = asyncio.Event()

    async def read(self) -> None:
        """Sort frames until the connection ends."""
        try:
            async for text in self.socket:
                self._sort(json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            self.closed.set()

    def _sort(self, frame: dict[str, Any]) -> None:
        if "post_type" in frame:
            (self.metas if frame["post_type"] == "meta_event" else self._events).put_nowait(frame)
            return
        waiting = self._calls.pop(str(frame.get("echo")), None)
        if waiting is None or waiting.done():
            self.answers.put_nowait(frame)
        else:
            waiting.set_result(frame)

    async def send(self, frame: Any) -> None:
        """Send a frame: text as it is, anything else as JSON."""
        await self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def ask(self, action: str, **params: Any) -> dict[str, Any]:
        """Return the whole answer of an action."""
        echo = f"e{next(self._numbers)}"
        waiting = self._calls[echo] = asyncio.get_running_loop().create_future()
        await self.send({"action": action, "params": params, "echo": echo})
        async with asyncio.timeout(WAIT):
            return await waiting

    async def call(self, action: str, **params: Any) -> Any:
        """Return the data of an action that succeeds."""
        answer = await self.ask(action, **params)
        assert answer["status"] == "ok", answer
        return answer["data"]

    async def event(self) -> dict[str, Any]:
        """Return the next event that is no meta event."""
        async with asyncio.timeout(WAIT):
            return await self._events.get()

    async def meta(self) -> dict[str, Any]:
        """Return the next meta event."""
        async with asyncio.timeout(WAIT):
            return await self.metas.get()

    async def end(self) -> tuple[int, str]:
        """Wait for the end of the connection; return its close code and reason."""
        async with asyncio.timeout(WAIT):
            await self.closed.wait()
        return self.socket.close_code or 1006, self.socket.close_reason or ""

    async def nothing(self) -> None:
        """Check that no event is under way: an answer that was asked for now comes first."""
        await self.ask("get_status")
        assert self._events.empty()


@asynccontextmanager
async def onebot_client(url: str, token: str = "", **headers: str) -> AsyncIterator[OneBotClient]:
    """Connect to a server."""
    chosen = {**({"Authorization": f"Bearer {token}"} if token else {}), **headers}
    async with connect(url, additional_headers=chosen, max_size=MAX_FRAME, proxy=None) as socket:
        client = OneBotClient(socket)
        reading = asyncio.ensure_future(client.read())
        try:
            yield client
        finally:
            reading.cancel()
            await asyncio.wait([reading])
