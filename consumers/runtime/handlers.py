"""Which handler wants which event."""

import re
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

from consumers.runtime.event import Event

Handler = Callable[[Event], Awaitable[object]]
# Types are few; a stream of invented ones shall not fill the memory.
_MAX_KNOWN: Final = 256


@dataclass(frozen=True, slots=True)
class Matcher:
    """One handler and its filter. Empty collections ask for nothing."""

    handler: Handler
    types: tuple[str, ...]
    chats: Collection[str]
    senders: Collection[str]
    text: re.Pattern[str] | None
    own: bool

    def matches_type(self, kind: str) -> bool:
        """Whether events of this type can be meant: the type itself, or its family."""
        return not self.types or any(kind == each or kind.startswith(f"{each}.") for each in self.types)

    def match(self, event: Event) -> Event | None:
        """The event as this handler gets it, or None."""
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
    """All handlers of a worker, in the order in which they were named."""

    def __init__(self) -> None:
        self._wishes: list[Matcher] = []
        self._by_type: dict[str, list[Matcher]] = {}

    def add(self, wish: Matcher) -> None:
        """One more."""
        self._wishes.append(wish)
        self._by_type.clear()

    def of_type(self, kind: str) -> list[Matcher]:
        """Those that may want an event of this type."""
        wishes = self._by_type.get(kind)
        if wishes is None:
            if len(self._by_type) >= _MAX_KNOWN:
                self._by_type.clear()
            wishes = self._by_type[kind] = [wish for wish in self._wishes if wish.matches_type(kind)]
        return wishes

    def matching(self, event: Event) -> Iterator[tuple[Handler, Event]]:
        """Every handler that wants this event, with the event as it gets it."""
        for wish in self.of_type(event.received.type):
            mine = wish.match(event)
            if mine is not None:
                yield wish.handler, mine
