"""The whole system on OneBot: an implementation, a real server, and our programs as real processes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack

from adapter.bus.bus import Bus
from tests.onebot_server import OneBotServer
from tests.support.helpers import PAGE_TOKEN
from tests.support.system_harness import Processes


@dataclass
class OneBotSystem(Processes):
    """Programs and the implementation of OneBot behind which their account is."""

    server: OneBotServer = field(kw_only=True)

    async def order(self, **fields: str) -> str:
        """Ask for an operation or a message; returns the entry."""
        entry: bytes = await self.bus.client.xadd(self.bus.keys("outbound"), fields)  # type: ignore[arg-type]
        return entry.decode()

    async def bodies(self, kind: str) -> list[dict[str, Any]]:
        """Return the bodies of the events of a type."""
        found: Any = await self.bus.client.xrange(self.bus.keys("inbound"))
        return [
            msgpack.unpackb(fields[b"body"])
            for _, fields in found
            if fields[b"type"].decode().startswith(kind)
        ]


@asynccontextmanager
async def onebot_system(
    dialect: str, bus: Bus, redis_url: str, folder: Path, **options: Any
) -> AsyncIterator[OneBotSystem]:
    """Start an implementation, and end all programs afterwards."""
    async with OneBotServer(dialect, **options) as server:
        settings = {
            "REDIS_URL": redis_url,
            "QQBUS_PREFIX": bus.keys.prefix,
            "QQBUS_HTTP": "off",
            "QQBUS_HTTP_TOKEN": PAGE_TOKEN,
            "QQBUS_NETWORK": "onebot",
            "QQBUS_ONEBOT_URL": server.url,
            "QQBUS_SEND_INTERVAL": "0",
        }
        made = OneBotSystem(bus, folder, settings, server=server)
        try:
            yield made
        finally:
            await made.kill_all()
