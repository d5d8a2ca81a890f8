"""Contact loader: friends and groups when a connection is proved and when they change, members on demand."""

import logging
from collections.abc import Callable
from typing import Final

import anyio

from adapter.aio import AutoResetEvent
from adapter.events import Address, ContactList
from adapter.networks.inbox import Inbox
from adapter.networks.onebot.client.connection import Connection
from adapter.networks.onebot.limits import Limits
from adapter.networks.onebot.protocol.contacts import friend_list, group_list, member_list
from adapter.networks.onebot.receiver import Item

log = logging.getLogger(__name__)

# Seconds for which lists are taken as fresh when a connection is lost and comes back.
_FRESH_SECONDS: Final = 600.0
# The longest wait of the loop, in seconds.
_TICK: Final = 3600.0
# What a contact costs in memory, in bytes.
_CONTACT_BYTES: Final = 400


class ContactLoader:
    """Puts contact lists into the inbox. `clock` is monotonic, in seconds."""

    def __init__(self, inbox: Inbox[Item], limits: Limits, clock: Callable[[], float]) -> None:
        self._inbox = inbox
        self._limits = limits
        self._clock = clock
        self._loaded_at: float | None = None
        self._wakeup = AutoResetEvent()
        self._active = anyio.Event()

    def activate(self) -> None:
        """Begin to load: an adapter that stands by asks for nothing."""
        self._active.set()

    async def run(self, connection: Connection) -> None:
        """Load lists that are not fresh, then again after each `invalidate`."""
        await self._active.wait()
        if self._loaded_at is None or self._clock() - self._loaded_at > _FRESH_SECONDS:
            await self.load(connection)
        while True:
            if await self._wakeup.wait(_TICK):
                await anyio.sleep(self._limits.reload_seconds)
                await self.load(connection)

    def invalidate(self) -> None:
        """Note that friends or groups have changed."""
        self._loaded_at = None
        self._wakeup.set()

    async def load(self, connection: Connection) -> None:
        """Load friends and groups; a list that is not answered stays as it was."""
        friends = await connection.ask("get_friend_list")
        groups = await connection.ask("get_group_list")
        if friends is None or groups is None:
            log.warning("the contact lists are not answered")
        if friends is not None:
            await self._put(friend_list(friends))
        if groups is not None:
            await self._put(group_list(groups))
        self._loaded_at = self._clock()

    async def load_members(self, connection: Connection, group: Address) -> bool:
        """Load the members of a group; False if they are not answered."""
        members = await connection.ask("get_group_member_list", {"group_id": int(group.id)})
        if members is None:
            return False
        await self._put(member_list(members, group))
        return True

    async def _put(self, contacts: ContactList) -> None:
        await self._inbox.put(contacts, _CONTACT_BYTES * len(contacts.contacts))
