"""Prove adapter/cli/terminal.py and adapter/ops/wording.py: columns, harmless text, times and lengths."""

import json
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from adapter.cli.terminal import Paint, align_columns, as_json, clip, wrap_rows
from adapter.ops.wording import ago, clock, entry_time, length, moment, span, start_id
from adapter.plain_text import harmless

HOSTILE = "\x1b[31m\x07\x9b2J\u202e\u2066\u200f\u2028\x00\ud800\U000e0041"


# Texts of 4 columns: where Python's own width data or a naive count would misplace the next column.
FOUR_COLUMNS = [
    "abcd",
    "你好",
    "😀😀",
    "👨\u200d👩\u200d👧ab",
    "👍🏽ab",
    "🇨🇳ab",
    "❤️ab",
    "❤abc",
    "éabc",
    "e\u0301abc",
    "ｱabc",
    "Ａab",
]


@pytest.mark.parametrize("text", FOUR_COLUMNS)
def test_columns_line_up_behind_chinese_and_emoji(text: str) -> None:
    assert align_columns([[text, "x"], ["abcdef", "y"]]) == [f"{text}    x", "abcdef  y"]
    assert wrap_rows([(text, "x"), ("abcdef", "y")], colour=False) == [f"{text}    x", "abcdef  y"]


def test_columns_may_end_on_the_right_and_none_are_no_lines() -> None:
    assert align_columns([["1"], ["200"]], right=frozenset({0})) == ["  1", "200"]
    assert align_columns([]) == []


def test_foreign_text_is_no_markup_in_rows() -> None:
    text = f"[bold]x[/bold] :smile: {HOSTILE}\nb"
    (line,) = wrap_rows([("a", text)], colour=False)
    assert line == f"a  {harmless(text)}"
    (line,) = align_columns([["a", text]])
    assert line == f"a  {harmless(text)}"


def test_a_row_has_the_colour_that_it_is_given() -> None:
    first, second = wrap_rows([("a", "x"), ("b", "y")], colour=True, styles={0: "green"})
    assert "\x1b[32m" in first
    assert "\x1b[" not in second


@given(st.text(), st.integers(1, 20))
def test_a_clipped_text_is_never_wider_than_asked(text: str, columns: int) -> None:
    clean = harmless(text)
    cut = clip(clean, columns)
    assert cell_len(cut) <= columns
    assert cut == clean or cut.endswith("…")


def orders(text: str) -> list[str]:
    return [
        char
        for char in text
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and char != "\u200d"
    ]


def test_nothing_in_a_text_can_give_orders_to_the_terminal() -> None:
    shown = harmless(f"a{HOSTILE}b\r\nc\td")
    assert orders(shown) == []
    assert shown.startswith("a␛[31m␇<U+009B>2J<U+202E>")
    assert shown.endswith("b⏎c d")


@given(st.text())
def test_no_text_at_all_can(text: str) -> None:
    assert orders(harmless(text)) == []
    line = as_json({"text": text})
    assert orders(line) == []
    assert json.loads(line) == {"text": text}


def test_json_shows_bytes_as_hexadecimal() -> None:
    assert as_json({"raw": b"\xff"}) == '{"raw": "ff"}'


def test_colour_is_there_only_when_it_is_wanted() -> None:
    assert Paint(colour=False)("x", "red") == "x"
    assert Paint(colour=True)("x", "red") == "\x1b[31mx\x1b[0m"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (11_520, "3 h 12 min"),
        (180_000, "2 d 2 h"),
    ],
)
def test_lengths_of_time_are_told_with_two_units_at_most(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("1445653507123-4", "1445653507123-4"),
        ("0", "0-0"),
        ("1445653507123", "1445653507122-18446744073709551615"),
        ("2015-10-24T02:25:07.123Z", "1445653507122-18446744073709551615"),
        ("2015-10-24T10:25:07.123+08:00", "1445653507122-18446744073709551615"),
        ("10m", "1399999-18446744073709551615"),
        ("90", "1909999-18446744073709551615"),
        ("yesterday", "0-18446744073709551615"),
        ("-1", None),
        ("soon", None),
    ],
)
def test_a_start_is_an_id_a_time_or_so_long_ago(text: str, start: str | None) -> None:
    assert start_id(text, 2000.0) == start


def test_a_start_without_a_zone_is_in_local_time() -> None:
    seconds = datetime.fromisoformat("2015-10-24T02:25:07").astimezone().timestamp()
    assert start_id("2015-10-24T02:25:07", 2000.0) == f"{seconds * 1000 - 1:.0f}-18446744073709551615"


def test_times_of_the_bus() -> None:
    assert moment("1970-01-01T00:00:01.500Z") == 1.5
    assert moment("") is None
    assert ago("1970-01-01T00:00:01.000Z", 61.0) == "1 min ago"
    assert ago("", 61.0) == "never"
    assert entry_time("1500-3") == 1.5
    assert (length("2h"), length("x")) == (7200, None)


@pytest.mark.parametrize("entry", [f"{2**64 - 1}-{2**64 - 1}", f"{2**63}-7", "253402300799000-0"])
def test_a_late_id_has_no_time_of_day(entry: str) -> None:
    assert clock(entry_time(entry)) == "–"
    assert clock(entry_time("1445653507000-0")) != "–"


@pytest.mark.parametrize(
    "text", ["0001-01-01", "0001-01-01T00:00:00", "02-30 11:00", "9" * 400, "9" * 400 + "s", "9999-99-99"]
)
def test_a_time_in_no_calendar_is_none(text: str) -> None:
    assert start_id(text, 1_445_653_507.0) in {None, "0-18446744073709551615"}


def test_a_day_that_last_year_had_not_is_none() -> None:
    assert start_id("02-29 11:00", datetime(2028, 2, 10, tzinfo=UTC).timestamp()) is None
