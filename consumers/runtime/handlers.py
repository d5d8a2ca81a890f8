"""Match events to handlers, and call those that match."""

import logging
import re
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from consumers.runtime.event import Event

log = logging.getLogger("qqbus.worker")

Handler = Callable[[Event], Awaitable[object]]
# Event types in the cache. There are few; a stream of invented ones must not fill the memory.
_MAX_CACHED_TYPES: Final = 256


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `number` calls of a handler in `seconds`, for each chat or each speaker.

    Windows begin at multiples of `seconds`, in all processes alike. `name`: of the handler.
    """

    of: Literal["chat", "sender"]
    number: int
    seconds: float
    name: str

    async def admits(self, event: Event) -> bool:
        """Count the event; return whether the handler may still have it. A second attempt is not counted."""
        if event.delivery > 1:
            return True
        value = event.chat if self.of == "chat" else event.sender
        count = await event.publisher.count(f"{self.name}:{self.of}:{value}", self.seconds)
        if count == self.number + 1:
            log.info(
                "%s has had %d events of %s %s in %g s: further ones are passed over",
                self.name,
                self.number,
                self.of,
                value,
                self.seconds,
            )
        return count <= self.number


@dataclass(frozen=True, slots=True)
class Matcher:
    """A handler and its filter. An empty collection matches everything."""

    handler: Handler
    types: tuple[str, ...] = ()
    chats: Collection[str] = ()
    senders: Collection[str] = ()
    text: re.Pattern[str] | None = None
    own: bool = False
    limits: tuple[RateLimit, ...] = ()

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

    async def run(self, event: Event) -> None:
        """Call every handler that matches, one after the other, with the event as it gets it."""
        for matcher in self.of_type(event.received.type):
            matched = matcher.match(event)
            if matched is not None and (not matcher.limits or await _is_admitted(matcher.limits, matched)):
                await matcher.handler(matched)


async def _is_admitted(limits: tuple[RateLimit, ...], event: Event) -> bool:
    for limit in limits:
        if not await limit.admits(event):
            return False
    return True
