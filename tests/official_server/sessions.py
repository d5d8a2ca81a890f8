"""Gateway sessions and the dispatches that each keeps for Resume."""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field

from .record import Copy, Event


@dataclass
class Entry:
    """One dispatch of a session."""

    s: int
    event: Event
    copy: Copy


@dataclass
class Session:
    """What one Identify began. `detached` is None while a connection serves the session."""

    id: str
    intents: int
    shard: tuple[int, int]
    opened: float
    limit: int
    seq: int = 0
    entries: list[Entry] = field(default_factory=list)
    dropped_to: int = 0
    detached: float | None = None
    ended: float = 0.0
    end_reason: str = ""

    def take_s(self) -> int:
        """Return the next s of the session's stream."""
        self.seq += 1
        return self.seq

    def append(self, event: Event) -> None:
        """Give an event its s and keep it for Resume."""
        entry = Entry(self.take_s(), event, Copy(self.id, self.seq))
        event.copies.append(entry.copy)
        self.entries.append(entry)
        if len(self.entries) > self.limit:
            # A quarter at once, so that the list is not moved for each event.
            count = max(self.limit // 4, 1)
            self.dropped_to = self.entries[count - 1].s
            del self.entries[:count]

    def after(self, s: int) -> Entry | None:
        """Return the first kept dispatch above `s`."""
        index = self._index(s)
        return self.entries[index] if index < len(self.entries) else None

    def can_replay(self, s: int) -> bool:
        """Return whether `s` was given and nothing above it was dropped."""
        return self.dropped_to <= s <= self.seq

    def before(self, s: int, count: int) -> int:
        """Return the s from which a Resume repeats `count` known events."""
        known = self.entries[: self._index(s)]
        return s if not count or not known else known[-min(count, len(known))].s - 1

    def _index(self, s: int) -> int:
        return bisect.bisect_right(self.entries, s, key=lambda entry: entry.s)


class Sessions:
    """All sessions of one bot, the ended ones for the record."""

    def __init__(self) -> None:
        self._alive: dict[str, Session] = {}
        self.all: list[Session] = []

    def add(self, session: Session) -> None:
        """Begin a session."""
        self._alive[session.id] = session
        self.all.append(session)

    def find(self, session_id: str) -> Session | None:
        """Return a session that lives."""
        return self._alive.get(session_id)

    def alive(self) -> Iterator[Session]:
        """Yield the sessions that live."""
        yield from list(self._alive.values())

    def end(self, session: Session, reason: str, now: float) -> None:
        """End a session; it cannot be resumed any more."""
        if self._alive.pop(session.id, None) is not None:
            session.ended, session.end_reason = now, reason

    def expire(self, now: float, seconds: float) -> None:
        """End the sessions without a connection for longer than `seconds`."""
        for session in self.alive():
            if session.detached is not None and now - session.detached > seconds:
                self.end(session, "expired", session.detached + seconds)
