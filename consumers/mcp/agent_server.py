"""Put the MCP server together on the worker runtime."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Final

from adapter import Received
from consumers.mcp.guards import Guards
from consumers.mcp.http import serve_http
from consumers.mcp.inbox import Inbox
from consumers.mcp.options import Options
from consumers.mcp.reading import Reading
from consumers.mcp.server import Tools, build_server
from consumers.mcp.standard_input import serve_stdio
from consumers.onebot.bus_reader import BusReader
from consumers.onebot.errors import BusAway
from consumers.onebot.outbox import Outbox
from consumers.runtime.holding import HeldEvent, decode_received
from consumers.runtime.runtime import Runtime

log = logging.getLogger("qqbus.mcp")

# Seconds from a stop to the end: nothing is waited for, what is held comes again.
SHUTDOWN_SECONDS: Final = 1.0
# Seconds after which a request that was not begun is not sent; clients give up after 60 s.
EXPIRES: Final = 50.0
# Seconds between two looks at the account's number and name.
_STATUS_SECONDS: Final = 5.0


class AgentServer:
    """The MCP server as the runtime sees it: it holds messages until agents have them."""

    # Another process may serve another agent at the same time.
    consumer = ""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._runtime: Runtime
        self._inbox: Inbox
        self._reading: Reading
        self._tools: Tools

    def attach(self, runtime: Runtime) -> None:
        """Build everything that needs the bus."""
        self._runtime = runtime
        guards = Guards(self._options)
        self._reading = Reading(BusReader(runtime.client), guards)
        self._inbox = Inbox(runtime.held, guards)
        outbox = Outbox(runtime.client, EXPIRES)
        self._tools = Tools(self._options, guards, self._reading, self._inbox, outbox, self._problem)
        runtime.more_metrics = self._metrics
        runtime.services += [self._watch_account, self._serve]

    def room(self) -> int:
        """Return how many events it takes now."""
        return self._inbox.room()

    async def wait_for_room(self, seconds: float) -> None:
        """Return when there may be room, or after `seconds`."""
        await self._inbox.wait_for_room(seconds)

    def decode(self, entry: str, fields: list[bytes]) -> Received:
        """Return an entry as the inbox has it. Raises SchemaError."""
        return decode_received(entry, fields)

    def take(self, events: Sequence[HeldEvent[Received]]) -> None:
        """Take events, oldest first."""
        self._inbox.take(events)

    async def _serve(self) -> None:
        server = build_server(self._options, self._tools, version("qqbus"))
        if self._options.http:
            log.info("serving http://%s/mcp", self._options.http)
            await serve_http(server, self._options.http, self._options.token, self._runtime.stop)
        else:
            await serve_stdio(server)
        # The agent is gone.
        self._runtime.stop.set()

    async def _watch_account(self) -> None:
        while True:
            try:
                await self._reading.status()
            except BusAway as exc:
                log.debug("status: %s", exc)
            await asyncio.sleep(_STATUS_SECONDS)

    def _problem(self) -> str:
        if self._runtime.connected:
            return ""
        return self._runtime.client.retries.longest_failure()[1] or "it has not answered yet"

    def _metrics(self) -> Mapping[str, tuple[str, float]]:
        return {"mcp_calls": ("tools called", self._tools.calls)}
