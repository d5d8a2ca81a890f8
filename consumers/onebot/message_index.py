"""What the gateway remembers of the messages that it has seen: bounded, and only to spare reads. Pure.

Everything here can be found on the bus again, by whichever gateway is asked.
"""

from collections import OrderedDict
from typing import Final, Generic, TypeVar

from adapter import ReceivedMessage

K = TypeVar("K")
V = TypeVar("V")
# Messages, and people by chat: a day of a busy account in a few megabytes.
MAX_MESSAGES: Final = 20_000
MAX_PEOPLE: Final = 10_000


class Recent(Generic[K, V]):
    """A map that forgets its first entry when it is full."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def put(self, key: K, value: V) -> None:
        """Remember a value; the newest for its key counts."""
        self._values[key] = value
        if len(self._values) > self._limit:
            self._values.popitem(last=False)

    def get(self, key: K) -> V | None:
        """Return a value, None if it is not remembered."""
        return self._values.get(key)


class MessageIndex:
    """Numbers of messages by the network's ids, and where people were last heard."""

    def __init__(self) -> None:
        # 0: looked for on the bus and not found.
        self.numbers: Recent[tuple[str, str], int] = Recent(MAX_MESSAGES)
        # Number of a person -> address of the private chat in which it was last heard, empty for none.
        self.private: Recent[str, str] = Recent(MAX_PEOPLE)
        # Number of a group or discussion -> its address.
        self.groups: Recent[str, str] = Recent(MAX_PEOPLE)
        # Chat and number of a person -> the sender's map of its last message.
        self.senders: Recent[tuple[str, str], dict[str, object]] = Recent(MAX_PEOPLE)

    def add(self, message: ReceivedMessage, number: int) -> None:
        """Remember a message that was read, and the number under which bots know it."""
        if message_id := message.message_id:
            self.numbers.put((message.chat, message_id), number)
        kind, _, rest = message.chat.partition(":")
        if kind in {"temp", "friend"}:
            self.private.put(rest.partition("@")[0], message.chat)
        elif kind in {"group", "discuss"}:
            self.groups.put(rest, message.chat)
        sender = message.body.get("sender")
        if message.sender and isinstance(sender, dict):
            self.senders.put((message.chat, message.sender), sender)
