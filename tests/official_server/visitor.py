"""A plain client of the server for its own tests; it follows no policy."""

import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx
import websockets
from websockets.asyncio.client import ClientConnection, connect

from .server import OfficialServer

INTENTS = 1 << 25


class Visitor:
    """One bot that does what the test says."""

    def __init__(self, server: OfficialServer) -> None:
        self._server = server
        self._http = httpx.AsyncClient(base_url=server.url, trust_env=False)
        self._socket: ClientConnection | None = None
        self.token = ""
        self.session_id = ""
        self.seq = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()
        await self._http.aclose()

    # HTTP

    async def fetch_token(self, secret: str = "", appid: str = "") -> dict[str, Any]:
        """Ask for a token, keep it and return the answer."""
        wanted = {"appId": appid or self._server.appid, "clientSecret": secret or self._server.secret}
        answer = await self._http.post("/app/getAppAccessToken", json=wanted)
        assert answer.status_code == 200
        value: dict[str, Any] = answer.json()
        self.token = value.get("access_token", self.token)
        return value

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Call the API."""
        if not self.token:
            await self.fetch_token()
        own = {"Authorization": f"QQBot {self.token}", **headers}
        return await self._http.request(method, path, json=body, headers=own)

    async def send(self, chat: str, text: str = "", **fields: Any) -> httpx.Response:
        """Send a message to a chat of the server."""
        return await self.call(
            "POST", f"{self.path(chat)}/messages", {"content": text, "msg_type": 0} | fields
        )

    def path(self, chat: str) -> str:
        """Return the path of a chat in the API."""
        side = "groups" if chat.startswith("group:") else "users"
        return f"/v2/{side}/{self._server.openid(chat)}"

    # Gateway

    async def open(self) -> dict[str, Any]:
        """Connect; return Hello."""
        await self.leave()
        self._socket = await connect(self._server.gateway_url, proxy=None)
        return await self.frame()

    async def identify(self, intents: int = INTENTS, **changes: Any) -> dict[str, Any]:
        """Connect and identify; return the next frame, READY as a rule."""
        await self.open()
        if not self.token:
            await self.fetch_token()
        wanted = {"token": f"QQBot {self.token}", "intents": intents, "shard": [0, 1], "properties": {}}
        await self.write({"op": 2, "d": wanted | changes})
        ready = await self.frame()
        if ready.get("t") == "READY":
            self.session_id, self.seq = ready["d"]["session_id"], ready["s"]
        return ready

    async def resume(self, **changes: Any) -> None:
        """Connect and ask for the session to be resumed."""
        await self.open()
        wanted = {"token": f"QQBot {self.token}", "session_id": self.session_id, "seq": self.seq}
        await self.write({"op": 6, "d": wanted | changes})

    async def write(self, frame: Any) -> None:
        """Send a frame; text goes as it is."""
        assert self._socket is not None
        await self._socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def frame(self) -> dict[str, Any]:
        """Return the next frame; note its s if it is a dispatch."""
        assert self._socket is not None
        value: dict[str, Any] = json.loads(await self._socket.recv())
        self.seq = value.get("s") or self.seq
        return value

    async def frames_until(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Return the frames up to one that fulfils a predicate."""
        found = [await self.frame()]
        while not wanted(found[-1]):
            found.append(await self.frame())
        return found

    async def closed(self) -> tuple[int, str]:
        """Wait for the end of the connection; return code and reason."""
        assert self._socket is not None
        try:
            async for _ in self._socket:
                continue
        except websockets.ConnectionClosed as end:
            return (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "")
        return self._socket.close_code or 1006, self._socket.close_reason or ""

    async def leave(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            await self._socket.close()
            self._socket = None
