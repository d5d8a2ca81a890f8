"""Decide what an agent may see and do. Pure.

Invariant: what is not allowed is answered like what does not exist, by every tool.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from adapter import Received, ReceivedMessage, SchemaError, parse_address
from consumers.mcp.options import ANY, Options

# Seconds of the window of `--rate`.
RATE_SECONDS: Final = 60.0
# Chats whose sends are counted; beyond it the oldest is forgotten.
_MAX_CHATS: Final = 10_000


class Guards:
    """The lists of one server. `account` is the own number, `nick` the own name."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._readable = options.chats | options.read
        self._sends: dict[str, deque[float]] = {}
        self.account = ""
        self.nick = ""

    def may_read(self, chat: str) -> bool:
        """Return whether a chat may be read."""
        return _is_address(chat) and (ANY in self._readable or chat in self._readable)

    def may_write(self, chat: str) -> bool:
        """Return whether a chat may be written to."""
        chats = self._options.chats
        return not self._options.is_read_only and _is_address(chat) and (ANY in chats or chat in chats)

    def may_see(self, event: Received) -> bool:
        """Return whether a message may be shown: its chat, its sender, a mention in a group."""
        if not isinstance(event, ReceivedMessage) or not self.may_read(event.chat):
            return False
        if event.own:
            return True
        if self._options.senders and event.sender not in self._options.senders:
            return False
        is_group = event.chat.startswith(("group:", "discuss:"))
        return not (self._options.needs_mention and is_group) or self._mentions(event)

    def may_tell(self, event: Received) -> bool:
        """Return whether a new message may be passed on: never what the account itself said."""
        return not event.own and self.may_see(event)

    def _mentions(self, event: ReceivedMessage) -> bool:
        items = event.body.get("segments")
        for one in items if isinstance(items, list) else ():
            data: Mapping[str, Any] = one.get("data", {}) if isinstance(one, dict) else {}
            if one.get("type") == "at" and self.account and str(data.get("qq")) == self.account:
                return True
        # SmartQQ writes a mention as text.
        return bool(self.nick) and f"@{self.nick}" in event.text

    def count_send(self, chat: str, now: float) -> float:
        """Count a send; returns 0, or the seconds until one is allowed. `now` of a monotonic clock."""
        sends = self._sends.setdefault(chat, deque())
        while sends and sends[0] <= now - RATE_SECONDS:
            sends.popleft()
        if len(sends) >= self._options.rate:
            return sends[0] + RATE_SECONDS - now if sends else RATE_SECONDS
        sends.append(now)
        if len(self._sends) > _MAX_CHATS:
            del self._sends[next(iter(self._sends))]
        return 0.0


def _is_address(chat: str) -> bool:
    try:
        return str(parse_address(chat)) == chat
    except SchemaError:
        return False
