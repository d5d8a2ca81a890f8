"""Proof of consumers/runtime/command_line.py: commands with typed arguments, and the usage answer."""

import enum
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, Literal, NewType

import pytest

from qqbus import Event, Worker

pytestmark = pytest.mark.anyio


class Unit(enum.Enum):
    """What a test command takes."""

    C = "celsius"
    F = "fahrenheit"


class Step(enum.IntEnum):
    """Whose first value is false."""

    NONE = 0
    ONE = 1


def bot() -> tuple[Worker, list[tuple[Any, ...]]]:
    worker, calls = Worker("app"), list[tuple[Any, ...]]()

    @worker.command("weather", "天气")
    async def weather(_event: Event, city: str, days: int = 1) -> None:
        calls.append((city, days))

    @worker.command("sum")
    async def add(_event: Event, *numbers: float) -> None:
        calls.append(numbers)

    @worker.command("note")
    async def note(_event: Event, *, text: str) -> None:
        calls.append((text,))

    @worker.command("set")
    async def configure(
        _event: Event,
        unit: Unit,
        on: bool,  # noqa: FBT001 – read from a word
        mode: Literal["a", "b"],
        limit: Decimal | None = None,
    ) -> None:
        calls.append((unit, on, mode, limit))

    @worker.command("level")
    async def level(_event: Event, number: Literal[0, 1], step: Step) -> None:
        calls.append((number, step))

    @worker.command("ping")
    def ping(_event: Event) -> None:
        calls.append(("pong",))

    return worker, calls


@pytest.mark.parametrize(
    ("said", "call"),
    [
        ("weather 北京", ("北京", 1)),
        ("天气 北京 3", ("北京", 3)),
        ("/weather 北京 3", ("北京", 3)),
        ("  Weather   北京  ", ("北京", 1)),
        ("@bot weather 北京", ("北京", 1)),
        ('weather "New York" 2', ("New York", 2)),
        ("weather don't 2", ("don't", 2)),
        ("sum 1 2.5", (1.0, 2.5)),
        ("sum", ()),
        ("note buy  milk\nand bread", ("buy  milk\nand bread",)),
        ("set celsius yes a", (Unit.C, True, "a", None)),
        ("set F 否 b 1.50", (Unit.F, False, "b", Decimal("1.50"))),
        ("level 0 NONE", (0, Step.NONE)),
        ("level 1 0", (1, Step.NONE)),
        ("ping", ("pong",)),
    ],
)
async def test_arguments_are_read_by_the_signature(said: str, call: tuple[Any, ...]) -> None:
    worker, calls = bot()
    assert await worker.say(said) == []
    assert calls == [call]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("weather", "city is missing\nusage: weather CITY [DAYS]"),
        ("天气 北京 many", "days is a whole number, not 'many'\nusage: weather CITY [DAYS]"),
        ("weather 北京 1 2", "'2' is too much\nusage: weather CITY [DAYS]"),
        ("sum 1 nan", "numbers is a number, not 'nan'\nusage: sum [NUMBERS …]"),
        ("sum 1 x", "numbers is a number, not 'x'\nusage: sum [NUMBERS …]"),
        ("note", "text is missing\nusage: note TEXT…"),
        (
            "set kelvin yes a",
            "unit is one of celsius, fahrenheit, not 'kelvin'\nusage: set UNIT ON MODE [LIMIT]",
        ),
        ("set C maybe a", "on is yes or no, not 'maybe'\nusage: set UNIT ON MODE [LIMIT]"),
        ("set C yes c", "mode is one of a, b, not 'c'\nusage: set UNIT ON MODE [LIMIT]"),
        ("set C yes a much", "limit is Decimal, not 'much'\nusage: set UNIT ON MODE [LIMIT]"),
    ],
)
async def test_words_that_do_not_fit_are_answered_with_the_usage(said: str, answer: str) -> None:
    worker, calls = bot()
    (request,) = await worker.say(said)
    assert request.content == answer
    assert calls == []


@pytest.mark.parametrize("said", ["weatherman", "the weather", "pings", "", "天气好"])
async def test_other_words_are_no_command(said: str) -> None:
    worker, calls = bot()
    assert await worker.say(said or "x") == []
    assert calls == []


async def _containers(_event: Event, _words: list[str]) -> None: ...


async def _keywords(_event: Event, **_words: str) -> None: ...


async def _two_rests(_event: Event, *, _one: str, _two: str) -> None: ...


async def _no_event(_city: str) -> None: ...


async def _span(_event: Event, _span: timedelta) -> None: ...


Ident = NewType("Ident", int)


async def test_dates_new_types_and_unions_are_read_from_words() -> None:
    worker, calls = Worker("app"), list[tuple[Any, ...]]()

    @worker.command("book")
    async def book(
        _event: Event, day: date, hour: time, who: Ident, price: Ident | float | None = None
    ) -> None:
        calls.append((day, hour, who, price))

    assert await worker.say("book 2026-11-30 20:00 7 1.5") == []
    assert calls == [(date(2026, 11, 30), time(20), 7, 1.5)]
    answers = [
        (await worker.say(f"book {words}"))[0].content.partition("\n")[0]  # type: ignore[union-attr]
        for words in ("today 20:00 7", "2026-11-30 late 7", "2026-11-30 20:00 me", "2026-11-30 20:00 7 much")
    ]
    assert answers == [
        "day is a date as 2026-11-30, not 'today'",
        "hour is a time as 20:00, not 'late'",
        "who is a whole number, not 'me'",
        "price is a whole number or a number, not 'much'",
    ]


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (_containers, r"list\[str\] is no type that a word can be read as; \*_words takes several"),
        (_keywords, r"\*\*_words cannot be read from words"),
        (_two_rests, "_one takes all that is left: no parameter can follow it"),
        (_span, "timedelta'> is no type that a word can be read as"),
        (_no_event, "of the command x is given the Event first, not str"),
    ],
    ids=["containers", "keywords", "two-rests", "span", "no-event"],
)
def test_a_signature_that_no_words_can_fill_is_refused(handler: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Worker("app").command("x")(handler)


def test_annotations_that_are_imported_for_checkers_alone_are_named() -> None:
    async def weather(event: "Unknown", city: str) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TypeError, match="annotations of the command weather cannot be read: name 'Unknown'"):
        Worker("app").command("weather")(weather)


def test_a_command_that_cannot_be_called_is_refused() -> None:
    worker = Worker("app")
    with pytest.raises(TypeError, match="event first"):
        worker.command("x")(lambda: None)
    with pytest.raises(ValueError, match="without blanks"):
        worker.command("two words")(lambda _event: None)
    with pytest.raises(ValueError, match="has a name"):
        worker.command()(lambda _event: None)
