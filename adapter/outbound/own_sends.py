"""Publish what was sent as events, once: a network's own report of it is the same event. Pure.

Mechanism. With QQBUS_PUBLISH_SENT=1 the settlement of a request appends `message.*` with `self=1` in the step
that writes its result. Some networks report own messages too. Such a report is dropped if its id is that of a
sent part. One that arrives while a part for its chat is on the way waits until that part is settled.

Invariants:
- A report is dropped only for a message that was published, or is about to be.
- A report that waits is published after WAIT_SECONDS at the latest, or dropped.

What breaks them. A process that is killed forgets the reports that wait. They are copies of own messages,
whose requests the next process settles as `unknown`.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

from adapter.content import render
from adapter.events import Message, Outcome, Status

# Sent messages that are remembered: hours of constant sending.
MAX_SENT = 10_000
# Seconds that a report waits for the settlement of what may be its message.
WAIT_SECONDS = 60.0
# Seconds within which a network without ids of its own echoes a message.
ECHO_SECONDS = 30.0


class Report(Enum):
    """What becomes of a network's report of an own message."""

    PUBLISH = auto()
    DROP = auto()
    WAIT = auto()


class OwnSends:
    """What was sent lately, by chat. Does nothing unless it `is_enabled`. Times are in seconds."""

    def __init__(self, *, is_enabled: bool = False) -> None:
        self.is_enabled = is_enabled
        self._in_flight: Counter[str] = Counter()
        self._ids: OrderedDict[tuple[str, str], None] = OrderedDict()
        # Of networks without ids: chat and text -> when it was sent.
        self._texts: OrderedDict[tuple[str, str], float] = OrderedDict()

    @contextmanager
    def sending(self, chat: str) -> Iterator[None]:
        """Send a part to this chat in the body."""
        self._in_flight[chat] += 1
        try:
            yield
        finally:
            self._in_flight[chat] -= 1
            if self._in_flight[chat] <= 0:
                del self._in_flight[chat]

    def add(self, chat: str, outcome: Outcome | None, text: str, now: float) -> None:
        """Remember a message if it was sent; not all networks give it an id."""
        if not self.is_enabled or outcome is None or outcome.status is not Status.SENT:
            return
        if outcome.message_id:
            self._ids[chat, outcome.message_id] = None
        else:
            self._texts[chat, text] = now
        for known in (self._ids, self._texts):
            if len(known) > MAX_SENT:
                known.popitem(last=False)

    def judge(self, chat: str, message: Message, now: float) -> Report:
        """Return what becomes of the report of an own message."""
        if not (self.is_enabled and message.from_self):
            return Report.PUBLISH
        if (chat, message.message_id) in self._ids:
            return Report.DROP
        sent = self._texts.get((chat, render(message.segments)))
        if sent is not None and now - sent < ECHO_SECONDS:
            return Report.DROP
        return Report.WAIT if self._in_flight[chat] > 0 else Report.PUBLISH
