"""What the gateway remembers of the messages that it has seen: bounded, and only to spare reads. Pure.

Everything here can be found on the bus again, by whichever gateway is asked.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final, Generic, NamedTuple, TypeVar

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


class Known(NamedTuple):
    """A message as it is remembered; `profile`: the sender's map."""

    chat: str
    sender: str
    message_id: str
    number: int
    profile: dict[str, Any] | None


class MessageIndex:
    """Numbers of messages by the network's ids, and where people were last heard.

    Messages are filed when an action asks: most are never asked for.
    """

    def __init__(self) -> None:
        self._unfiled: deque[Known] = deque(maxlen=MAX_MESSAGES)
        self._numbers: Recent[tuple[str, str], int] = Recent(MAX_MESSAGES)
        self._private: Recent[str, str] = Recent(MAX_PEOPLE)
        self._groups: Recent[str, str] = Recent(MAX_PEOPLE)
        self._senders: Recent[tuple[str, str], dict[str, Any]] = Recent(MAX_PEOPLE)
        # Remembers a message that was read.
        self.add: Callable[[Known], None] = self._unfiled.append

    @property
    def numbers(self) -> Recent[tuple[str, str], int]:
        """Numbers by chat and network's id; 0: looked for on the bus and not found."""
        self._file()
        return self._numbers

    @property
    def private(self) -> Recent[str, str]:
        """Number of a person -> address of the private chat in which it was last heard, empty for none."""
        self._file()
        return self._private

    @property
    def groups(self) -> Recent[str, str]:
        """Number of a group or discussion -> its address."""
        self._file()
        return self._groups

    @property
    def senders(self) -> Recent[tuple[str, str], dict[str, Any]]:
        """Chat and number of a person -> the sender's map of its last message."""
        self._file()
        return self._senders

    def add_received(self, message: ReceivedMessage, number: int) -> None:
        """Remember a message, and the number under which bots know it."""
        sender = message.body.get("sender")
        profile = sender if isinstance(sender, dict) else None
        self.add(Known(message.chat, message.sender, message.message_id, number, profile))

    def _file(self) -> None:
        while self._unfiled:
            chat, sender, message_id, number, profile = self._unfiled.popleft()
            if message_id:
                self._numbers.put((chat, message_id), number)
            kind, _, rest = chat.partition(":")
            if kind in {"temp", "friend"}:
                self._private.put(rest.partition("@")[0], chat)
            elif kind in {"group", "discuss"}:
                self._groups.put(rest, chat)
            if sender and profile is not None:
                self._senders.put((chat, sender), profile)
