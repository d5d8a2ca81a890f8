"""Put the gateway together on the worker runtime."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Final

from consumers.onebot.account import Account, AccountWatcher
from consumers.onebot.actions.context import Context
from consumers.onebot.actions.registry import Actions
from consumers.onebot.bots import Bots
from consumers.onebot.bus_reader import BusReader
from consumers.onebot.dialing import Dialer
from consumers.onebot.errors import BusAway
from consumers.onebot.hub import Content, Hub
from consumers.onebot.message_index import MessageIndex
from consumers.onebot.options import Options
from consumers.onebot.outbox import Outbox
from consumers.onebot.server import GatewayServer
from consumers.runtime.holding import HeldEvent
from consumers.runtime.runtime import Runtime

log = logging.getLogger("qqbus.gateway")

# Seconds from a stop to the end: bots confirm what they have within milliseconds.
SHUTDOWN_SECONDS: Final = 3.0
# Seconds that Redis has to answer before bots are let in: then they get 503 instead of no connection.
_START_SECONDS: Final = 2.0


class Gateway:
    """The gateway as the runtime sees it: it holds events until bots have confirmed them."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.consumer = options.consumer
        self._hinted: set[str] = set()
        self._hub: Hub
        self._bots: Bots
        self._actions: Actions
        self._account: AccountWatcher
        self._runtime: Runtime

    def attach(self, runtime: Runtime) -> None:
        """Build everything that needs the bus."""
        self._runtime = runtime
        reader, index = BusReader(runtime.client), MessageIndex()
        self._account = AccountWatcher(reader, self._account_changed)
        self._hub = Hub(self._options, index, reader, runtime.held)
        outbox = Outbox(runtime.client, self._options.expires)
        context = Context(self._options, reader, outbox, index, self._account, self._hint)
        self._actions = Actions(context)
        self._bots = Bots(self._hub, self._actions, self._account, self._options.confirm_seconds)
        runtime.more_metrics = self._metrics
        runtime.services += [self._account.run, self._hub.run, self._stop_bots]
        runtime.services += [
            Dialer(url, self._options, self._bots, self._account).run for url in self._options.connect
        ]
        if self._options.listen:
            runtime.services.append(self._listen)

    # --- what the runtime asks -----------------------------------------------------------------

    def room(self) -> int:
        """Return how many events it takes now."""
        return self._hub.room()

    async def wait_for_room(self, seconds: float) -> None:
        """Return when there may be room, or after `seconds`."""
        await self._hub.wait_for_room(seconds)

    def decode(self, entry: str, fields: list[bytes]) -> Content:
        """Return what the hub needs of an entry. Raises SchemaError."""
        return self._hub.decode(entry, fields)

    def take(self, events: Sequence[HeldEvent[Content]]) -> None:
        """Take events, oldest first."""
        self._hub.take(events)

    # --- services ------------------------------------------------------------------------------

    async def _listen(self) -> None:
        # A bot that comes at once should find the account and the group, if Redis serves.
        with contextlib.suppress(TimeoutError, BusAway):
            async with asyncio.timeout(_START_SECONDS):
                await self._runtime.started.wait()
                await self._account.refresh()
        async with GatewayServer(self._options, self._bots, self._actions).listening():
            await asyncio.Event().wait()

    async def _stop_bots(self) -> None:
        """Close all connections at a stop, once their bots had a moment to confirm."""
        await self._runtime.stop.wait()
        await self._runtime.held.wait_done(SHUTDOWN_SECONDS / 3)
        self._bots.cut_all()
        await asyncio.Event().wait()

    def _account_changed(self, before: Account, now: Account) -> None:
        self._bots.account_changed(before, now)

    def _hint(self, words: str) -> None:
        if words not in self._hinted:
            self._hinted.add(words)
            log.info("%s", words)

    def _metrics(self) -> Mapping[str, tuple[str, float]]:
        return {
            "gateway_bots": ("bots that hear events", self._bots.hearing),
            "gateway_unconfirmed": ("events that bots have not confirmed", len(self._hub.log)),
            "gateway_too_old": ("events dropped for their age", self._hub.too_old),
            "gateway_actions": ("actions answered", self._actions.answered),
            "gateway_actions_in_flight": ("actions under way", self._actions.in_flight),
        }
