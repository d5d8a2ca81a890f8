"""Chats that were heard from lately: whose history is asked for, and who may be written to. Pure."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from adapter.events import Address, ChatKind, Message

# Chats and members that are remembered, at 200 bytes each; the longest silent ones are forgotten first.
_MAX_CHATS: Final = 1_000
_MAX_MEMBERS: Final = 10_000


class RecentChats:
    """What the messages of this session say about chats and members."""

    def __init__(self) -> None:
        self._chats: OrderedDict[Address, float] = OrderedDict()
        self._members: OrderedDict[tuple[str, str], None] = OrderedDict()

    def observe(self, message: Message) -> None:
        """Note where a message was said, and that its sender is in that group."""
        chat = message.chat
        if chat.kind is not ChatKind.TEMP:
            self._chats[chat] = message.time
            self._chats.move_to_end(chat)
            if len(self._chats) > _MAX_CHATS:
                self._chats.popitem(last=False)
        group = chat.via.id if chat.via is not None else chat.id
        if chat.kind is not ChatKind.FRIEND and not message.from_self:
            self.confirm_member(group, message.sender)

    def restore(self, chats: Iterable[tuple[Address, float]]) -> None:
        """Note chats of a former process, with the times of their newest messages, oldest first."""
        self._chats.update(list(chats)[-_MAX_CHATS:])

    def times(self) -> tuple[tuple[Address, float], ...]:
        """Return all chats with the times of their newest messages, oldest first."""
        return tuple(self._chats.items())

    def latest(self, since: float, limit: int) -> tuple[Address, ...]:
        """Return the chats that were heard from since a time, the latest ones first."""
        found = [chat for chat, time in reversed(self._chats.items()) if time >= since]
        return tuple(found[:limit])

    def confirm_member(self, group: str, user: str) -> None:
        """Note that a person is in a group."""
        self._members[group, user] = None
        self._members.move_to_end((group, user))
        if len(self._members) > _MAX_MEMBERS:
            self._members.popitem(last=False)

    def forget_member(self, group: str, user: str) -> None:
        """Note that a person has left a group."""
        self._members.pop((group, user), None)

    def has_member(self, group: str, user: str) -> bool:
        """Whether a person was seen in a group in this session."""
        return (group, user) in self._members
