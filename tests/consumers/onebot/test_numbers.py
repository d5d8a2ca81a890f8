"""Proof of the numbers: exact, reversible, without a table."""

from hypothesis import given
from hypothesis import strategies as st

from consumers.onebot.numbers import EPOCH_MS, EntryRef, entry_number, number_entry, parse_integer


@given(ms=st.integers(EPOCH_MS + 1, EPOCH_MS + 2**41 - 1), seq=st.integers(0, 4095), was_sent=st.booleans())
def test_every_entry_until_2089_comes_back_exactly(ms: int, seq: int, was_sent: bool) -> None:  # noqa: FBT001
    number = entry_number(f"{ms}-{seq}", was_sent=was_sent)
    assert (number < 0) is was_sent
    assert int(float(number)) == number
    assert number_entry(number) == EntryRef(f"{ms}-{seq}", was_sent)


def test_the_formula_is_the_frozen_one() -> None:
    assert entry_number("1793000000123-7") == (1793000000123 - 1577836800000) * 4096 + 7
    assert entry_number("1793000000123-7", was_sent=True) == -((1793000000123 - 1577836800000) * 4096 + 7)


def test_what_has_no_number_is_zero_and_zero_names_no_entry() -> None:
    for entry in ("1793000000123-4096", "1-0", "", "x-1", "9999999999999999-0"):
        assert entry_number(entry) == 0
    assert number_entry(0) is None
    assert number_entry(2**60) is None


def test_ids_come_as_numbers_or_as_decimal_text() -> None:
    assert [parse_integer(value) for value in (5, "5", "-5", 5.0, "4294967296", " 7 ")] == [
        *(5, 5, -5, 5, 4294967296, 7)
    ]
    for value in (True, None, "", "x", 1.5, [], "1" * 30, "٣"):
        assert parse_integer(value) is None
