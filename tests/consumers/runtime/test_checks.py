"""Proof of consumers/runtime/checks.py: what can never work is refused where it is written."""

from typing import Any

import pytest

from adapter import EVENT_TYPES
from qqbus import Event, Worker, WorkerOptions


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
    ],
)
def test_a_filter_that_can_match_nothing_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Worker("app").on("message", **options)


@pytest.mark.parametrize("options", [{"chat": 1}, {"sender": [3]}, {"text": 5}, {"chat": b"group:1"}])
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


def test_on_without_its_parentheses_is_named() -> None:
    worker: Any = Worker("app")
    with pytest.raises(TypeError, match="parentheses"):
        worker.on(handle)


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


@pytest.mark.parametrize("start", ["now", "yesterday", "", "1-2-3"])
def test_a_start_that_is_no_place_in_the_stream_is_refused(start: str) -> None:
    with pytest.raises(ValueError, match="start"):
        Worker("app", start=start)
