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

import contextlib
import functools
import inspect
import json
import logging
import math
import re
import sys
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

from adapter import Delivery, Priority, QQBusError, Received, Result, Status
from consumers.runtime.checks import (
    check_addresses,
    check_handler,
    check_senders,
    check_types,
    compiled,
    handler_name,
    rate,
    several,
)
from consumers.runtime.client import BusClient
from consumers.runtime.command_line import CommandLine, UsageError
from consumers.runtime.connection import Settings, application_name, consumer_name
from consumers.runtime.conversations import NoAnswerError
from consumers.runtime.event import Event
from consumers.runtime.handlers import HandlerRegistry, Matcher, RateLimit
from consumers.runtime.memory import MemoryBus
from consumers.runtime.program import ENVIRONMENT, WorkerProgram, asks_for_help
from consumers.runtime.requests import Content, Request, fresh_id
from consumers.runtime.runtime import Runtime, WorkerOptions
from consumers.runtime.threads import as_async, from_any_thread

log = logging.getLogger("qqbus.worker")

_START: Final = re.compile(r"\$|[0-9]{1,20}(?:-[0-9]{1,20})?", re.ASCII)
_Handler = TypeVar("_Handler", bound=Callable[..., Any])


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
        self._memory: MemoryBus | None = None

    def on(
        self,
        *types: str,
        chat: str | Collection[str] = (),
        sender: str | Collection[str] = (),
        text: str | re.Pattern[str] | None = None,
        own: bool = False,
        per_chat: str = "",
        per_sender: str = "",
    ) -> Callable[[_Handler], _Handler]:
        """Register a handler for these types: `message.group`, or `message` for the family.

        `chat` and `sender`: one value or several. `text`: a regular expression that is searched in the
        text; the match is in `event.match`. `own`: also what the own account said; never answer that.
        `per_chat` and `per_sender` limit how often each chat and each speaker gets the handler, as in `5/1m`.
        All handlers that match get the event, in the order of their registration. A handler that is no
        `async def` runs in a thread. Raises ValueError or TypeError for a filter that can match nothing.
        """
        check_types(types)
        chats, senders, pattern = several(chat, "chat"), several(sender, "sender"), compiled(text)
        check_addresses(chats)
        check_senders(senders)

        def register(handler: _Handler) -> _Handler:
            check_handler(handler)
            limits = _limits(handler_name(handler), per_chat, per_sender)
            self._handlers.add(Matcher(as_async(handler), types, chats, senders, pattern, own, limits))
            return handler

        _limits("", per_chat, per_sender)
        return register

    def command(
        self,
        *names: str,
        chat: str | Collection[str] = (),
        sender: str | Collection[str] = (),
        per_chat: str = "",
        per_sender: str = "",
    ) -> Callable[[_Handler], _Handler]:
        """Register a command: a message that begins with one of the names, with or without a slash.

        The parameters of the handler behind the event are its arguments, read by their types. Words that
        do not fit are answered with the usage. The other options are those of `on`.
        """

        def register(handler: _Handler) -> _Handler:
            line, call = CommandLine(names, handler), as_async(handler)

            @functools.wraps(handler, updated=())
            async def run(event: Event) -> None:
                try:
                    args, options = line.parse(event.match["rest"] or "" if event.match else "")
                except UsageError as exc:
                    await event.reply(f"{exc}\nusage: {line.usage()}")
                    return
                await call(event, *args, **options)

            on = self.on(
                "message",
                chat=chat,
                sender=sender,
                text=line.pattern(),
                per_chat=per_chat,
                per_sender=per_sender,
            )
            run.__signature__ = _ONE_EVENT  # type: ignore[attr-defined]
            on(run)
            return handler

        _limits("", per_chat, per_sender)
        return register

    @from_any_thread
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
        await self._bus().send(request)
        return request.id

    @from_any_thread
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
        return await self._bus().confirm(request, seconds)

    @from_any_thread
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
        result = await self._bus().confirm(request, seconds)
        if result.status != Status.SENT:
            raise CallError(action, result)
        return json.loads(result.data) if result.data else None

    async def control(self, command: str, by: str) -> None:
        """Send the adapter `login`, `logout`, `refresh`, `pause` or `resume`.

        Takes the Redis rights of an operator. `by` names who asked for it.
        """
        client = self._running().client
        await client.writer.append(client.settings.key("control"), ["cmd", command, "by", by])

    async def feed(self, event: Event | Received) -> list[Request]:
        """Call the handlers with this event, without Redis; returns their requests.

        A handler that asks its speaker waits for the next `feed` or `say` of that speaker, in the same
        event loop. Raises what a handler raises, and refuses what the adapter would reject.
        """
        memory = self._memory = self._memory or MemoryBus(self.name)
        received = event.received if isinstance(event, Event) else event

        async def run() -> None:
            with contextlib.suppress(NoAnswerError):
                await self._handlers.run(Event(received, memory))

        return await memory.feed(received, run)

    async def say(
        self,
        content: Content = "hello",
        *,
        chat: str = "friend:10001",
        sender: str = "",
        name: str = "小林",
        type: str = "",  # noqa: A002 – the contract's word
        own: bool = False,
        data: Mapping[str, object] | None = None,
    ) -> list[Request]:
        """Let the worker hear a message, without Redis; returns the requests that it would send.

        The arguments are those of `Event.example`.
        """
        return await self.feed(
            Event.example(content, chat=chat, sender=sender, name=name, type=type, own=own, data=data)
        )

    async def run(self) -> None:
        """Work until `stop`. Raises ConfigError, or the error of Redis that no retry can mend."""
        if not len(self._handlers):
            log.warning("%s has no handlers: it acknowledges all events and does nothing", self.name)
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

        The process ends within the shutdown timeout and a few seconds, whatever a handler does. With
        `--help` it prints what the worker does, and does not start it.
        """
        if asks_for_help(sys.argv[1:]):
            print(self.describe())
            return
        options = self.options
        WorkerProgram(
            self.run,
            self.stop,
            self._in_hand,
            shutdown_timeout=options.shutdown_timeout,
            concurrency=options.concurrency,
        ).main()

    def describe(self) -> str:
        """Return what the worker does, for `--help`."""
        lines = [
            f"usage: {sys.argv[0]} [--help]",
            "",
            f"The worker {self.name} of the qqbus message bus.",
            "",
        ]
        for matcher in self._handlers:
            what = (getattr(matcher.handler, "__doc__", None) or "").strip().partition("\n")[0]
            kinds = ", ".join(matcher.types) or "all events"
            lines.append(f"  {handler_name(matcher.handler):<20} {kinds}  {what}".rstrip())
        return "\n".join([*lines, "", ENVIRONMENT])

    def _in_hand(self) -> int:
        return 0 if self._runtime is None else len(self._runtime.dispatcher.in_flight)

    def _bus(self) -> BusClient | MemoryBus:
        return self._memory if self._runtime is None and self._memory else self._running().client

    def _running(self) -> Runtime:
        if self._runtime is None:
            raise RuntimeError("the worker does not run: call this in a handler, or beside run()")
        return self._runtime


def _monitoring(runtime: Runtime, address: str) -> "contextlib.AbstractAsyncContextManager[None]":
    if not address:
        return contextlib.nullcontext()
    # 6 MB and 0.15 s that a worker without the endpoint saves.
    from consumers.runtime.monitoring import serve_monitoring  # noqa: PLC0415

    return serve_monitoring(runtime, address)


_ONE_EVENT: Final = inspect.Signature([inspect.Parameter("event", inspect.Parameter.POSITIONAL_OR_KEYWORD)])


def _limits(name: str, per_chat: str, per_sender: str) -> tuple[RateLimit, ...]:
    found: list[RateLimit] = []
    if per_chat:
        found.append(RateLimit("chat", *rate(per_chat, "per_chat"), name))
    if per_sender:
        found.append(RateLimit("sender", *rate(per_sender, "per_sender"), name))
    return tuple(found)


def _start_id(value: str | datetime) -> str:
    if isinstance(value, datetime):
        # The last id that can exist in the millisecond before.
        return f"{max(0, math.ceil(value.timestamp() * 1000) - 1)}-{2**64 - 1}"
    if not _START.fullmatch(value):
        raise ValueError(f"start {value!r} is neither 0, $, the id of an entry nor a datetime")
    return value
