"""Prove protocol/content.py: content arrays, received and sent."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.content import Face, Font, Image, Markup, Segment, Text, Unknown, render
from adapter.errors import ProtocolError, SchemaError
from adapter.networks.smartqq.protocol.content import decode, encode
from tests.simulator.content import parse_sent

FONT = ["font", {"size": 10, "color": "000000", "style": [0, 0, 0], "name": "宋体"}]
CFACE = {"name": "A47C.jpg", "file_id": 2912345678, "key": "9USwBrADTpiscH66", "server": "10.20.30.40:80"}


def read(*elements: Any, early: bool = False) -> tuple[Segment, ...]:
    return decode([FONT, *elements], early=early)[0]


def inner(*segments: Segment, font: Font | None = None) -> list[list[Any]]:
    return [json.loads(part) for part in encode(segments, font)]


# --- in ---


@pytest.mark.parametrize(
    ("elements", "segments"),
    [
        (["hello "], (Text("hello"),)),
        (["hello  "], (Text("hello "),)),
        (["a", "", "b"], (Text("ab"),)),
        ([["face", 14], "a"], (Face(14, "微笑"), Text("a"))),
        (["a", ["face", "14"], " "], (Text("a"), Face(14, "微笑"))),
        ([["face", 0]], (Face(0, "表情"),)),
        (["a", FONT, "b"], (Text("ab"),)),
        (["&lt;b&gt; &amp;amp; &quot;x&quot;"], (Text('<b> &amp; "x"'),)),
        (["a\r\nb\rc\nd"], (Text("a\nb\nc\nd"),)),
        (["x\\/\x01\x00y"], (Text("x\\/\x01\x00y"),)),
        ([" \x00\n\x00\x00\x00\x00\x02宋体\r"], ()),
        (["text\x00\n\x00\x00\x00\x00\x02宋体\r"], (Text("text"),)),
        (["😀"], (Text("😀"),)),
        (
            [["cface", CFACE], " "],
            (Image("cface", "A47C.jpg", "2912345678", "9USwBrADTpiscH66", "10.20.30.40:80"),),
        ),
        ([["cface", "A47C.jpg", ""]], (Image("cface", "A47C.jpg"),)),
        ([["offpic", {"success": 1, "file_path": "/f3c1"}]], (Image("offpic", file_path="/f3c1"),)),
        ([["x", "new"]], (Unknown(["x", "new"]),)),
        (
            [["face"], ["face", "x"], ["cface"], 7, None, {}],
            tuple(map(Unknown, [["face"], ["face", "x"], ["cface"], 7, None, {}])),
        ),
    ],
)
def test_content_is_read_by_the_rules(elements: list[Any], segments: tuple[Segment, ...]) -> None:
    assert read(*elements) == segments


def test_a_font_and_an_empty_text_are_what_is_left_of_a_picture() -> None:
    assert read() == read("") == decode([""], early=True)[0] == (Image("missing"),)
    assert render(read()) == "[图片]"
    assert read("a", "") == (Text("a"),)
    assert decode([], early=False) == ((), None)


def test_an_early_face_0_is_astonishment() -> None:
    assert read(["face", 0], early=True) == (Face(0, "惊讶"),)


def test_the_font_is_read_and_mended() -> None:
    assert decode([FONT], early=False)[1] == Font("宋体", 10, (0, 0, 0), "000000")
    assert decode([["font", {"size": "x", "style": ["1", 2], "name": 3}]], early=False)[1] == Font(
        "宋体", 10, (1, 1, 0), "000000"
    )
    quoted = decode([["font", FONT[1] | {"name": '"幼圆"'}], "a"], early=False)[1]
    assert quoted == Font("幼圆", 10, (0, 0, 0), "000000")
    assert decode([["font"], "a"], early=False)[0] == (Text("a"),)


def test_no_array_is_a_protocol_error() -> None:
    contents: list[Any] = [None, "text", {}, 1]
    for content in contents:
        with pytest.raises(ProtocolError):
            decode(content, early=False)


# --- out ---


def test_the_font_stands_last_and_json_is_made_by_a_library() -> None:
    text = 'quote " back \\ line\n tab\t <&> 😀'
    assert inner(Text(text)) == [
        [text, ["font", {"name": "宋体", "size": 10, "style": [0, 0, 0], "color": "000000"}]]
    ]


def test_markup_becomes_faces_and_text_stays_text() -> None:
    assert inner(Markup("a[微笑][OK]b[nobody][惊讶]"))[0][:-1] == [
        *("a", ["face", 14], ["face", 124], "b[nobody]", ["face", 0])
    ]
    assert inner(Text("[微笑]"))[0][:-1] == ["[微笑]"]
    assert inner(Face(0, ""))[0][:-1] == [["face", 0]]


def test_the_font_can_be_chosen() -> None:
    assert inner(Text("a"), font=Font("Arial", 12, (1, 0, 0), "ff0000"))[0][-1] == [
        *("font", {"name": "Arial", "size": 12, "style": [1, 0, 0], "color": "ff0000"})
    ]


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("a" * 719, [719]),
        ("a" * 720, [719, 1]),
        ("中" * 300, [717, 183]),
        ("a" * 650 + " " + "b" * 100, [651, 100]),
        ("a" * 719 + " " + "b" * 10, [720, 10]),
        ("a" * 600 + " " + "b" * 200, [719, 82]),
        ("😀" * 200, [716, 84]),
        ("a" * 619 + "\n" + "b" * 200, [719, 101]),
        ("a" * 620 + "\n" + "b" * 200, [621, 200]),
    ],
)
def test_long_text_is_cut_at_blanks_and_between_characters(text: str, sizes: list[int]) -> None:
    parts = [part[0] for part in inner(Text(text))]
    assert [len(part.encode()) for part in parts] == sizes
    assert "".join(parts) == text


def test_faces_are_not_cut() -> None:
    parts = inner(*[Face(14, "微笑")] * 100)
    assert sum(len(part) - 1 for part in parts) == 100
    assert all(len(part) - 1 <= 90 for part in parts)


@pytest.mark.parametrize(
    ("segments", "code"),
    [
        ((), "content.empty"),
        ((Text(" \n"),), "content.empty"),
        ((Text("a"), Image("cface")), "content.unsupported"),
        ((Unknown(["x"]),), "content.unsupported"),
        ((Text("a" * 30_000),), "content.toolong"),
    ],
)
def test_what_cannot_be_sent_is_said_with_its_code(segments: tuple[Segment, ...], code: str) -> None:
    with pytest.raises(SchemaError) as caught:
        encode(segments, None)
    assert caught.value.code == code


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=2000))
def test_text_survives_the_way_out(text: str) -> None:
    if text.isspace():
        return
    parts = [parse_sent(part) for part in encode((Text(text),), None)]
    assert "".join(shown for _, shown in parts) == text
    assert all(len(shown.encode()) <= 720 for _, shown in parts)


@given(st.text(max_size=200))
def test_lone_surrogates_crash_nothing(text: str) -> None:
    content = encode((Text(f"x{text}"),), None)
    for part in content:
        part.encode()
