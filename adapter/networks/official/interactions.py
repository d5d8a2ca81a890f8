"""Interactions: a user has pressed a button, and the user's client waits some seconds for the bot.

Invariants:
- An interaction is acknowledged once its event is on disk. No other event waits for that.
- An event that comes again is acknowledged again only if its acknowledgement has failed.
- An acknowledgement that fails ends nothing. Failures in a row are logged once.
- What waits and what is remembered is bounded in number, and each id in characters.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

import anyio
from anyio.abc import TaskGroup

from adapter.errors import TransportError
from adapter.networks.official.client.api import Api
from adapter.networks.official.client.errors import AccessRefusedError
from adapter.networks.official.limits import Limits

log = logging.getLogger(__name__)

# Characters of an id: more than the longest one of a message.
_MAX_ID: Final = 128
# Ids of acknowledged events: more than a Resume repeats in the minutes for which a session lives.
_MAX_KNOWN: Final = 1_000
# Acknowledgements that wait, and requests at once: most connections stay free for messages.
_MAX_WAITING: Final = 200
_MAX_REQUESTS: Final = 4
# Pieces of a path that are no names.
_DOTS: Final = frozenset({".", ".."})


class Acknowledger:
    """Acknowledges interactions in tasks of a group that `start` names."""

    def __init__(self, api: Api, limits: Limits) -> None:
        self._api = api
        self._limits = limits
        self._requests = anyio.CapacityLimiter(_MAX_REQUESTS)
        self._tasks: TaskGroup | None = None
        self._waiting = 0
        # Acknowledged, or about to be; the oldest ones are forgotten first.
        self._known: OrderedDict[str, None] = OrderedDict()
        self._has_warned = False

    def start(self, tasks: TaskGroup) -> None:
        """Run acknowledgements in this group from now on."""
        self._tasks = tasks

    def acknowledge(self, interactions: Iterable[str]) -> None:
        """Acknowledge the interactions with these ids, without waiting; known ones are left out."""
        if self._tasks is None:
            raise RuntimeError("the acknowledger is used before its start")
        for interaction in interactions:
            if interaction in self._known:
                continue
            if not interaction or len(interaction) > _MAX_ID or interaction in _DOTS:
                self._warn("its id is not usable")
            elif self._waiting >= _MAX_WAITING:
                self._warn(f"{self._waiting} others wait")
            else:
                self._remember(interaction)
                self._waiting += 1
                self._tasks.start_soon(self._acknowledge, interaction)

    def _remember(self, interaction: str) -> None:
        self._known[interaction] = None
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    async def _acknowledge(self, interaction: str) -> None:
        failure = "no answer in time"
        try:
            with anyio.move_on_after(self._limits.acknowledge_seconds):
                async with self._requests:
                    failure = await self._request(interaction)
        finally:
            self._waiting -= 1
        if failure:
            self._known.pop(interaction, None)
            self._warn(failure)
        else:
            self._has_warned = False

    async def _request(self, interaction: str) -> str:
        """Acknowledge once; returns why that failed, "" if it did not."""
        path = f"/interactions/{quote(interaction, safe='', errors='replace')}"
        try:
            answer = await self._api.call("interaction", "PUT", path, {"code": 0})
        except (TransportError, AccessRefusedError) as exc:
            return str(exc)
        return "" if answer is None or answer.is_done else answer.words

    def _warn(self, reason: str) -> None:
        """Log a failure; the next ones are warnings again once an acknowledgement has succeeded."""
        level = logging.DEBUG if self._has_warned else logging.WARNING
        self._has_warned = True
        log.log(level, "an interaction was not acknowledged: %s", reason)
