"""Reverse WebSockets: the implementation connects to its client, as one universal connection."""

import asyncio
import contextlib

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from .connection import Connection
from .errors import ControlError
from .gateway import public_headers
from .hub import Hub
from .lines import ClientLine
from .record import Handshake
from .serving import ActionServer
from .state import State


class ReverseClients:
    """Keeps one connection to each address, tried again after a fixed pause."""

    def __init__(self, state: State, hub: Hub, actions: ActionServer) -> None:
        self._state = state
        self._hub = hub
        self._actions = actions
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def add(self, url: str, seconds: float | None = None) -> None:
        """Connect to an address for ever; `seconds` is the pause after a connection that ended."""
        if not url.startswith(("ws://127.0.0.1:", "ws://localhost:", "ws://[::1]:")):
            raise ControlError(f"a reverse connection goes to ws:// on loopback, not to {url!r}")
        pause = self._state.traits.reverse_seconds if seconds is None else seconds
        if url not in self._tasks:
            self._tasks[url] = asyncio.ensure_future(self._keep(url, pause))

    async def stop(self) -> None:
        """End all connections."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _keep(self, url: str, pause: float) -> None:
        while True:
            if not self._state.switches.is_down:
                await self._serve(url)
            await asyncio.sleep(pause)

    def _headers(self) -> dict[str, str]:
        traits, token = self._state.traits, self._state.options.token
        headers = {"X-Self-ID": str(self._state.account), "X-Client-Role": "Universal"}
        if token or traits.name in {"napcat", "llbot"}:  # NapCat sends an empty Bearer too
            headers["Authorization"] = f"{traits.reverse_scheme} {token}"
        return headers

    async def _serve(self, url: str) -> None:
        state, number, headers = self._state, self._hub.number(), self._headers()
        shown = public_headers(headers)
        handshake = state.record.handshakes.add(
            lambda n: Handshake(
                n, state.clock(), number, url, shown, "right", "", "universal", is_reverse=True
            ),
            1_000,
        )
        try:
            async with connect(
                url,
                additional_headers=headers,
                user_agent_header=f"{state.traits.app_name}/{state.traits.app_version}",
                max_size=state.options.max_frame,
                compression=None,
                ping_interval=None,
                proxy=None,
            ) as socket:
                await self._exchange(socket, number, url)
        except (OSError, InvalidHandshake, TimeoutError) as exc:
            handshake.refusal = str(exc) or type(exc).__name__

    async def _exchange(self, socket: ClientConnection, number: int, url: str) -> None:
        connection = Connection(number, ClientLine(socket), "universal", url, is_reverse=True)
        self._hub.add(connection)
        tasks = [asyncio.ensure_future(connection.write())]
        if not self._state.traits.is_heartbeat_shared:
            tasks.append(asyncio.ensure_future(self._hub.beat(connection)))
        try:
            with contextlib.suppress(ConnectionClosed):
                async for text in socket:
                    await self._actions.take(connection, text if isinstance(text, str) else text.decode())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._actions.drop(connection)
            self._hub.remove(connection, socket.close_code or 1006, socket.close_reason or "")
