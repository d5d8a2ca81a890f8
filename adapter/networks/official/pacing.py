"""Pacing of messages that answer nothing: the API takes few of them. Answers have the account's pace."""

from collections.abc import Callable
from typing import Final

from adapter.events import Address
from adapter.networks.official.limits import Limits

# Chats whose last message is remembered; those whose pause is over go first.
_MAX_CHATS: Final = 10_000


class ProactivePacer:
    """Pauses of the bot and of each chat. `clock` is monotonic, in seconds."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._due = 0.0
        self._chats: dict[Address, float] = {}

    def delay(self, chat: Address) -> float:
        """Return the seconds until a message may speak first in a chat."""
        return max(self._due, self._chats.get(chat, 0.0)) - self._clock()

    def reserve(self, chat: Address) -> float:
        """Take the next turn of a message that speaks first; returns the seconds until then."""
        now = self._clock()
        delay = max(self.delay(chat), 0.0)
        self._due = now + delay + self._limits.proactive_seconds
        if len(self._chats) >= _MAX_CHATS:
            self._chats = {one: due for one, due in self._chats.items() if due > now}
        self._chats[chat] = now + delay + self._limits.proactive_chat_seconds
        return delay
