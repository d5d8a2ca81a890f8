"""The board: what all pages show at this moment, and what is new on it. Pure."""

import json
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from adapter.ops.page.views import View

# What a page that is opened gets to see of the past.
EVENTS: Final = 120
REQUESTS: Final = 60
RESULTS: Final = 120


class PageState:
    """Collects until `news` is taken; `picture` is the whole of it."""

    def __init__(self) -> None:
        self.ready = False
        self._rows: dict[str, deque[View]] = {}
        self._facts: dict[str, Any] = {}
        self._news: dict[str, Any] = {}
        self._picture: bytes | None = None
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.ready = False
        self._rows = {
            "events": deque(maxlen=EVENTS),
            "requests": deque(maxlen=REQUESTS),
            "results": deque(maxlen=RESULTS),
        }
        self._facts = {}
        self._news = {}
        self._picture = None

    def add(self, name: str, views: Iterable[View]) -> None:
        """New rows of a stream."""
        if fresh := list(views):
            self._rows[name].extend(fresh)
            self._news.setdefault(name, []).extend(fresh)
            self._picture = None

    def set(self, name: str, value: object) -> None:
        """A fact, such as the status; the same again is no news."""
        if self._facts.get(name, _NOTHING) != value:
            self._facts[name] = self._news[name] = value
            self._picture = None

    def grow(self, name: str, rows: list[list[float]], since: float) -> None:
        """A long table of which only the rows from `since` on can be new."""
        if self._facts.get(name) != rows:
            self._facts[name] = rows
            self._news[name] = [row for row in rows if row[0] >= since]
            self._picture = None

    def count(self, name: str, number: int) -> None:
        """Something to be added up, such as events that were passed over."""
        if number > 0:
            self._news[name] = self._news.get(name, 0) + number

    def delta(self) -> bytes:
        """What is new since this was asked last, as one event of the stream; empty for nothing."""
        news, self._news = self._news, {}
        return message("news", news) if news else b""

    def snapshot(self) -> bytes:
        """All of it, as one event of the stream."""
        if self._picture is None:
            rows = {name: list(views) for name, views in self._rows.items()}
            self._picture = message("all", rows | self._facts)
        return self._picture


_NOTHING: Final = object()


def message(kind: str, value: object) -> bytes:
    """One server-sent event. JSON holds no line break, and a lone surrogate has no UTF-8."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}\n\n".encode("utf-8", "replace")
