"""Limit the rate of sends, by account and by chat. Arithmetic on a clock that is an argument. Pure."""

from dataclasses import dataclass, field

# Factors of the interval for the first messages after a reconnect: QQ punishes a backlog that is sent
# at once.
SLOW_START = (3.0, 2.0, 1.5)
# Chats whose interval is remembered; the ones that are over are dropped at this number.
MAX_CHATS = 10_000


@dataclass(slots=True)
class Pacer:
    """Rate limiter with one interval for the account and one per chat, in seconds.

    `now` is always the time of one monotonic clock, in seconds.
    """

    interval: float
    chat_interval: float = 0.0
    _next_send: float = 0.0
    _slow_start_step: int = len(SLOW_START)
    _chats: dict[str, float] = field(default_factory=dict)

    def restart_slow_start(self) -> None:
        """Start slowly again: the session is new."""
        self._slow_start_step = 0

    def delay(self, now: float) -> float:
        """Return the seconds until the account may send, 0 for at once."""
        return max(0.0, self._next_send - now)

    def chat_delay(self, chat: str, now: float) -> float:
        """Return the seconds until this chat may be sent to, 0 for at once."""
        return max(0.0, self._chats.get(chat, 0.0) - now)

    def record_send(self, chat: str, now: float) -> None:
        """Record that a send to a chat begins."""
        factor = 1.0
        if self._slow_start_step < len(SLOW_START):
            factor = SLOW_START[self._slow_start_step]
            self._slow_start_step += 1
        self._next_send = now + self.interval * factor
        if self.chat_interval > 0:
            if len(self._chats) >= MAX_CHATS:
                self._chats = {name: until for name, until in self._chats.items() if until > now}
            self._chats[chat] = now + self.chat_interval
