"""What a handler gets: an event that can be answered, and the requests that its answers become."""

import hashlib
import itertools
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from adapter import (
    Delivery,
    Priority,
    Received,
    ReceivedMessage,
    Result,
    Segment,
    pack,
    segment_to_dict,
)

MAX_ID: Final = 128
_ID: Final = re.compile(r"[A-Za-z0-9._:/@-]+", re.ASCII)

Content = str | tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One entry for `qq:outbound`. Text may hold faces as `[名称]`; segments are taken literally."""

    to: str
    content: Content
    id: str
    cause: str = ""
    expires: float | str | None = None
    delivery: Delivery = Delivery.AT_MOST_ONCE
    priority: Priority = Priority.NORMAL
    results: str = ""

    def fields(self) -> list[str | bytes]:
        """Names and values, in the contract's order; what is at its default is left out."""
        flat: list[str | bytes] = ["to", self.to]
        if isinstance(self.content, str):
            flat += ["text", self.content]
        else:
            flat += ["body", pack({"segments": [segment_to_dict(segment) for segment in self.content]})]
        flat += ["id", self.id]
        if self.expires is not None:
            flat += ["expires", str(self.expires)]
        if self.cause:
            flat += ["cause", self.cause]
        if self.delivery is not Delivery.AT_MOST_ONCE:
            flat += ["delivery", self.delivery.value]
        if self.priority is not Priority.NORMAL:
            flat += ["priority", self.priority.value]
        if self.results:
            flat += ["results", self.results]
        return flat


class Reject(Exception):  # noqa: N818 – the handler's word, not its mistake
    """Raised by a handler: trying again will not help, the event shall go to `qq:dead` at once."""


class Publisher(Protocol):
    """Where requests go: the bus, or a list in a test."""

    application: str

    async def publish(self, request: Request) -> None:
        """Take it; it is on the bus before the event it answers is acknowledged."""

    async def ask(self, request: Request, seconds: float) -> Result:
        """Take it and wait for its result. Raises TimeoutError."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the bus, delivered for the `delivery`-th time. `match`: what the text filter found."""

    received: Received
    publisher: Publisher = field(repr=False)
    delivery: int = 1
    match: re.Match[str] | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    @property
    def id(self) -> str:
        """The event's stable name."""
        return self.received.id

    @property
    def type(self) -> str:
        """`message.group` and so on."""
        return self.received.type

    @property
    def chat(self) -> str:
        """The address to answer; empty where there is none."""
        return self.received.chat

    @property
    def sender(self) -> str:
        """Stable id of the speaker, empty if none."""
        return self.received.sender

    @property
    def text(self) -> str:
        """Plain rendering."""
        return self.received.text

    @property
    def own(self) -> bool:
        """Said by the own account: never answer it."""
        return self.received.own

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The content of a message piece by piece; of anything else, nothing."""
        return self.received.segments if isinstance(self.received, ReceivedMessage) else ()

    async def reply(
        self,
        content: Content,
        *,
        expires: float | str | None = None,
        delivery: Delivery = Delivery.AT_MOST_ONCE,
        priority: Priority = Priority.NORMAL,
    ) -> str:
        """Answer where it was said; returns the request's id.

        The id is made from the event's, so that an event handled twice is answered once. A handler
        that answers several times should do so in the same order each time.
        """
        request = self._request(content, expires=expires, delivery=delivery, priority=priority)
        await self.publisher.publish(request)
        return request.id

    async def ask(self, content: Content, *, seconds: float = 60.0) -> Result:
        """Answer, and wait for what became of it. Raises TimeoutError after so many seconds."""
        request = self._request(content)
        return await self.publisher.ask(request, seconds)

    def _request(
        self,
        content: Content,
        *,
        expires: float | str | None = None,
        delivery: Delivery = Delivery.AT_MOST_ONCE,
        priority: Priority = Priority.NORMAL,
    ) -> Request:
        if not self.chat:
            raise ValueError(f"{self.type} belongs to no chat: nobody can be answered")
        ident = request_id(self.publisher.application, self.id, next(self._numbers))
        return Request(self.chat, content, ident, self.id, expires, delivery, priority)


def request_id(application: str, event: str, number: int = 1) -> str:
    """The id of an application's `number`-th answer to an event: the same again after a redelivery."""
    tail = "" if number == 1 else f"/{number}"
    ident = f"{application}/{event}{tail}"
    if len(ident) <= MAX_ID and _ID.fullmatch(ident):
        return ident
    return f"{application}/{hashlib.sha256(event.encode()).hexdigest()}{tail}"


def fresh_id(application: str) -> str:
    """An id for what nobody has asked for: it only has to outlive a repeated XADD."""
    return f"{application}/{secrets.token_hex(12)}"
