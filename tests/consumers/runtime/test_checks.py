"""Proof of consumers/runtime/checks.py: what can never work is refused where it is written."""

import re
from typing import Any

import pytest

from adapter import EVENT_TYPES
from qqbus import Event, Tick, Worker, WorkerOptions


async def handle(event: Event) -> None:
    await event.reply(event.text)


@pytest.mark.parametrize(
    ("types", "words"),
    [
        (["mesage"], "do you mean 'message'"),
        (["message.gruop"], "do you mean 'message.group'"),
        (["notice.recal"], "do you mean 'notice.recall'"),
        (["request.firend"], "do you mean 'request.friend'"),
        (["sesion"], "do you mean 'session'"),
        (["message", "xyzzy"], "give one of message, notice"),
        (["MESSAGE"], "do you mean 'message'"),
        (["friend"], "do you mean 'message.friend'"),
        (["recall"], "do you mean 'notice.recall'"),
        ([""], "is no type of events"),
    ],
)
def test_a_mistyped_event_type_is_refused_with_the_nearest_word(types: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Worker("app").on(*types)


@pytest.mark.parametrize("kind", [*EVENT_TYPES, "message", "notice", "request", "session"])
def test_every_type_of_the_contract_passes(kind: str) -> None:
    Worker("app").on(kind)(handle)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"chat": "gruop:1"}, "do you mean group:1"),
        ({"chat": ["group:1", "10001"]}, "is not one of friend"),
        ({"sender": "friend:3"}, "sender 'friend:3' is not an id in digits"),
        ({"sender": "小林"}, "is not an id in digits"),
        ({"text": "("}, "is no regular expression"),
        ({"chat": []}, "chat is an empty list"),
        ({"sender": set()}, "sender is an empty list"),
        ({"per_chat": "often"}, "is no rate such as '5/1m'"),
    ],
)
def test_a_filter_that_can_match_nothing_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Worker("app").on("message", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"chat": 1},
        {"sender": [3]},
        {"sender": 3},
        {"text": 5},
        {"text": re.compile(b"x")},
        {"chat": b"group:1"},
    ],
    ids=str,
)
def test_a_filter_of_another_type_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Worker("app").on("message", **options)


def no_argument() -> None: ...


def two_arguments(_one: object, _two: object) -> None: ...


def generator(_event: object) -> Any:
    yield


async def async_generator(_event: object) -> Any:
    yield


@pytest.mark.parametrize("handler", [no_argument, two_arguments, generator, async_generator, 5, None])
def test_what_cannot_handle_an_event_is_refused(handler: Any) -> None:
    with pytest.raises(TypeError, match="handler"):
        Worker("app").on("message")(handler)


@pytest.mark.parametrize("decorator", ["on", "command", "every", "cron"])
def test_a_decorator_without_its_parentheses_is_named(decorator: str) -> None:
    with pytest.raises(TypeError, match=rf"{decorator} needs its parentheses"):
        getattr(Worker("app"), decorator)(handle)


async def takes_text(_text: str) -> None: ...


async def takes_event(_event: Event) -> None: ...


async def takes_tick(_tick: "Tick") -> None: ...


def test_a_handler_of_something_else_is_refused() -> None:
    worker = Worker("app")
    with pytest.raises(TypeError, match="takes_text is given the Event first, not str"):
        worker.on("message")(takes_text)
    with pytest.raises(TypeError, match="takes_tick is given the Event first, not Tick"):
        worker.on("message")(takes_tick)
    with pytest.raises(TypeError, match="takes_event is given the Tick first, not Event"):
        worker.every("1m")(takes_event)
    with pytest.raises(TypeError, match="must take one argument, the Tick"):
        worker.every("1m")(two_arguments)


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"concurrency": 1.5},
        {"max_deliveries": 0},
        {"claim_after": 0},
        {"retry_delay": -1},
        {"shutdown_timeout": "20"},
        {"session_timeout": float("nan")},
    ],
)
def test_an_option_out_of_range_is_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        WorkerOptions(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"options": {"concurrency": 3}}, "options is a WorkerOptions, not dict"),
        ({"settings": "redis://:secret@localhost"}, "settings is a Settings, not str$"),
    ],
    ids=["options", "settings"],
)
def test_an_argument_of_another_type_is_named_without_its_value(options: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Worker("app", **options)


@pytest.mark.parametrize("start", ["now", "yesterday", "", "1-2-3"])
def test_a_start_that_is_no_place_in_the_stream_is_refused(start: str) -> None:
    with pytest.raises(ValueError, match="start"):
        Worker("app", start=start)
