"""The log of events in flight and what each connection has confirmed of it. Pure.

Events get positions in the order in which they were read. Each connection has a window on the log: what it
was sent, and up to where it has confirmed. Confirmations are cumulative: a pong answers a ping that was sent
behind the frames.

Invariants:
- A position is done when every open window has confirmed it. At least one window is open.
- When the last window closes, what any window had confirmed is done. The rest leaves the log: it stays
  pending on the bus and comes again.
- A window that opens begins behind what any window has confirmed. What is in flight is sent to it again, in
  order, before anything newer.
- A window has at most MAX_EVENTS events or MAX_BYTES bytes unconfirmed; one larger event goes alone.

What breaks them: a pong that was not asked for. A connection passes on only pongs to its own pings.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

# Unconfirmed on one connection: a bot that is slower gets more when it confirms.
MAX_EVENTS: Final = 100
MAX_BYTES: Final = 16 * 1024 * 1024
# In the place of the brace that ends a frame.
_AGAIN: Final = b',"redelivered":true}'


@dataclass(slots=True, eq=False)
class LoggedEvent:
    """An event of the bus as frames. After it `was_sent` its next copy says that it is redelivered."""

    entry: str
    frames: tuple[bytes, ...]
    size: int
    was_sent: bool = False

    def take_frames(self) -> tuple[bytes, ...]:
        """Return the frames for one more connection."""
        if self.was_sent:
            return tuple(frame[:-1] + _AGAIN for frame in self.frames)
        self.was_sent = True
        return self.frames


@dataclass(slots=True, eq=False)
class Window:
    """What one connection was sent: `sent` and `confirmed` are positions."""

    sent: int
    confirmed: int
    # Position, size and second of each event that is not confirmed.
    unconfirmed: deque[tuple[int, int, float]] = field(default_factory=deque)
    unconfirmed_bytes: int = 0

    def oldest(self) -> float | None:
        """Return when the oldest unconfirmed event was taken; None if all are confirmed."""
        return self.unconfirmed[0][2] if self.unconfirmed else None


class DeliveryLog:
    """The events in flight, `size` bytes. Methods that finish events return the entries to acknowledge."""

    def __init__(self) -> None:
        # By position, without gaps: from `_first` to `_last`.
        self._events: dict[int, LoggedEvent] = {}
        self._windows: list[Window] = []
        self._first = 1
        self._last = 0
        # The newest position that any window has confirmed.
        self._seen = 0
        self.size = 0

    def __len__(self) -> int:
        return len(self._events)

    @property
    def is_open(self) -> bool:
        """Whether a window is open."""
        return bool(self._windows)

    def add(self, event: LoggedEvent) -> None:
        """Append an event."""
        self._last += 1
        self._events[self._last] = event
        self.size += event.size

    def open(self) -> Window:
        """Open a window; it gets what is in flight first."""
        window = Window(self._seen, self._seen)
        self._windows.append(window)
        return window

    def take(self, window: Window, now: float, limit: int = MAX_EVENTS) -> list[LoggedEvent]:
        """Return up to `limit` events to send to this connection; `now` in seconds of a monotonic clock."""
        taken: list[LoggedEvent] = []
        limit = min(limit, MAX_EVENTS - len(window.unconfirmed))
        while window.sent < self._last and len(taken) < limit:
            event = self._events[window.sent + 1]
            if window.unconfirmed and window.unconfirmed_bytes + event.size > MAX_BYTES:
                break
            window.sent += 1
            window.unconfirmed.append((window.sent, event.size, now))
            window.unconfirmed_bytes += event.size
            taken.append(event)
        return taken

    def has_more(self, window: Window) -> bool:
        """Return whether events wait for this window, room or not."""
        return window.sent < self._last

    def confirm(self, window: Window, position: int) -> list[str]:
        """Record that a connection has everything up to a position."""
        if window not in self._windows or position <= window.confirmed:
            return []
        while window.unconfirmed and window.unconfirmed[0][0] <= position:
            window.unconfirmed_bytes -= window.unconfirmed.popleft()[1]
        window.confirmed = position
        self._seen = max(self._seen, position)
        return self._finish(min(one.confirmed for one in self._windows))

    def close(self, window: Window) -> tuple[list[str], list[LoggedEvent]]:
        """Close a window; returns the entries that are done, and the events that left the log undone."""
        if window not in self._windows:
            return [], []
        self._windows.remove(window)
        if self._windows:
            return self._finish(min(one.confirmed for one in self._windows)), []
        done = self._finish(self._seen)
        dropped = list(self._events.values())
        self._events.clear()
        self.size = 0
        self._first = self._last + 1
        self._seen = self._last
        return done, dropped

    def _finish(self, position: int) -> list[str]:
        done: list[str] = []
        while self._first <= position:
            event = self._events.pop(self._first)
            self._first += 1
            self.size -= event.size
            done.append(event.entry)
        return done
