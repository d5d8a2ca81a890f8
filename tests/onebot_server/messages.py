"""Messages that were said, their ids in the manner of each dialect, and the history of each chat."""

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .addresses import Chat
from .dialects import Dialect
from .segments import Segment

# Messages of a chat and of all chats that the history keeps.
MAX_IN_CHAT = 10_000
MAX_MESSAGES = 50_000
# The first id of onebots that was measured: 37 bits.
_WIDE_BASE = 84_966_612_664


@dataclass
class Said:
    """One message. `seq` rises by one in each chat; `is_hidden` keeps it out of the history."""

    chat: Chat
    sender: int
    segments: list[Segment]
    time: int
    seq: int
    message_id: int
    sub_type: str = ""
    is_hidden: bool = False
    is_unseen: bool = False  # the implementation itself was away
    is_recalled: bool = False


class MessageStore:
    """Allocates ids and keeps the newest messages."""

    def __init__(self, traits: Callable[[], Dialect]) -> None:
        self._traits = traits
        self._chats: dict[str, deque[Said]] = {}
        self._seqs: dict[str, int] = {}
        self._by_id: dict[int, Said] = {}
        self._order: deque[Said] = deque()
        self._next_ids: deque[int] = deque()

    def plan_ids(self, ids: list[int]) -> None:
        """Give the next messages these ids."""
        self._next_ids.extend(ids)

    def add(self, chat: Chat, sender: int, segments: list[Segment], time: int, sub_type: str = "") -> Said:
        """Keep a new message and return it."""
        key = str(chat)
        seq = self._seqs[key] = self._seqs.get(key, 0) + 1
        said = Said(chat, sender, segments, time, seq, self._new_id(key, seq, time), sub_type)
        self._chats.setdefault(key, deque(maxlen=MAX_IN_CHAT)).append(said)
        self._by_id[said.message_id] = said
        self._order.append(said)
        self._trim()
        return said

    def skip(self, chat: Chat, count: int) -> range:
        """Use up sequence numbers for messages that are not kept; return them."""
        first = self._seqs.get(str(chat), 0) + 1
        self._seqs[str(chat)] = first + count - 1
        return range(first, first + count)

    def find(self, message_id: int) -> Said | None:
        """Return the message of that id, if the implementation remembers it."""
        return self._by_id.get(message_id)

    def forget_ids(self) -> None:
        """Forget all ids, as an implementation does that keeps them in memory alone."""
        self._by_id.clear()

    def in_chat(self, chat: Chat) -> list[Said]:
        """Return what the history of a chat shows, oldest first."""
        return [
            said for said in self._chats.get(str(chat), ()) if not said.is_hidden and not said.is_recalled
        ]

    def _trim(self) -> None:
        if len(self._order) > MAX_MESSAGES:
            oldest = self._order.popleft()
            chat = self._chats[str(oldest.chat)]
            if chat and chat[0] is oldest:
                chat.popleft()
        while len(self._by_id) > self._traits().id_memory:
            del self._by_id[next(iter(self._by_id))]

    def _new_id(self, key: str, seq: int, time: int) -> int:
        if self._next_ids:
            return self._next_ids.popleft()
        return next(
            found
            for salt in range(1_000)
            if (found := message_id(self._traits().message_ids, f"{key}/{seq}/{time}/{salt}", seq))
            not in self._by_id
        )


def message_id(kind: str, source: str, seq: int) -> int:
    """Return an id: `hash31` is positive, `signed32` may be negative, `wide37` exceeds 32 bits."""
    if kind == "wide37":
        digest = int.from_bytes(hashlib.md5(source.encode(), usedforsecurity=False).digest()[:3])
        return _WIDE_BASE + seq + digest * 1_024
    number = int.from_bytes(hashlib.md5(source.encode(), usedforsecurity=False).digest()[:4])
    if kind == "hash31":
        return (number & 0x7FFF_FFFF) or 1
    return (number - 0x1_0000_0000 if number & 0x8000_0000 else number) or 1
