"""The lookout: Redis as the status page watches it. Several streams at a time, no more than is shown."""

from collections.abc import Mapping
from typing import Any

from redis.exceptions import ResponseError

from adapter.bus.admin import TIMEOUT, Desk
from adapter.bus.bus import Entry
from adapter.bus.connection import connect, translated
from adapter.bus.keys import Keys


class Lookout(Desk):
    """A desk with a view. Made without a word to Redis, which may be away just now."""

    @classmethod
    def at(cls, url: str | None, prefix: str) -> "Lookout":
        """Close its `client` in the end."""
        return cls(connect(url, prefix, timeout=TIMEOUT), Keys(prefix))

    async def close(self) -> None:
        """End the connections."""
        await self.client.aclose()

    async def ping(self) -> None:
        """Whether Redis serves. Raises BusUnavailable."""
        with translated():
            await self.client.ping()

    async def moved(self, cursors: Mapping[str, str], wait_ms: int) -> list[str]:
        """The streams in which something came behind these ids; waits so long. May be cancelled."""
        keys = {self.keys(name): name for name in cursors}
        with translated():
            answer: Any = await self.client.xread(
                {key: cursors[name] for key, name in keys.items()}, count=1, block=wait_ms
            )
        return [keys[key.decode()] for key, _ in answer or ()]

    async def latest(self, stream: str, after: str, count: int) -> list[Entry]:
        """The newest entries behind an id, oldest first, however many more there are."""
        with translated():
            rows: Any = await self.client.xrevrange(
                self.keys(stream), "+", f"({after}" if after else "-", count=count
            )
        return [(entry.decode(), fields or {}) for entry, fields in reversed(rows)]

    async def size(self, name: str) -> int:
        """How many rows a hash has."""
        with translated():
            return int(await self.client.hlen(self.keys(name)))

    async def entry(self, stream: str, entry: str) -> dict[bytes, bytes] | None:
        """One entry; None where it is gone."""
        with translated():
            try:
                rows: Any = await self.client.xrange(self.keys(stream), entry, entry)
            except ResponseError:
                return None  # no id at all
        return rows[0][1] if rows else None
