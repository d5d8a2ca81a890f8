"""Match events to handlers."""

import re
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

from consumers.runtime.event import Event

Handler = Callable[[Event], Awaitable[object]]
# Event types in the cache. There are few; a stream of invented ones must not fill the memory.
_MAX_CACHED_TYPES: Final = 256


@dataclass(frozen=True, slots=True)
class Matcher:
    """A handler and its filter. An empty collection matches everything."""

    handler: Handler
    types: tuple[str, ...]
    chats: Collection[str]
    senders: Collection[str]
    text: re.Pattern[str] | None
    own: bool

    def matches_type(self, kind: str) -> bool:
        """Return whether the filter names this type or its family."""
        return not self.types or any(kind == each or kind.startswith(f"{each}.") for each in self.types)

    def match(self, event: Event) -> Event | None:
        """Return the event as this handler gets it, or None."""
        received = event.received
        if received.own and not self.own:
            return None
        if self.chats and received.chat not in self.chats:
            return None
        if self.senders and received.sender not in self.senders:
            return None
        if self.text is None:
            return event
        match = self.text.search(received.text)
        return replace(event, match=match) if match else None


class HandlerRegistry:
    """All handlers of a worker, in the order of their registration."""

    def __init__(self) -> None:
        self._matchers: list[Matcher] = []
        self._by_type: dict[str, list[Matcher]] = {}

    def add(self, matcher: Matcher) -> None:
        """Register a handler."""
        self._matchers.append(matcher)
        self._by_type.clear()

    def __len__(self) -> int:
        return len(self._matchers)

    def __iter__(self) -> Iterator[Matcher]:
        return iter(self._matchers)

    def of_type(self, kind: str) -> list[Matcher]:
        """Return the matchers for this type, from a cache."""
        matchers = self._by_type.get(kind)
        if matchers is None:
            if len(self._by_type) >= _MAX_CACHED_TYPES:
                self._by_type.clear()
            matchers = self._by_type[kind] = [
                matcher for matcher in self._matchers if matcher.matches_type(kind)
            ]
        return matchers

    def matching(self, event: Event) -> Iterator[tuple[Handler, Event]]:
        """Yield every handler that matches, with the event as it gets it."""
        for matcher in self.of_type(event.received.type):
            matched = matcher.match(event)
            if matched is not None:
                yield matcher.handler, matched
