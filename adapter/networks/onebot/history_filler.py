"""History filler: after a gap, asks for the newest messages of the chats that were heard from lately.

A history holds messages alone, never notices or requests, and nothing that came while QQ itself was offline.
The gap event therefore stands, whatever is found. Copies of what is on the bus have the same event ids.
"""

import logging
from typing import Final

import anyio

from adapter.aio import AutoResetEvent
from adapter.events import Address, Gap, Message
from adapter.networks.inbox import Inbox
from adapter.networks.onebot.client.connection import Connection
from adapter.networks.onebot.limits import Limits
from adapter.networks.onebot.protocol.dialects import history_action, next_page
from adapter.networks.onebot.protocol.frames import decode_event
from adapter.networks.onebot.protocol.messages import history_messages
from adapter.networks.onebot.receiver import Item
from adapter.networks.onebot.recent_chats import RecentChats

log = logging.getLogger(__name__)

# The longest wait of the loop, in seconds.
_TICK: Final = 3600.0
# Seconds before a gap from which messages are taken, too: times are whole seconds, and clocks differ.
_OVERLAP: Final = 2.0
# Answers of one chat, where a dialect gives few messages at a time.
_MAX_PAGES: Final = 10
# What a message costs in memory, in bytes.
_MESSAGE_BYTES: Final = 2_000


class HistoryFiller:
    """Puts missed messages into the inbox. `count`: of each chat; 0 asks for none."""

    def __init__(
        self, inbox: Inbox[Item], chats: RecentChats, limits: Limits, *, count: int, keep_raw: bool
    ) -> None:
        self._inbox = inbox
        self._chats = chats
        self._limits = limits
        self._count = count
        self._keep_raw = keep_raw
        self._gap: Gap | None = None
        self._wakeup = AutoResetEvent()

    def request(self, gap: Gap) -> None:
        """Ask for what was said in a gap; one that is not filled yet is filled with it."""
        if self._count:
            since = gap.since if self._gap is None else min(self._gap.since, gap.since)
            self._gap = Gap(since, gap.until, gap.reason)
            self._wakeup.set()

    async def run(self, connection: Connection) -> None:
        """Fill gaps for as long as the connection lasts."""
        while True:
            if (gap := self._gap) is not None:
                found = await self._fill(connection, gap)
                log.info("history: %d messages since the gap", found)
                self._gap = None if self._gap is gap else self._gap
            else:
                await self._wakeup.wait(_TICK)

    async def _fill(self, connection: Connection, gap: Gap) -> int:
        found = 0
        since = gap.since - self._limits.history_age_seconds
        chats = self._chats.latest(since, self._limits.history_chats)
        for number, chat in enumerate(chats, 1):
            messages = await self._messages(connection, chat, gap.since - _OVERLAP)
            for message in messages:
                await self._inbox.put(message, _MESSAGE_BYTES)
            found += len(messages)
            log.info("history: %d of %d chats asked, %d messages since the gap", number, len(chats), found)
        return found

    async def _messages(self, connection: Connection, chat: Address, since: float) -> list[Message]:
        """Return the messages of others in a chat since a time, oldest first, up to `count`."""
        found: list[Message] = []
        page: int | None = None
        for _ in range(_MAX_PAGES):
            action = history_action(connection.dialect, chat, self._count, page)
            data = None if action is None else await connection.ask(action.name, action.params)
            await anyio.sleep(self._limits.history_pause_seconds)
            rows = history_messages(data)
            defaults: dict[str, object] = {"post_type": "message", "self_id": connection.login.account}
            events = [decode_event(defaults | {**row}, since, keep_raw=self._keep_raw) for row in rows]
            said = [one for one in events if isinstance(one, Message) and one.chat == chat]
            # Pages go back in time, and times are whole seconds: the order within them stays.
            found = [one for one in said if one.time >= since and not one.from_self] + found
            page = next_page(connection.dialect, data)
            is_all = page is None or not said or min(one.time for one in said) < since
            if is_all or len(found) >= self._count:
                break
        return sorted(found, key=lambda one: one.time)[-self._count :]
