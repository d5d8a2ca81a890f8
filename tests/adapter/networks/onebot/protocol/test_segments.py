"""Segments as implementations report them: arrays with numbers, texts, nulls and objects, and CQ strings."""

import pytest

from adapter.content import (
    EVERYONE,
    At,
    Face,
    File,
    Forward,
    Image,
    Json,
    Markdown,
    Record,
    Reply,
    Text,
    Unknown,
    Video,
)
from adapter.networks.onebot.protocol.segments import decode_segments


def one(kind: object, data: object) -> object:
    return decode_segments([{"type": kind, "data": data}])[0]


@pytest.mark.parametrize("number", [10001, "10001"])
def test_a_mention_bears_a_number_as_text(number: object) -> None:
    assert one("at", {"qq": number}) == At("10001")
    assert one("at", {"qq": number, "name": "@小明"}) == At("10001", "小明")
    assert one("at", {"qq": "all"}) == At(EVERYONE)


def test_a_face_is_named_and_the_rest_of_it_left_out() -> None:
    assert one("face", {"id": "14", "raw": {"faceIndex": 14}, "resultId": None}) == Face(14, "微笑")
    assert one("face", {"id": 0}) == Face(0, "惊讶")
    assert one("face", {"id": 12345}) == Face(12345, "表情")


def test_a_picture_keeps_name_address_and_size() -> None:
    data = {"summary": "", "file": "A.jpg", "sub_type": 0, "url": "http://x/?rkey=1", "file_size": "3000000"}
    assert one("image", data) == Image(file="A.jpg", url="http://x/?rkey=1", size=3_000_000)
    assert one("image", {"file": "A.jpg", "url": None, "file_size": None}) == Image(file="A.jpg")
    assert one("image", None) == Image()


def test_other_files() -> None:
    assert one("record", {"file": "a.amr", "path": "/x", "file_size": 5}) == Record(file="a.amr", size=5)
    assert one("video", {"file": "a.mp4", "url": "u", "file_size": "-1"}) == Video(file="a.mp4", url="u")
    file = {"file": "a.zip", "file_id": "/1-2", "file_size": "12", "name": "n"}
    assert one("file", file) == File(file="a.zip", file_id="/1-2", size=12, name="n")


def test_segments_with_an_id_or_text() -> None:
    assert one("reply", {"id": -2_147_483_648}) == Reply("-2147483648")
    assert one("reply", {"id": "84966612664"}) == Reply("84966612664")
    assert one("forward", {"id": "f==", "content": [{"message": []}]}) == Forward("f==")
    assert one("json", {"data": '{"a":1}'}) == Json('{"a":1}')
    assert one("json", {"data": {"a": "中"}}) == Json('{"a":"中"}')
    assert one("markdown", {"content": "# a"}) == Markdown("# a")


@pytest.mark.parametrize(
    "segment",
    [
        {"type": "dice", "data": {"result": "3"}},
        {"type": "rps", "data": None},
        {"type": "at", "data": {"qq": None}},
        {"type": "reply", "data": {"id": 0}},
        {"type": "face", "data": {"id": "?"}},
        {"type": "json", "data": {"data": []}},
        {"type": "text", "data": [1]},
        {"type": ["text"], "data": {}},
        {"data": {}},
        5,
        None,
    ],
)
def test_what_is_not_described_is_kept_as_it_came(segment: object) -> None:
    assert decode_segments([segment]) == (Unknown(segment),)


def test_a_message_may_be_a_string_or_one_segment() -> None:
    expected = (Text("a & "), Face(14, "微笑"), Reply("-5"), At("10001"), Image(file="A,B", size=7))
    line = "a &amp; [CQ:face,id=14][CQ:reply,id=-5][CQ:at,qq=10001][CQ:image,file=A&#44;B,file_size=7]"
    assert decode_segments(line) == expected
    assert decode_segments({"type": "text", "data": {"text": "a"}}) == (Text("a"),)
    assert decode_segments(["a", {"type": "text", "data": {"text": 5}}]) == (Text("a"), Text("5"))
    assert decode_segments("") == decode_segments([]) == decode_segments([{"type": "text", "data": {}}]) == ()
    assert decode_segments(None) == (Unknown(None),)
