"""The Python worker runtime: register handlers, run, reply.

    from qqbus import Event, Worker

    worker = Worker("hello")

    @worker.on("message", text="^hello")
    async def hello(event: Event) -> None:
        await event.reply("hello yourself")

    worker.main()

Delivery is at least once, and in order for each chat of this process. An event that is handled twice is
answered once, because request ids are made from event ids. `REDIS_URL` and `QQBUS_PREFIX` say where the
bus is.
"""

import asyncio
import contextlib
import json
import logging
import math
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from redis.exceptions import RedisError

from adapter import DEFAULT_LIMITS, ConfigError, Delivery, Priority, QQBusError, Received, Result, Status
from consumers.runtime.client import BusClient
from consumers.runtime.connection import Settings, application_name, consumer_name, describe_error
from consumers.runtime.event import Event
from consumers.runtime.handlers import Handler, HandlerRegistry, Matcher
from consumers.runtime.requests import Content, Request, fresh_id
from consumers.runtime.runtime import Runtime, WorkerOptions

log = logging.getLogger("qqbus.worker")

# Exit codes.
_FAILED: Final = 1
_BAD_USE: Final = 2
_CANNOT_REACH: Final = 3
# Seconds after the shutdown timeout at which the process exits whatever still runs in it.
_EXIT_MARGIN: Final = 5.0


class CallError(QQBusError):
    """The network did not carry out a call. `result` has status, code and detail."""

    def __init__(self, action: str, result: Result) -> None:
        super().__init__(f"{action}: {result.status} {result.code} {result.detail}".strip())
        self.result = result


class Worker:
    """An application: its handlers and how it runs. Processes of one name share the work.

    `start`: where a new group starts: `0` (all that is kept), `$` (only what is new) or a time.
    """

    def __init__(
        self,
        name: str,
        *,
        start: str | datetime = "0",
        options: WorkerOptions | None = None,
        settings: Settings | None = None,
        plan: WorkerOptions | None = None,
    ) -> None:
        if plan is not None:
            warnings.warn("Worker(plan=…) is now Worker(options=…)", DeprecationWarning, stacklevel=2)
        self.name = application_name(name)
        self.options = replace(options or plan or WorkerOptions(), start=_start_id(start))
        self._settings = settings
        self._handlers = HandlerRegistry()
        self._runtime: Runtime | None = None
        self._exit_timers: list[threading.Timer] = []

    def on(
        self,
        *types: str,
        chat: str | Collection[str] = (),
        sender: str | Collection[str] = (),
        text: str | re.Pattern[str] | None = None,
        own: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Register a handler for these types: `message.group`, or `message` for the family.

        `chat` and `sender`: one value or several. `text`: a regular expression that is searched in the
        text; the match is in `event.match`. `own`: also what the own account said; never answer that.
        All handlers that match get the event, in the order of their registration.
        """

        def register(handler: Handler) -> Handler:
            pattern = re.compile(text) if isinstance(text, str) else text
            self._handlers.add(Matcher(handler, types, _several(chat), _several(sender), pattern, own))
            return handler

        return register

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
        """Request a message; returns the request id once Redis has it.

        A second request with the same `id` within a day is not sent.
        """
        request = Request(to, content, id or fresh_id(self.name), cause, expires, delivery, priority)
        request.check()
        await self._running().client.send(request)
        return request.id

    async def ask(
        self,
        to: str,
        content: Content,
        *,
        id: str = "",  # noqa: A002 – the contract's word
        seconds: float = 60.0,
    ) -> Result:
        """Request a message and wait for its result.

        Raises TimeoutError after `seconds`; the message may still be sent then.
        """
        request = Request(to, content, id or fresh_id(self.name))
        request.check()
        return await self._running().client.ask(request, seconds)

    async def call(
        self,
        action: str,
        params: Mapping[str, object] | None = None,
        *,
        id: str = "",  # noqa: A002 – the contract's word
        seconds: float = 60.0,
    ) -> Any:
        """Call an action of the network by its name; returns the `data` of its answer.

        Raises CallError if it was not carried out, TimeoutError after `seconds`.
        """
        request = Request("", "", id or fresh_id(self.name), op="call", action=action, params=params or {})
        request.check()
        result = await self._running().client.ask(request, seconds)
        if result.status != Status.SENT:
            raise CallError(action, result)
        return json.loads(result.data) if result.data else None

    async def control(self, command: str, by: str) -> None:
        """Send the adapter `login`, `logout`, `refresh`, `pause` or `resume`.

        Takes the Redis rights of an operator. `by` names who asked for it.
        """
        client = self._running().client
        await client.writer.append(client.settings.key("control"), ["cmd", command, "by", by])

    async def feed(self, received: Received) -> list[Request]:
        """Call the handlers with this event, without Redis; returns their requests."""
        publisher = RecordingPublisher(self.name)
        for handler, event in self._handlers.matching(Event(received, publisher)):
            await handler(event)
        return publisher.requests

    async def run(self) -> None:
        """Work until `stop`. Raises ConfigError, or the error of Redis that no retry can mend."""
        settings = self._settings or Settings.from_env()
        async with BusClient.open(self.name, consumer_name(), settings) as client:
            self._runtime = Runtime(client, self._handlers, self.options)
            try:
                async with _monitoring(self._runtime, settings.http):
                    await self._runtime.run()
            finally:
                self._runtime = None

    async def ready(self) -> None:
        """Wait until the group exists and reading has started."""
        await self._running().started.wait()

    def stop(self) -> None:
        """Take no more events, finish those in flight, and return from `run`."""
        if self._runtime is not None:
            self._runtime.stop.set()

    def main(self) -> None:
        """Run as a program until SIGTERM or SIGINT; exits with 0 after them.

        The process ends within the shutdown timeout and a few seconds, whatever a handler does.
        """
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        try:
            asyncio.run(self._run_program())
        except ConfigError as exc:
            log.error("%s", exc)  # noqa: TRY400 – the message is enough
            sys.exit(_BAD_USE)
        except (RedisError, OSError) as exc:
            log.error("Redis cannot be used: %s (REDIS_URL names it)", describe_error(exc))  # noqa: TRY400 – likewise
            sys.exit(_CANNOT_REACH)
        finally:
            for timer in self._exit_timers:
                timer.cancel()

    async def _run_program(self) -> None:
        loop = asyncio.get_running_loop()

        def on_signal(*_: object) -> None:
            self._exit_after(self.options.shutdown_timeout + _EXIT_MARGIN)
            loop.call_soon_threadsafe(self.stop)

        # Not the loop's own handlers: a handler that blocks the loop would block them too.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
        try:
            await self.run()
        finally:
            # asyncio.run waits without limit for tasks that ignore their cancellation.
            self._exit_after(_EXIT_MARGIN)

    def _exit_after(self, seconds: float) -> None:
        timer = threading.Timer(seconds, _exit)
        timer.daemon = True
        timer.start()
        self._exit_timers.append(timer)

    def _running(self) -> Runtime:
        if self._runtime is None:
            raise RuntimeError("the worker does not run: call this in a handler, or beside run()")
        return self._runtime


def _exit() -> None:
    log.error("a handler does not end: exiting without it, its event will come again")
    os._exit(_FAILED)


def _monitoring(runtime: Runtime, address: str) -> "contextlib.AbstractAsyncContextManager[None]":
    if not address:
        return contextlib.nullcontext()
    # 6 MB and 0.15 s that a worker without the endpoint saves.
    from consumers.runtime.monitoring import serve_monitoring  # noqa: PLC0415

    return serve_monitoring(runtime, address)


class RecordingPublisher:
    """Keeps the requests of `Worker.feed`."""

    # Those of the reference network: a test refuses what they refuse.
    limits = DEFAULT_LIMITS

    def __init__(self, application: str) -> None:
        self.application = application
        self.requests: list[Request] = []

    async def publish(self, request: Request) -> None:
        """Keep a request."""
        self.requests.append(request)

    async def ask(self, request: Request, seconds: float) -> Result:  # noqa: ARG002 – there is no reply
        """Keep a request. Raises TimeoutError."""
        self.requests.append(request)
        raise TimeoutError("Worker.feed has no adapter that could reply")


def _several(value: str | Collection[str]) -> Collection[str]:
    return (value,) if isinstance(value, str) else frozenset(value)


def _start_id(value: str | datetime) -> str:
    if isinstance(value, datetime):
        # The last id that can exist in the millisecond before.
        return f"{max(0, math.ceil(value.timestamp() * 1000) - 1)}-{2**64 - 1}"
    return value
