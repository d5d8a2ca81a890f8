"""Segments: both ways between the vocabulary and `{type, data}`."""

import pytest

from adapter.codec.segments import decode_segment, read_segment, segment_to_dict
from adapter.content import (
    EVERYONE,
    At,
    Face,
    File,
    Forward,
    Image,
    Json,
    Markdown,
    Markup,
    Record,
    Reply,
    Segment,
    Text,
    Unknown,
    Video,
    render,
)

ALL: tuple[Segment, ...] = (
    Text("a"),
    Face(14, "微笑"),
    Image("cface", name="x.jpg", file_id="1", key="k", server="127.0.0.1:80"),
    Image(file="A.jpg", url="http://x/y?rkey=1", size=3_000_000),
    Record(file="a.amr", size=0),
    Video(file="a.mp4", url="https://x/", name="n"),
    File(file="a.zip", file_id="/1", size=1 << 40),
    At("10001", "小明"),
    At(EVERYONE),
    Reply("-2147483648"),
    Forward("f1"),
    Json('{"a":1}'),
    Markdown("# a"),
    Unknown({"type": "dice", "data": {}}),
)


@pytest.mark.parametrize("segment", ALL, ids=lambda one: type(one).__name__)
def test_what_is_written_is_read_as_the_same(segment: Segment) -> None:
    assert read_segment(segment_to_dict(segment)) == segment


def test_absent_values_are_left_out() -> None:
    assert segment_to_dict(Image(file="A")) == {"type": "image", "data": {"file": "A"}}
    assert segment_to_dict(Record(size=0)) == {"type": "record", "data": {"size": 0}}
    assert segment_to_dict(Markup("[微笑]")) == {"type": "text", "data": {"text": "[微笑]"}}


def test_numbers_are_taken_for_ids_and_text_for_faces() -> None:
    assert decode_segment({"type": "at", "data": {"qq": 10001}}) == At("10001")
    assert decode_segment({"type": "reply", "data": {"id": -5}}) == Reply("-5")
    assert decode_segment({"type": "face", "data": {"id": "14"}}) == Face(14, "")
    assert decode_segment({"type": "image", "data": {"file": "A", "size": "big", "later": 1}}) == Image(
        file="A"
    )


@pytest.mark.parametrize(
    "item",
    [
        None,
        "text",
        {"type": "text"},
        {"type": "text", "data": {"text": 1}},
        {"type": "face", "data": {"id": True}},
        {"type": "face", "data": {"id": "-1"}},
        {"type": "at", "data": {}},
        {"type": "at", "data": {"qq": None}},
        {"type": "reply", "data": {"id": ""}},
        {"type": "image", "data": None},
        {"type": "later", "data": {}},
    ],
)
def test_what_makes_no_sense_is_unknown(item: object) -> None:
    assert decode_segment(item) is None
    assert read_segment(item) == Unknown(item)


def test_the_plain_line_names_each_kind() -> None:
    line = "a[微笑][图片][图片][语音][视频][文件]@小明@全体成员[聊天记录][卡片]# a[未识别内容]"
    assert render(ALL) == line
    assert render((At("10001"), Text(" b"))) == "@10001 b"
