"""Events as handlers get them, and the requests that their replies become."""

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

# Characters of a request id that the contract allows.
MAX_ID: Final = 128
_ID: Final = re.compile(r"[A-Za-z0-9._:/@-]+", re.ASCII)

Content = str | tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """An entry for `qq:outbound`. Text may hold faces as `[名称]`; segments are literal."""

    to: str
    content: Content
    id: str
    cause: str = ""
    expires: float | str | None = None
    delivery: Delivery = Delivery.AT_MOST_ONCE
    priority: Priority = Priority.NORMAL
    results: str = ""

    def fields(self) -> list[str | bytes]:
        """Return names and values in the contract's order, without those at their default."""
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


class Reject(Exception):  # noqa: N818 – a decision of the handler, as in Celery
    """Raise it in a handler to move the event to `qq:dead` at once, without further attempts."""


class Publisher(Protocol):
    """Where requests go: the bus, or a list under `Worker.feed`."""

    application: str

    async def publish(self, request: Request) -> None:
        """Queue a request; Redis has it before the XACK of the event that it answers."""

    async def ask(self, request: Request, seconds: float) -> Result:
        """Publish a request and wait for its result. Raises TimeoutError."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the bus in its `delivery`-th attempt. `match`: what the text filter found."""

    received: Received
    publisher: Publisher = field(repr=False)
    delivery: int = 1
    match: re.Match[str] | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    @property
    def id(self) -> str:
        """Return the stable id of the event."""
        return self.received.id

    @property
    def type(self) -> str:
        """Return the type, such as `message.group`."""
        return self.received.type

    @property
    def chat(self) -> str:
        """Return the address to answer; empty where there is none."""
        return self.received.chat

    @property
    def sender(self) -> str:
        """Return the stable id of the speaker, empty if none."""
        return self.received.sender

    @property
    def text(self) -> str:
        """Return the content as plain text."""
        return self.received.text

    @property
    def own(self) -> bool:
        """Return whether the own account said it: never answer that."""
        return self.received.own

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Return the content of a message in segments; empty for anything else."""
        return self.received.segments if isinstance(self.received, ReceivedMessage) else ()

    async def reply(
        self,
        content: Content,
        *,
        expires: float | str | None = None,
        delivery: Delivery = Delivery.AT_MOST_ONCE,
        priority: Priority = Priority.NORMAL,
    ) -> str:
        """Reply in the chat of the event; returns the request id.

        The request id is made from the event id, so that an event handled twice is answered once. A
        handler with several replies must send them in the same order each time.
        """
        request = self._request(content, expires=expires, delivery=delivery, priority=priority)
        await self.publisher.publish(request)
        return request.id

    async def ask(self, content: Content, *, seconds: float = 60.0) -> Result:
        """Reply and wait for the result. Raises TimeoutError after `seconds`."""
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
            raise ValueError(f"{self.type} belongs to no chat: there is no address to reply to")
        number = next(self._numbers)
        ident = request_id(self.publisher.application, self.id, number)
        return Request(self.chat, content, ident, self.id, expires, delivery, priority)


def request_id(application: str, event: str, number: int = 1) -> str:
    """Return the id of the `number`-th reply to an event: the same after a redelivery."""
    tail = "" if number == 1 else f"/{number}"
    ident = f"{application}/{event}{tail}"
    if len(ident) <= MAX_ID and _ID.fullmatch(ident):
        return ident
    return f"{application}/{hashlib.sha256(event.encode()).hexdigest()}{tail}"


def fresh_id(application: str) -> str:
    """Return a random id for a request that no event caused; it makes a repeated XADD harmless."""
    return f"{application}/{secrets.token_hex(12)}"
