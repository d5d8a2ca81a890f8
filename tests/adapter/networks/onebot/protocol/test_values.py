"""Values of frames in all the types in which implementations send them."""

import math

import pytest

from adapter.networks.onebot.protocol.values import (
    iter_objects,
    mapping,
    parse_id,
    parse_int,
    parse_message_id,
    parse_text,
    parse_time,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (10001, "10001"),
        ("10001", "10001"),
        ("007", "7"),
        (84_966_612_664, "84966612664"),
        (9_007_199_254_740_993, "9007199254740993"),
        (0, ""),
        ("0", ""),
        (-5, ""),
        (True, ""),
        (None, ""),
        ("all", ""),
        ("1" * 21, ""),
        ("٣", ""),
        ([], ""),
    ],
)
def test_an_id_is_decimal_text(value: object, expected: str) -> None:
    assert parse_id(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(-2_147_483_648, "-2147483648"), ("-12", "-12"), (84_966_612_664, "84966612664"), (0, ""), (None, "")],
)
def test_a_message_id_may_be_negative(value: object, expected: str) -> None:
    assert parse_message_id(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_790_000_000, 1_790_000_000.0),
        ("1790000000", 1_790_000_000.0),
        (1_790_000_000_123, 1_790_000_000.123),
        (1_790_000_000.5, 1_790_000_000.5),
        (0, None),
        (-1, None),
        (None, None),
        ("now", None),
        (math.nan, None),
        (math.inf, None),
        (10**30, None),
    ],
)
def test_a_time_is_in_seconds(value: object, expected: float | None) -> None:
    assert parse_time(value) == expected


def test_other_values() -> None:
    assert [parse_int(one) for one in (5, "-5", 5.0, 5.5, "5.5", True, None)] == [
        5,
        -5,
        5,
        None,
        None,
        None,
        None,
    ]
    assert [parse_text(one) for one in ("a", 5, None, True, [])] == ["a", "5", "", "", ""]
    assert mapping([1]) == mapping(None) == {}
    assert list(iter_objects([{"a": 1}, None, 5])) == [{"a": 1}]
    assert list(iter_objects({"a": 1})) == []
