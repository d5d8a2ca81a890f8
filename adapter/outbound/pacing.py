"""How fast we may speak: arithmetic on a clock that is given, no sleeping."""

from dataclasses import dataclass, field

# After a reconnect the first messages go at this many times the interval, and faster each time: a
# backlog let loose at once is what upstream punishes.
SLOW_START = (3.0, 2.0, 1.5)
MAX_CHATS = 10_000


@dataclass(slots=True)
class Pacer:
    """The account's interval and the chat's, in seconds. `now` is a monotonic clock's."""

    interval: float
    chat_interval: float = 0.0
    _next: float = 0.0
    _warm: int = len(SLOW_START)
    _chats: dict[str, float] = field(default_factory=dict)

    def restart_slow_start(self) -> None:
        """The session is new: start slowly."""
        self._warm = 0

    def delay(self, now: float) -> float:
        """Seconds until the account may speak again, 0 for at once."""
        return max(0.0, self._next - now)

    def chat_delay(self, chat: str, now: float) -> float:
        """Seconds until this chat may be spoken to again."""
        return max(0.0, self._chats.get(chat, 0.0) - now)

    def record_send(self, chat: str, now: float) -> None:
        """A message has begun to leave."""
        factor = 1.0
        if self._warm < len(SLOW_START):
            factor, self._warm = SLOW_START[self._warm], self._warm + 1
        self._next = now + self.interval * factor
        if self.chat_interval > 0:
            if len(self._chats) >= MAX_CHATS:
                self._chats = {name: until for name, until in self._chats.items() if until > now}
            self._chats[chat] = now + self.chat_interval
