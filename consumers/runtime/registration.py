"""What a worker does: the decorators that register handlers, commands and timers."""

import functools
import inspect
import re
from collections.abc import Callable, Collection
from datetime import timedelta, tzinfo
from typing import Any, Concatenate, Final, TypeVar

from consumers.runtime.checks import (
    check_addresses,
    check_handler,
    check_senders,
    check_types,
    compiled,
    handler_name,
    period,
    rate,
    several,
)
from consumers.runtime.command_line import CommandLine, UsageError, check_names
from consumers.runtime.event import Event
from consumers.runtime.handlers import HandlerRegistry, Matcher, RateLimit
from consumers.runtime.threads import as_async
from consumers.runtime.timers import MIN_EVERY, Every, Tick, Timer, Timetable, cron

_Handler = TypeVar("_Handler", bound=Callable[[Event], Any])
_Command = TypeVar("_Command", bound=Callable[Concatenate[Event, ...], Any])
_TickHandler = TypeVar("_TickHandler", bound=Callable[[Tick], Any] | Callable[[], Any])
# Characters of a timer's name: it is a part of request ids.
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,40}", re.ASCII)


class Registrations:
    """The handlers and timers of a worker."""

    def __init__(self) -> None:
        self._handlers = HandlerRegistry()
        self._timers: dict[str, Timer] = {}

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
            limits = _limits(self._counted_as(handler), per_chat, per_sender)
            self._handlers.add(Matcher(as_async(handler), types, chats, senders, pattern, own, limits))
            return handler

        _limits("", per_chat, per_sender)
        return register

    def _counted_as(self, handler: Callable[..., Any]) -> str:
        """Return the name for rates: handlers of one name have counts of their own."""
        name = handler_name(handler)
        earlier = sum(handler_name(one.handler) == name for one in self._handlers)
        return f"{name}.{earlier + 1}" if earlier else name

    def command(
        self,
        *names: str,
        chat: str | Collection[str] = (),
        sender: str | Collection[str] = (),
        per_chat: str = "",
        per_sender: str = "",
    ) -> Callable[[_Command], _Command]:
        """Register a command: a message that begins with one of the names, with or without a slash.

        The parameters of the handler behind the event are its arguments, read by their types. Words that
        do not fit are answered with the usage. The other options are those of `on`.
        """
        check_names(names)

        def register(handler: _Command) -> _Command:
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

    def every(
        self, span: str | float | timedelta, *, name: str = ""
    ) -> Callable[[_TickHandler], _TickHandler]:
        """Register a timer: `30s`, `1m`, `2h`, `1d`, or seconds. It ticks at the multiples of the span.

        Each tick runs once over all processes of the application. The handler takes the Tick, or nothing;
        what it sends bears ids made from the tick. A tick at which no process ran is logged, not repeated.
        """
        if callable(span):
            raise TypeError("every needs its parentheses: @worker.every('1m')")
        seconds = span.total_seconds() if isinstance(span, timedelta) else span
        found = period(seconds, "every")
        if found < MIN_EVERY:
            raise ValueError(f"every {span!r} is below {MIN_EVERY:g} s")
        return self._timer(Every(found), name)

    def cron(
        self, line: str, *, tz: str | tzinfo = "UTC", name: str = ""
    ) -> Callable[[_TickHandler], _TickHandler]:
        """Register a timer by a cron line, as in `0 9 * * 1-5`, in a time zone. Otherwise as `every`."""
        if callable(line):
            raise TypeError("cron needs its parentheses: @worker.cron('0 9 * * *')")
        return self._timer(cron(line, tz), name)

    def _timer(self, table: Timetable, name: str) -> Callable[[_TickHandler], _TickHandler]:
        def register(handler: _TickHandler) -> _TickHandler:
            takes_tick = bool(inspect.signature(handler).parameters)
            check_handler(handler, 1 if takes_tick else 0, "Tick")
            chosen, call = name or handler_name(handler), as_async(handler)
            if not _NAME.fullmatch(chosen):
                raise ValueError(f"{chosen!r} cannot name a timer: give name= of A-Z a-z 0-9 . _ -")
            if chosen in self._timers:
                raise ValueError(f"there is a timer {chosen} already: give one of them a name=")

            @functools.wraps(handler, updated=())
            async def run(tick: Tick) -> None:
                await (call(tick) if takes_tick else call())

            self._timers[chosen] = Timer(chosen, table, run)
            return handler

        return register


_ONE_EVENT: Final = inspect.Signature([inspect.Parameter("event", inspect.Parameter.POSITIONAL_OR_KEYWORD)])


def _limits(name: str, per_chat: str, per_sender: str) -> tuple[RateLimit, ...]:
    found: list[RateLimit] = []
    if per_chat:
        found.append(RateLimit("chat", *rate(per_chat, "per_chat"), name))
    if per_sender:
        found.append(RateLimit("sender", *rate(per_sender, "per_sender"), name))
    return tuple(found)
