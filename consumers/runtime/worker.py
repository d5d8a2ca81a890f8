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
import hashlib
import json
import logging
import math
import os
import re
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Final

from adapter import Delivery, Priority, QQBusError, Received, Result, Status
from adapter.i18n import _, choose_language
from consumers.runtime.checks import check_arguments, handler_name
from consumers.runtime.client import BusClient
from consumers.runtime.connection import Settings, application_name, consumer_name
from consumers.runtime.conversations import NoAnswerError
from consumers.runtime.event import Event
from consumers.runtime.memory import MemoryBus
from consumers.runtime.name_conflict import NameConflictWatch
from consumers.runtime.program import ENVIRONMENT, WorkerProgram, asks_for_help
from consumers.runtime.registration import Registrations
from consumers.runtime.requests import Content, Request, Time, fresh_id
from consumers.runtime.runtime import Runtime, WorkerOptions
from consumers.runtime.threads import from_any_thread
from consumers.runtime.ticks import TimerLoop, next_request_id, run_tick

log = logging.getLogger("qqbus.worker")

_START: Final = re.compile(r"\$|[0-9]{1,20}(?:-[0-9]{1,20})?", re.ASCII)


class CallError(QQBusError):
    """The network did not carry out a call. `result` has status, code and detail."""

    def __init__(self, action: str, result: Result) -> None:
        super().__init__(f"{action}: {result.status} {result.code} {result.detail}".strip())
        self.result = result


class Worker(Registrations):
    """An application: its handlers and how it runs. Processes of one name share the work.

    `start`: where a new group starts: `0` (all that is kept), `$` (only what is new) or a time.
    """

    # Whether a worker of this process was started: `qqbus worker` runs a file that starts none.
    has_run: ClassVar[bool] = False

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
        super().__init__()
        self.name = application_name(name)
        options = options or plan or WorkerOptions()
        check_arguments(WorkerOptions, options=options)
        check_arguments(Settings, settings=settings or Settings())
        self.options = replace(options, start=_start_id(start))
        self._settings = settings
        self._runtime: Runtime | None = None
        self._memory: MemoryBus | None = None

    @from_any_thread
    async def send(
        self,
        to: str,
        content: Content,
        *,
        id: str = "",  # noqa: A002 – the contract's word
        cause: str = "",
        expires: Time = None,
        delivery: Delivery = Delivery.AT_MOST_ONCE,
        priority: Priority = Priority.NORMAL,
        at: Time = None,
    ) -> str:
        """Request a message; returns the request id once Redis has it.

        `at`: not before this time, or these seconds from now, at most 30 days; `expires` counts from there.
        A second request with the same `id` within a day is not sent.
        """
        request = Request(to, content, id or self._fresh_id(), cause, expires, delivery, priority, at=at)
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
        request = Request(to, content, id or self._fresh_id())
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
        request = Request("", "", id or self._fresh_id(), op="call", action=action, params=params or {})
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
        if not isinstance(event, Event | Received):
            raise TypeError(f"feed takes an Event, not {type(event).__name__}: say takes a text")
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

    async def tick(self, name: str) -> list[Request]:
        """Run a tick of the timer of that name, without Redis; returns the requests that it would send."""
        timer = self._timers.get(name)
        if timer is None:
            raise ValueError(
                f"{name!r} is no timer of {self.name}: {', '.join(self._timers) or 'there is none'}"
            )
        memory = self._memory = self._memory or MemoryBus(self.name)
        start = len(memory.requests)
        await run_tick(timer, timer.tick(self.name, timer.table.next_after(time.time())))
        return memory.requests[start:]

    async def run(self, settings: Settings | None = None) -> None:
        """Work until `stop`. Raises ConfigError, or the error of Redis that no retry can mend.

        `settings` take the place of those of the worker and of the environment.
        """
        Worker.has_run = True
        if not len(self._handlers) and not self._timers:
            log.warning("%s has no handlers: it acknowledges all events and does nothing", self.name)
        settings = settings or self._settings or Settings.from_env()
        async with BusClient.open(self.name, consumer_name(), settings) as client:
            self._runtime = runtime = Runtime(client, self._handlers, self.options)
            runtime.extra_loops = [TimerLoop(timer, runtime).run for timer in self._timers.values()]
            watch = NameConflictWatch(client.state, self.name, client.consumer, self._digest())
            runtime.services.append(watch.run)
            try:
                async with _monitoring(runtime, settings.http):
                    await runtime.run()
            finally:
                self._runtime = None

    async def ready(self) -> None:
        """Wait until the group exists and reading has started."""
        await self._running().started.wait()

    @property
    def is_ready(self) -> bool:
        """Whether the worker reads events."""
        return self._runtime is not None and self._runtime.started.is_set()

    def stop(self) -> None:
        """Take no more events, finish those in flight, and return from `run`."""
        if self._runtime is not None:
            self._runtime.stop.set()

    def main(self) -> None:
        """Run as a program until SIGTERM or SIGINT; exits with 0 after them.

        The process ends within the shutdown timeout and a few seconds, whatever a handler does. With
        `--help` it prints what the worker does, and does not start it.
        """
        Worker.has_run = True
        if asks_for_help(sys.argv[1:]):
            choose_language(os.environ)
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
            _("usage: ") + f"{sys.argv[0]} [--help]",
            "",
            _("The worker {name} of the qqbus message bus.").format(name=self.name),
            "",
        ]
        for matcher in self._handlers:
            what = (getattr(matcher.handler, "__doc__", None) or "").strip().partition("\n")[0]
            kinds = ", ".join(matcher.types) or _("all events")
            lines.append(f"  {handler_name(matcher.handler):<20} {kinds}  {what}".rstrip())
        for timer in self._timers.values():
            what = (getattr(timer.handler, "__doc__", None) or "").strip().partition("\n")[0]
            lines.append(f"  {timer.name:<20} {timer.table}  {what}".rstrip())
        return "\n".join([*lines, "", _(ENVIRONMENT)])

    def _digest(self) -> str:
        """Return what distinguishes this bot from another one of its name."""
        what = [
            # Not the repr of an object: its address is another one in each process.
            (
                getattr(one.handler, "__name__", type(one.handler).__name__),
                *(one.types, sorted(one.chats), sorted(one.senders), one.text, one.own),
            )
            for one in self._handlers
        ]
        timers = [(timer.name, timer.table) for timer in self._timers.values()]
        return hashlib.sha256(repr((what, timers)).encode()).hexdigest()[:16]

    def _fresh_id(self) -> str:
        return next_request_id() or fresh_id(self.name)

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


def _start_id(value: str | datetime) -> str:
    if isinstance(value, datetime):
        # The last id that can exist in the millisecond before.
        return f"{max(0, math.ceil(value.timestamp() * 1000) - 1)}-{2**64 - 1}"
    if not isinstance(value, str) or not _START.fullmatch(value):
        raise ValueError(f"start {value!r} is neither '0', '$', the id of an entry nor a datetime")
    return value
