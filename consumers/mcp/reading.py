"""Read for agents: chats, people, messages, members, always through the guards."""

from collections.abc import Mapping
from typing import Any, Final

from adapter import ReceivedMessage
from consumers.mcp.guards import Guards
from consumers.mcp.messages import Shown, show_message
from consumers.onebot.bus_reader import BusReader

# Messages of one answer.
MAX_MESSAGES: Final = 100
# Events of all chats among which the recent chats are looked for.
_RECENT_EVENTS: Final = 2_000
# Contacts of one answer.
_MAX_CONTACTS: Final = 500
# Messages of a chat that a search looks at.
_SEARCHED: Final = 5_000
_LISTS: Final = (("friend", "friends"), ("group", "groups"), ("discuss", "discusses"))


class Reading:
    """What agents may look up. Raises BusAway where Redis does not serve."""

    def __init__(self, reader: BusReader, guards: Guards) -> None:
        self._reader = reader
        self._guards = guards

    async def status(self) -> dict[str, str]:
        """Return where the session stands, and what hinders."""
        row = await self._reader.status()
        found = {name: row.get(name, "") for name in ("account", "nick", "state", "reason", "since")}
        self._guards.account, self._guards.nick = found["account"], found["nick"]
        found["network"] = row.get("network", "") or await self._reader.newest_network()
        hindrance = []
        if found["state"] != "online":
            hindrance.append(f"the account is {found['state'] or 'not known'}: messages wait, and expire")
        if row.get("paused") == "1":
            hindrance.append("the operator has paused sending")
        return found | {"hindered_by": "; ".join(hindrance)}

    async def list_chats(self) -> list[Shown]:
        """Return the chats that may be read, those heard from lately first."""
        names = {
            address: name
            for kind, name_of_list in _LISTS
            for row in await self._reader.contacts(name_of_list)
            if self._guards.may_read(address := f"{kind}:{row.get('id', '')}")
            for name in [str(row.get("name", ""))]
        }
        recent: dict[str, Shown] = {}
        async for event in self._reader.recent(_RECENT_EVENTS):
            if event.chat not in recent and self._guards.may_see(event):
                name = names.get(event.chat, "") or event.chat_name
                recent[event.chat] = {"chat": event.chat, "name": name, "last_message": event.entry}
        others = [{"chat": one, "name": name} for one, name in names.items() if one not in recent]
        return [*recent.values(), *others][:_MAX_CONTACTS]

    async def search_contacts(self, query: str) -> list[Shown]:
        """Return the allowed contacts whose name or number holds these words."""
        words = query.casefold().strip()
        found: list[Shown] = []
        for kind, name_of_list in _LISTS:
            for row in await self._reader.contacts(name_of_list):
                address = f"{kind}:{row.get('id', '')}"
                names = [str(row.get(key, "")) for key in ("name", "nick", "mark", "qq", "id")]
                if self._guards.may_read(address) and any(words in one.casefold() for one in names):
                    found.append({"chat": address, "name": names[0]})
        return found[:_MAX_CONTACTS]

    async def members(self, chat: str) -> list[Shown]:
        """Return the members of a group."""
        rows = await self._reader.contacts(f"members:{chat}")
        return [_member(row) for row in rows][:_MAX_CONTACTS]

    async def messages(
        self, chat: str, limit: int, *, before: str = "", after: str = "", search: str = ""
    ) -> list[ReceivedMessage]:
        """Return messages that may be seen, newest last.

        Those just before the entry `before`, or those that follow `after`, or the newest.
        """
        limit, words = max(1, min(limit, MAX_MESSAGES)), search.casefold()
        found: list[ReceivedMessage] = []
        async for event in self._reader.messages(chat, _SEARCHED, until=f"({before}" if before else "+"):
            if after and _key(event.entry) <= _key(after):
                break
            if self._guards.may_see(event) and words in event.text.casefold():
                found.append(event)
                # With `after` the oldest of them are wanted.
                if not after and len(found) >= limit:
                    break
        return list(reversed(found[-limit:]))

    async def find(self, chat: str, message: str) -> ReceivedMessage | None:
        """Return the message of a chat with this entry or id; None for one that may not be seen."""
        if is_entry(message):
            event = await self._reader.event(message)
            is_there = isinstance(event, ReceivedMessage) and event.chat == chat
            return event if is_there and isinstance(event, ReceivedMessage) else None
        async for one in self._reader.messages(chat, _SEARCHED):
            if one.id == message:
                return one
        return None


def is_entry(text: str) -> bool:
    """Return whether a text is the id of an entry."""
    left, _, right = text.partition("-")
    return all(part.isascii() and part.isdecimal() and len(part) <= 20 for part in (left, right))  # noqa: PLR2004


def _key(entry: str) -> tuple[int, int]:
    left, _, right = entry.partition("-")
    return int(left), int(right or 0)


def _member(row: Mapping[str, Any]) -> Shown:
    shown: Shown = {"id": str(row.get("id", "")), "name": str(row.get("card") or row.get("name") or "")}
    if row.get("role"):
        shown["role"] = str(row["role"])
    return shown


def show_all(messages: list[ReceivedMessage]) -> list[Shown]:
    """Return messages as agents get them."""
    return [show_message(one) for one in messages]
