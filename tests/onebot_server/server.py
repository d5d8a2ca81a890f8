"""The server as tests use it: one implementation on its port, and a second port for control."""

import asyncio
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from .control import Control
from .faults import Faults
from .gateway import HOST, Gateway
from .hub import Hub
from .operations import Operations
from .options import Options
from .people import People
from .record import Record
from .reverse import ReverseClients
from .serving import ActionServer
from .state import State
from .world import World, sample_world


class OneBotServer:
    """A OneBot 11 implementation with one account. Use it as `async with OneBotServer(…) as server`.

    Every keyword is an option (see `options.Options`). `url` is the address for clients; `control_url`
    that of the control interface and of pictures, which answers while `url` is down, too.
    All methods are to be called from the event loop that the server was started in.
    """

    def __init__(
        self,
        dialect: str = "napcat",
        *,
        port: int = 0,
        control_port: int = 0,
        world: World | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        chosen = Options().changed({"dialect": dialect, **options})
        self.state = State(chosen, world or sample_world(chosen.account))
        self.hub = Hub(self.state)
        self.faults = Faults(seed)
        self.people = People(self.state, self.hub)
        actions = ActionServer(self.state, self.hub, self.faults)
        self._gateway = Gateway(self.state, self.hub, actions, port)
        self._reverse = ReverseClients(self.state, self.hub, actions)
        self.do = Operations(self.state, self.hub, self.faults, self._gateway, self._reverse)
        self.control = Control(self)
        self._control_port = control_port
        self._control_runner: web.AppRunner | None = None
        self._timer: asyncio.Task[None] | None = None
        self.control_url = ""

    @property
    def url(self) -> str:
        """Return the WebSocket address, with SnowLuma's own path."""
        return f"ws://{HOST}:{self._gateway.port}{self.state.options.path}"

    @property
    def record(self) -> Record:
        """Return what was seen and sent."""
        return self.state.record

    @property
    def world(self) -> World:
        """Return the people and groups; they may be changed at any time."""
        return self.state.world

    async def __aenter__(self) -> Self:
        runner = web.AppRunner(self.control.application(), access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self._control_port).start()
            await self._gateway.open()
        except OSError:
            await runner.cleanup()
            raise
        self._control_runner = runner
        self.control_url = f"http://{HOST}:{runner.addresses[0][1]}"
        self.state.pictures.origin = self.control_url
        self._timer = asyncio.ensure_future(self.hub.beat())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.wait([self._timer])
        await self.do.stop()
        await self._reverse.stop()
        await self._gateway.close()
        if self._control_runner is not None:
            await self._control_runner.cleanup()

    def say(self, chat: str, text: str | None = None, **fields: Any) -> dict[str, Any]:
        """Let a person write; see `People.say`."""
        return self.people.say(chat, text, **fields)

    def notice(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Let something happen that becomes a notice or a request; see `notices.Notices`."""
        return self.people.notice(kind, **fields)

    # Waiting

    async def wait_received(self, count: int, seconds: float = 10.0) -> list[Any]:
        """Wait until `count` messages of the account have been delivered in all; return those kept."""
        log = self.record.received
        await self.record.until(
            lambda: log.count >= count, seconds, lambda: f"{log.count} of {count} messages were received"
        )
        return list(log.entries)

    async def wait_connections(self, count: int, seconds: float = 10.0) -> None:
        """Wait until exactly `count` clients are connected."""
        connections = self.hub.connections
        await self.record.until(
            lambda: len(connections) == count, seconds, lambda: f"{len(connections)} of {count} connections"
        )

    async def wait_actions(self, action: str, count: int = 1, seconds: float = 10.0) -> list[Any]:
        """Wait until `count` actions of a name have been seen; return those kept."""

        def found() -> list[Any]:
            return [one for one in self.record.actions.entries if one.action == action]

        await self.record.until(
            lambda: len(found()) >= count, seconds, lambda: f"{len(found())} of {count} actions {action}"
        )
        return found()
