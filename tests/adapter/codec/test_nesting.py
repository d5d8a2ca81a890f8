"""Proof of adapter/codec/nesting.py: no value of others costs more than its bounds."""

import json
import tracemalloc

import msgpack
import pytest

from adapter.codec.nesting import MAX_DEPTH, MAX_VALUES, NestingError, load_bounded, unpack_bounded


@pytest.mark.parametrize("value", [{}, [], {"a": [1, {"b": None}]}, "x", 7, [[]] * 1000])
def test_what_is_within_the_bounds_is_read(value: object) -> None:
    assert unpack_bounded(msgpack.packb(value)) == value
    assert load_bounded(json.dumps(value).encode()) == value


def test_depth_is_bounded() -> None:
    for levels, is_read in ((MAX_DEPTH, True), (MAX_DEPTH + 2, False), (10_000, False)):
        for read, deep in (
            (unpack_bounded, b"\x91" * levels + b"\xc0"),
            (load_bounded, b"[" * levels + b"]" * levels),
        ):
            if is_read:
                read(deep)
            else:
                with pytest.raises(NestingError):
                    read(deep)


@pytest.mark.parametrize(
    "packed",
    [
        b"\xdd" + (4_000_000).to_bytes(4, "big") + b"\x80" * 4_000_000,
        b"\xdc\xff\xff" + (b"\xdc\x00\xff" + b"\x80" * 255) * 20_000,
    ],
)
def test_a_few_bytes_for_each_value_do_not_fill_the_memory(packed: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(NestingError):
        unpack_bounded(packed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 2**20


def test_json_of_too_many_values_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(NestingError):
        load_bounded(b"[" + b"{}," * MAX_VALUES + b"{}]")


@pytest.mark.parametrize("broken", [b"", b"\xc1", b"\x81", b"\x81\x90\xc0", b"\xa1\xff", b"{}", b"\xff\xfe"])
def test_what_is_no_value_at_all_is_named(broken: bytes) -> None:
    with pytest.raises(NestingError):
        unpack_bounded(broken)
    with pytest.raises(NestingError):
        load_bounded(broken.replace(b"{}", b"{"))
