"""The Python worker runtime: name handlers, run, answer.

    from consumers.worker import Event, Worker

    worker = Worker("hello")

    @worker.on("message", text="^hello")
    async def hello(event: Event) -> None:
        await event.reply("hello yourself")

    worker.main()

Delivery is at least once and in order for each chat of this process; an event that is handled twice is
answered once, because replies carry an id made from the event's. Where Redis is comes from `REDIS_URL`
and `QQBUS_PREFIX`.
"""

import asyncio
import logging
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import Final

from redis.exceptions import RedisError

from adapter import ConfigError, Delivery, Priority, Received, Result
from consumers.runtime.client import BusClient
from consumers.runtime.connection import Settings, application_name, consumer_name
from consumers.runtime.event import Content, Event, Reject, Request, fresh_id
from consumers.runtime.handlers import Handler, HandlerRegistry, Matcher
from consumers.runtime.monitoring import endpoint
from consumers.runtime.runtime import Runtime, WorkerOptions

__all__ = ["Content", "Event", "WorkerOptions", "Reject", "Request", "Settings", "Worker"]

log = logging.getLogger("qqbus.worker")

_BAD_USE: Final = 2
_CANNOT_REACH: Final = 3


class Worker:
    """An application: its handlers and how it runs. All processes of this name share the work.

    `start`: where a new group begins: `0` (all that is kept), `$` (only what is new) or a time.
    The other options are those of Plan.
    """

    def __init__(
        self,
        name: str,
        *,
        start: str | datetime = "0",
        plan: WorkerOptions | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.name = application_name(name)
        self.plan = replace(plan or WorkerOptions(), start=_start(start))
        self._settings = settings
        self._handlers = HandlerRegistry()
        self._runtime: Runtime | None = None

    def on(
        self,
        *types: str,
        chat: str | Collection[str] = (),
        sender: str | Collection[str] = (),
        text: str | re.Pattern[str] | None = None,
        own: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Call this function for events of these types: `message.group`, or `message` for the family.

        `chat` and `sender`: one of these. `text`: a regular expression found somewhere in the text, its
        match in `event.match`. `own`: also what the own account said; never answer that. Every handler
        that wants an event gets it, in the order in which they were named.
        """

        def named(handler: Handler) -> Handler:
            pattern = re.compile(text) if isinstance(text, str) else text
            self._handlers.add(Matcher(handler, types, _several(chat), _several(sender), pattern, own))
            return handler

        return named

    async def send(
        self,
        to: str,
        content: Content,
        *,
        id: str = "",  # noqa: A002 – the contract's word
        cause: str = "",
        expires: float | str | None = None,
        delivery: Delivery = Delivery.AT_MOST_ONCE,
        priority: Priority = Priority.NORMAL,
    ) -> str:
        """Ask for a message to be sent; returns the request's id once it is on the bus.

        With an `id` of your own a repetition within a day is not sent again.
        """
        request = Request(to, content, id or fresh_id(self.name), cause, expires, delivery, priority)
        await self._running().office.send(request)
        return request.id

    async def ask(
        self,
        to: str,
        content: Content,
        *,
        id: str = "",  # noqa: A002 – the contract's word
        seconds: float = 60.0,
    ) -> Result:
        """Send, and wait for what became of it. Raises TimeoutError; the message may still be sent then."""
        return await self._running().office.ask(Request(to, content, id or fresh_id(self.name)), seconds)

    async def control(self, command: str, by: str) -> None:
        """Tell the adapter `login`, `logout`, `refresh`, `pause`, `resume`. Takes the operator's rights."""
        office = self._running().office
        await office.outlet.append(office.settings.key("control"), ["cmd", command, "by", by])

    async def feed(self, received: Received) -> list[Request]:
        """Call the handlers as if this had been read, without Redis; returns what they asked to send."""
        tray = RecordingPublisher(self.name)
        for handler, event in self._handlers.matching(Event(received, tray)):
            await handler(event)
        return tray.requests

    async def run(self) -> None:
        """Work until `stop`."""
        settings = self._settings or Settings.read(os.environ)
        async with BusClient.open(self.name, consumer_name(), settings) as office:
            self._runtime = Runtime(office, self._handlers, self.plan)
            try:
                async with endpoint(self._runtime, settings.http):
                    await self._runtime.run()
            finally:
                self._runtime = None

    async def ready(self) -> None:
        """Wait until the group exists and reading has begun."""
        await self._running().started.wait()

    def stop(self) -> None:
        """Take no more, finish what is in hand, return from `run`."""
        if self._runtime is not None:
            self._runtime.stop.set()

    def main(self) -> None:
        """Run as a program: SIGTERM and SIGINT end it with exit code 0 once what is in hand is done."""
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        try:
            asyncio.run(self._until_signal())
        except ConfigError as exc:
            log.error("%s", exc)  # noqa: TRY400 – likewise
            sys.exit(_BAD_USE)
        except BaseExceptionGroup as group:
            refused, others = group.split((RedisError, OSError))
            if refused is None or others is not None:
                raise
            log.error("Redis cannot be used: %s (REDIS_URL says where)", refused.exceptions[0])  # noqa: TRY400 – the words are enough
            sys.exit(_CANNOT_REACH)

    async def _until_signal(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await self.run()

    def _running(self) -> Runtime:
        if self._runtime is None:
            raise RuntimeError("the worker does not run: send and ask work inside handlers and beside run()")
        return self._runtime


class RecordingPublisher:
    """Where requests go that are only to be looked at."""

    def __init__(self, application: str) -> None:
        self.application = application
        self.requests: list[Request] = []

    async def publish(self, request: Request) -> None:
        """Keep it."""
        self.requests.append(request)

    async def ask(self, request: Request, seconds: float) -> Result:  # noqa: ARG002 – nobody answers
        """Keep it; there is nobody who could answer."""
        self.requests.append(request)
        raise TimeoutError("there is no adapter behind feed()")


def _several(value: str | Collection[str]) -> Collection[str]:
    return (value,) if isinstance(value, str) else frozenset(value)


def _start(value: str | datetime) -> str:
    if isinstance(value, datetime):
        # The last id that can exist in the millisecond before.
        return f"{max(0, math.ceil(value.timestamp() * 1000) - 1)}-{2**64 - 1}"
    return value
