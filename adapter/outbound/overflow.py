"""What waits in the pending list without being known: it was read when there was no room for it. Pure.

The reader goes on where room is short, so that `high` and the requests of other chats are found behind a
flood. What it leaves is read again in its order. A request of a chat of which one is left is left as well: a
chat keeps its order.
"""

from dataclasses import dataclass, field
from typing import Final

# Chats of which a request is left, 200 bytes each. Beyond them nothing more is read.
MAX_CHATS: Final = 50_000


@dataclass(slots=True)
class Overflow:
    """The entries that were left: `count` of them, all behind the entry `after`."""

    is_open: bool = False
    count: int = 0
    after: str = "0-0"
    chats: set[str] = field(default_factory=set)

    @property
    def is_full(self) -> bool:
        """Whether no more can be left."""
        return len(self.chats) >= MAX_CHATS

    def leave(self, chat: str = "") -> None:
        """Leave an entry; `chat` is that of a request."""
        self.is_open = True
        self.count += 1
        if chat:
            self.chats.add(chat)

    def take(self, entry: str) -> None:
        """Note that the entries up to this one are known now, one more than before."""
        self.after = entry
        self.count = max(0, self.count - 1)

    def clear(self) -> None:
        """Note that nothing is left."""
        self.is_open, self.count, self.after = False, 0, "0-0"
        self.chats.clear()
