"""What actions work with."""

from collections.abc import Callable
from dataclasses import dataclass

from consumers.onebot.account import AccountWatcher
from consumers.onebot.bus_reader import BusReader
from consumers.onebot.message_index import MessageIndex
from consumers.onebot.options import Options
from consumers.onebot.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Context:
    """The bus, the account, and what the gateway remembers. `hint`: say something in the log once."""

    options: Options
    reader: BusReader
    outbox: Outbox
    index: MessageIndex
    account: AccountWatcher
    hint: Callable[[str], None]

    async def person_name(self, chat: str, user: str) -> str:
        """Return the name of a person for a chat, empty if unknown. Raises BusAway."""
        if sender := self.index.senders.get((chat, user)):
            return str(sender.get("card") or sender.get("name") or "")
        if chat.startswith(("group:", "discuss:")):
            row = await self.reader.contact(f"members:{chat}", user)
        else:
            row = await self.reader.contact("friends", user)
        return str((row or {}).get("card") or (row or {}).get("name") or "")

    async def group_address(self, group: str) -> str:
        """Return the address of a number that may be a group or a discussion. Raises BusAway."""
        if known := self.index.groups.get(group):
            return known
        for kind, contacts in (("group", "groups"), ("discuss", "discusses")):
            if await self.reader.contact(contacts, group) is not None:
                return f"{kind}:{group}"
        return f"group:{group}"

    async def private_address(self, user: str, group: str) -> str:
        """Return where to write to a person: the temporary chat that was named or last heard, or a friend.

        Raises BusAway.
        """
        if group:
            parent = await self.group_address(group)
            return f"temp:{user}@{parent}"
        if await self.reader.contact("friends", user) is not None:
            return f"friend:{user}"
        chat = self.index.private.get(user)
        if chat is None:
            chat = await self.reader.private_chat(user)
            self.index.private.put(user, chat)
        return chat or f"friend:{user}"
