"""Hold what all pages show, and what changed since the last delta. Pure."""

import json
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from adapter.ops.page.views import View

# Rows of the past that a page which is opened gets to see.
EVENTS: Final = 120
REQUESTS: Final = 60
RESULTS: Final = 120


class PageState:
    """Collect changes: `delta` returns what is new, `snapshot` the whole."""

    def __init__(self) -> None:
        self.ready = False
        self._rows: dict[str, deque[View]] = {}
        self._facts: dict[str, Any] = {}
        self._changes: dict[str, Any] = {}
        self._snapshot: bytes | None = None
        self.clear()

    def clear(self) -> None:
        """Begin anew, with nothing to show."""
        self.ready = False
        self._rows = {
            "events": deque(maxlen=EVENTS),
            "requests": deque(maxlen=REQUESTS),
            "results": deque(maxlen=RESULTS),
        }
        self._facts = {}
        self._changes = {}
        self._snapshot = None

    def add(self, name: str, views: Iterable[View]) -> None:
        """Add rows of a stream."""
        if new := list(views):
            self._rows[name].extend(new)
            self._changes.setdefault(name, []).extend(new)
            self._snapshot = None

    def set(self, name: str, value: object) -> None:
        """Set a fact, such as the status; the same again is no change."""
        if self._facts.get(name, _NOTHING) != value:
            self._facts[name] = self._changes[name] = value
            self._snapshot = None

    def grow(self, name: str, rows: list[list[float]], since: float) -> None:
        """Set a long table of which only the rows from `since` on can be new."""
        if self._facts.get(name) != rows:
            self._facts[name] = rows
            self._changes[name] = [row for row in rows if row[0] >= since]
            self._snapshot = None

    def count(self, name: str, number: int) -> None:
        """Add to a counter that begins again with each delta, such as skipped events."""
        if number > 0:
            self._changes[name] = self._changes.get(name, 0) + number

    def delta(self) -> bytes:
        """Return the changes since the last call as one server-sent event; empty for none."""
        changes, self._changes = self._changes, {}
        return message("news", changes) if changes else b""

    def snapshot(self) -> bytes:
        """Return all as one server-sent event."""
        if self._snapshot is None:
            rows = {name: list(views) for name, views in self._rows.items()}
            self._snapshot = message("all", rows | self._facts)
        return self._snapshot


_NOTHING: Final = object()


def message(kind: str, value: object) -> bytes:
    """Encode one server-sent event. JSON holds no line break; a lone surrogate has no UTF-8."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}\n\n".encode("utf-8", "replace")
