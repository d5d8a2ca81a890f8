"""Watch `qq:status`: who the account is, whether it is online, and on which network."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from consumers.onebot.bus_reader import BusReader
from consumers.onebot.errors import BusAway

log = logging.getLogger("qqbus.gateway")

# Seconds between two looks: a bot hears of a change within it.
INTERVAL: Final = 1.0


@dataclass(frozen=True, slots=True)
class Account:
    """What `qq:status` says; `number` is empty before the first login."""

    number: str = ""
    nick: str = ""
    is_online: bool = False
    network: str = ""


class AccountWatcher:
    """Keeps the newest state; `on_change` is called with the state before and after."""

    def __init__(self, reader: BusReader, on_change: Callable[[Account, Account], None]) -> None:
        self._reader = reader
        self._on_change = on_change
        self._known = asyncio.Event()
        self.current = Account()

    async def run(self) -> None:
        """Look again and again until cancelled; while Redis is away the last state stands."""
        while True:
            try:
                await self.refresh()
            except BusAway as exc:
                log.debug("status: %s", exc)
            await asyncio.sleep(INTERVAL)

    async def refresh(self) -> None:
        """Read the state once. Raises BusAway."""
        before = self.current
        row = await self._reader.status()
        network = row.get("network", "") or before.network or await self._reader.newest_network()
        number = row.get("account", "")
        self.current = Account(
            number if number.isascii() and number.isdecimal() else before.number,
            row.get("nick", ""),
            row.get("state") == "online",
            network,
        )
        if self.current.number:
            self._known.set()
        if self.current != before:
            self._on_change(before, self.current)

    async def wait_known(self) -> None:
        """Return when the account's number is known."""
        await self._known.wait()
