"""Events as handlers get them, and the requests that their replies become."""

import itertools
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from adapter import (
    Delivery,
    Priority,
    Received,
    ReceivedMessage,
    ReceivedNotice,
    RequestLimits,
    Result,
    SchemaError,
    Segment,
    example_event,
)
from consumers.runtime.checks import check_arguments, check_senders, check_types
from consumers.runtime.memory import MemoryBus
from consumers.runtime.requests import Content, ContentError, Request, Time, check_content, request_id
from consumers.runtime.threads import from_any_thread

_example_numbers = itertools.count(1)


class Reject(Exception):  # noqa: N818 – a decision of the handler, as in Celery
    """Raise it in a handler to move the event to `qq:dead` at once, without further attempts."""


class Publisher(Protocol):
    """Where requests go: the bus, or a list under `Worker.feed`."""

    application: str
    limits: RequestLimits

    async def publish(self, request: Request) -> None:
        """Queue a request; Redis has it before the XACK of the event that it answers."""

    async def confirm(self, request: Request, seconds: float) -> Result:
        """Publish a request and wait for its result. Raises TimeoutError."""

    async def converse(self, received: Received, request: Request, seconds: float) -> Received:
        """Publish a question and wait for the speaker's next message. Raises TimeoutError."""

    async def first_time(self, key: str) -> bool:
        """Return whether this key is new to the application."""

    async def count(self, key: str, seconds: float) -> int:
        """Count a key in the present window of `seconds`; returns its count there."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the bus in its `delivery`-th attempt. `match`: what the text filter found."""

    received: Received
    publisher: Publisher = field(repr=False)
    delivery: int = 1
    match: re.Match[str] | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    @classmethod
    def example(
        cls,
        content: Content = "hello",
        *,
        chat: str = "friend:10001",
        sender: str = "",
        name: str = "小林",
        type: str = "",  # noqa: A002 – the contract's word
        own: bool = False,
        data: Mapping[str, object] | None = None,
        application: str = "example",
    ) -> "Event":
        """Return an event to try a handler with; what the handler asks for is in `requests`.

        `type`: `notice.poke`, `request.friend` and so on, with their `data`; a message of the chat without
        it. `sender`: the friend, or 10001 in a group. Raises ContentError for what no adapter would publish.
        """
        check_types((type,) if type else ())
        check_content(content)
        check_senders((sender,) if sender else ())
        check_arguments(str, chat=chat, name=name)
        check_arguments(Mapping, data=data or {})
        try:
            received = example_event(
                content,
                kind=type,
                chat=chat,
                sender=sender,
                name=name,
                own=own,
                data=data or {},
                number=next(_example_numbers),
                now=time.time(),
            )
        except SchemaError as exc:
            raise ContentError(str(exc), exc.code) from None
        return cls(received, MemoryBus(application))

    @property
    def requests(self) -> list[Request]:
        """Return what was asked for with an example of an event; of a live event nothing is kept."""
        return self.publisher.requests if isinstance(self.publisher, MemoryBus) else []

    @property
    def name(self) -> str:
        """Return the name to show for the speaker: the card in this group, else the name."""
        return self.received.sender_name

    @property
    def data(self) -> Mapping[str, Any]:
        """Return the content of a notice or request; empty for anything else."""
        return self.received.data if isinstance(self.received, ReceivedNotice) else {}

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

    @from_any_thread
    async def reply(
        self,
        content: Content,
        *,
        expires: Time = None,
        delivery: Delivery = Delivery.AT_MOST_ONCE,
        priority: Priority = Priority.NORMAL,
        at: Time = None,
    ) -> str:
        """Reply in the chat of the event; returns the request id.

        `at`: not before this time, or these seconds from now, at most 30 days; `expires` counts from there.

        The request id is made from the event id, so that an event handled twice is answered once. A
        handler with several replies must send them in the same order each time. Raises TypeError or
        ContentError for content that the adapter would reject.
        """
        return await self._publish(self._reply(content, expires, delivery, priority, at))

    @from_any_thread
    async def confirm(self, content: Content, *, seconds: float = 60.0) -> Result:
        """Reply and wait for the result. Raises TimeoutError after `seconds`."""
        request = self._reply(content)
        request.check(self.publisher.limits)
        return await self.publisher.confirm(request, seconds)

    @from_any_thread
    async def ask(self, content: Content, *, seconds: float = 60.0) -> "Event":
        """Ask the speaker and wait for the next message in this chat; returns that message.

        No other handler gets the answer. While the handler waits, its chat goes on. Any process of the
        application may hear the answer, and handles the event again if this one is killed. Raises
        NoAnswerError, a TimeoutError, after `seconds`; a handler that does not catch it is done.
        """
        if not self.sender:
            raise ValueError(f"{self.type} has no speaker who could be asked")
        request = self._reply(content)
        request.check(self.publisher.limits)
        return Event(await self.publisher.converse(self.received, request, seconds), self.publisher)

    @from_any_thread
    async def once(self, key: str) -> bool:
        """Return True the first time that this event comes here, False when it is handled again.

        A handler that may run twice does with it what must not be done twice, such as counting.
        """
        return await self.publisher.first_time(f"{self.id}:{key}")

    @from_any_thread
    async def approve(self, remark: str = "") -> str:
        """Approve this friend or group request; returns the request id. `remark` names a new friend."""
        return await self._answer("approve", remark)

    @from_any_thread
    async def deny(self, reason: str = "") -> str:
        """Deny this friend or group request; returns the request id."""
        return await self._answer("deny", reason)

    @from_any_thread
    async def recall(self) -> str:
        """Take the message of this event back; returns the request id."""
        if not self.received.message_id:
            raise ValueError(f"{self.type} has no message that could be recalled")
        message_id = self.received.message_id
        return await self._publish(
            Request(self.chat, "", self._next_id(), self.id, op="recall", message_id=message_id)
        )

    async def _answer(self, op: str, text: str) -> str:
        if not self.type.startswith("request."):
            raise ValueError(f"{self.type} is no request: there is nothing to {op}")
        return await self._publish(Request("", text, self._next_id(), self.id, op=op, event=self.id))

    async def _publish(self, request: Request) -> str:
        request.check(self.publisher.limits)
        await self.publisher.publish(request)
        return request.id

    def _next_id(self) -> str:
        return request_id(self.publisher.application, self.id, next(self._numbers))

    def _reply(
        self,
        content: Content,
        expires: Time = None,
        delivery: Delivery = Delivery.AT_MOST_ONCE,
        priority: Priority = Priority.NORMAL,
        at: Time = None,
    ) -> Request:
        if not self.chat:
            raise ValueError(f"{self.type} belongs to no chat: there is no address to reply to")
        return Request(self.chat, content, self._next_id(), self.id, expires, delivery, priority, at=at)
