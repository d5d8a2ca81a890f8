"""The whole system on the official API: its server, a real Redis, and our programs as real processes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack

from adapter.bus.bus import Bus
from tests.official_server import OfficialServer
from tests.support.system_harness import Processes


@dataclass
class OfficialSystem(Processes):
    """Programs and the server of the bot."""

    server: OfficialServer = field(kw_only=True)

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

    async def texts(self) -> list[str]:
        """Return what was said, in order."""
        return [row["text"] for row in await self.rows("inbound") if row["type"].startswith("message.")]


@asynccontextmanager
async def official_system(
    bus: Bus, redis_url: str, folder: Path, *, is_bound: bool = True, **options: Any
) -> AsyncIterator[OfficialSystem]:
    """Start the server, and end all programs afterwards. `is_bound`: with AppID and secret."""
    async with OfficialServer(**options) as server:
        settings = {
            "REDIS_URL": redis_url,
            "QQBUS_PREFIX": bus.keys.prefix,
            "QQBUS_HTTP": "off",
            "QQBUS_NETWORK": "official",
            "QQBUS_OFFICIAL_API_URL": server.url,
            "QQBUS_OFFICIAL_PORTAL_URL": server.url,
            "QQBUS_SEND_INTERVAL": "0",
        }
        if is_bound:
            settings |= {"QQBUS_OFFICIAL_APPID": server.appid, "QQBUS_OFFICIAL_SECRET": server.secret}
        made = OfficialSystem(bus, folder, settings, server=server)
        try:
            yield made
        finally:
            await made.kill_all()
