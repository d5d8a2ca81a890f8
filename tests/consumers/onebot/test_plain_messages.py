"""Proof of the short way: whatever an entry holds, it gives the frame that the long way gives, or none."""

from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter import At, Face, Image, ReceivedMessage, Reply, Segment, Text, read_event
from consumers.onebot.events import message_number, to_message
from consumers.onebot.hub import encode_frame
from consumers.onebot.message_index import MessageIndex
from consumers.onebot.plain_messages import read_plain
from tests.support.bus_events import fields, mapping, message, notice

ENTRY = "1793000000123-7"


def flat(row: dict[bytes, bytes]) -> list[bytes]:
    return [value for item in row.items() for value in item]


def long_way(row: dict[bytes, bytes], *, as_text: bool = False) -> bytes:
    event = to_message(read_event(ENTRY, row), {}, as_text=as_text)
    assert event is not None
    return encode_frame(event)


USUAL: list[tuple[tuple[Segment, ...], str]] = [
    ((Text("a & [b], <c>"), Face(14, "微笑")), "group:2"),
    ((Text(""),), "friend:3"),
    ((At("5", "小林"), Text(" hi 😀\n"), Image(file="x.jpg")), "discuss:4"),
    ((), "friend:3"),
]


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize(("segments", "chat"), USUAL)
def test_a_usual_message_gives_the_same_frame(
    segments: tuple[Segment, ...],
    chat: str,
    as_text: bool,  # noqa: FBT001 – a parameter
) -> None:
    row = mapping(fields(message(segments, chat)))
    plain = read_plain(ENTRY, flat(row), as_text=as_text)
    assert plain is not None
    assert plain.frame == long_way(row, as_text=as_text)


def test_what_is_remembered_is_the_same() -> None:
    row = mapping(fields(message("hi", "group:2")))
    received, plain = read_event(ENTRY, row), read_plain(ENTRY, flat(row))
    assert plain is not None
    one, two = MessageIndex(), MessageIndex()
    assert isinstance(received, ReceivedMessage)
    one.add_received(received, plain.known.number)
    two.add(plain.known)
    for index in (one, two):
        assert index.numbers.get(("group:2", received.message_id)) == message_number(received)
        assert index.groups.get("2") == "group:2"
        assert index.senders.get(("group:2", "3")) == received.body["sender"]


@pytest.mark.parametrize(
    "changes",
    [
        {b"v": b"2"},
        {b"id": b""},
        {b"id": b"\xff"},
        {b"type": b"notice.recall"},
        {b"time": b"yesterday"},
        {b"account": b""},
        {b"epoch": b""},
        {b"seq": b"x"},
        {b"chat": b"temp:3@group:2"},
        {b"chat": b"moon"},
        {b"chat": b"\xff"},
        {b"sender": b""},
        {b"self": b"1"},
        {b"text": b"\xff"},
        {b"body": b""},
        {b"body": b"\xc1"},
        {b"body": msgpack.packb([1])},
        {b"body": msgpack.packb({"segments": [], "chat": {}, "sender": {}})},
        {b"extra": b"field"},
    ],
    ids=repr,
)
def test_anything_else_takes_the_long_way(changes: dict[bytes, bytes]) -> None:
    row = mapping(fields(message("hi", "group:2")))
    assert read_plain(ENTRY, flat(row)) is not None
    assert read_plain(ENTRY, flat(row | changes)) is None


def test_quotations_notices_and_entries_in_another_order_take_the_long_way() -> None:
    assert read_plain(ENTRY, flat(mapping(fields(message((Reply("77"), Text("hi"))))))) is None
    assert read_plain(ENTRY, flat(mapping(fields(notice())))) is None
    row = mapping(fields(message("hi")))
    assert read_plain(ENTRY, flat(dict(reversed(row.items())))) is None


SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=6,
)
KINDS = st.sampled_from(["text", "face", "at", "image", "json", "file", "new"])
DATA = st.dictionaries(st.sampled_from(["text", "id", "qq", "file", "name", "url", ""]), VALUES, max_size=3)
SEGMENTS = st.lists(
    st.fixed_dictionaries({"type": KINDS | VALUES, "data": DATA | VALUES}) | VALUES, max_size=4
)
PEOPLE = st.dictionaries(
    st.sampled_from(["id", "name", "card", "role", "identity"]), st.text() | VALUES, max_size=4
)


@settings(max_examples=400, deadline=None)
@given(
    body=st.fixed_dictionaries(
        {
            "segments": SEGMENTS,
            "chat": PEOPLE | VALUES,
            "sender": PEOPLE | VALUES,
            "message_id": st.text() | VALUES,
        },
        optional={"upstream": VALUES, "font": VALUES, "entry": VALUES},
    ),
    chat=st.sampled_from(["group:2", "friend:3", "discuss:4", "group:99999999999999999999"]),
    sender=st.sampled_from([b"3", b"007", b"99999999999999999999", b"0"]),
    as_text=st.booleans(),
)
def test_whatever_a_body_holds_the_frame_is_that_of_the_long_way(
    body: dict[str, Any],
    chat: str,
    sender: bytes,
    as_text: bool,  # noqa: FBT001 – a parameter
) -> None:
    row = mapping(fields(message("hi", chat)))
    row |= {b"sender": sender, b"body": msgpack.packb(body, use_bin_type=True)}
    plain = read_plain(ENTRY, flat(row), as_text=as_text)
    if plain is not None:
        assert plain.frame == long_way(row, as_text=as_text)
