"""Segments on their way out: arrays, cut where QQ needs it, refused where they would vanish."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
)
from adapter.errors import SchemaError
from adapter.networks.onebot.protocol.encoding import MAX_FILE, MAX_PARTS, MAX_TEXT, encode_messages


def encoded(*segments: Segment) -> list[Any]:
    return [json.loads(message) for message in encode_messages(segments)]


def wire(kind: str, **data: str) -> dict[str, Any]:
    return {"type": kind, "data": data}


def test_text_is_never_read_as_a_code() -> None:
    line = "[CQ:at,qq=all] & [微笑] &#91;"
    assert encoded(Text(line)) == [[wire("text", text=line)]]


def test_names_of_faces_in_plain_text_become_faces() -> None:
    assert encoded(Markup("a[微笑]b")) == [
        [wire("text", text="a"), wire("face", id="14"), wire("text", text="b")]
    ]


def test_all_segments_that_can_be_sent() -> None:
    segments = (
        *(
            Reply("-5"),
            At("10001", "小明"),
            At(EVERYONE),
            Text(" hi"),
            Face(14, ""),
            Image(url="http://x/a.jpg"),
        ),
        *(Image(file="base64://aGk=", url="http://x/"), Json('{"a":1}')),
    )
    assert encoded(*segments) == [
        [
            *(wire("reply", id="-5"), wire("at", qq="10001"), wire("at", qq="all"), wire("text", text=" hi")),
            *(wire("face", id="14"), wire("image", file="http://x/a.jpg")),
            *(wire("image", file="base64://aGk="), wire("json", data='{"a":1}')),
        ]
    ]


def test_a_received_picture_is_sent_by_its_address_and_without_one_by_its_name() -> None:
    assert encoded(Image(file="A.jpg", url="https://x/?rkey=1")) == [
        [wire("image", file="https://x/?rkey=1")]
    ]
    assert encoded(Image(file="A.jpg")) == [[wire("image", file="A.jpg")]]
    assert encoded(Image(file="file:///a.jpg", url="https://x/")) == [[wire("image", file="file:///a.jpg")]]


def test_voice_video_and_files_are_messages_of_their_own() -> None:
    segments = (
        Text("a"),
        Record(file="http://x/a.amr"),
        Text(" "),
        File(file="file:///a", name="n"),
        Text("b"),
    )
    assert encoded(*segments, Video(url="http://x/v")) == [
        [wire("text", text="a")],
        [wire("record", file="http://x/a.amr")],
        [wire("file", file="file:///a", name="n")],
        [wire("text", text="b")],
        [wire("video", file="http://x/v")],
    ]


def texts(messages: list[Any]) -> list[str]:
    return ["".join(one["data"].get("text", "") for one in message) for message in messages]


def test_a_long_text_is_cut_after_a_blank_near_the_end() -> None:
    line = "a" * 3_900 + " " + "b" * 200
    assert texts(encoded(Text(line))) == ["a" * 3_900 + " ", "b" * 200]
    assert texts(encoded(Text("a " + "b" * MAX_TEXT))) == ["a " + "b" * (MAX_TEXT - 2), "bb"]
    assert texts(encoded(Text("a" * MAX_TEXT), Face(14, ""), Text("b"))) == ["a" * MAX_TEXT, "b"]


@given(st.lists(st.text(st.sampled_from("ab \n😀"), max_size=40).map(lambda one: one * 60), max_size=5))
def test_nothing_is_lost_or_moved_by_cutting(pieces: list[str]) -> None:
    whole = "x" + "".join(pieces)
    messages = texts(encoded(Text("x"), *map(Text, pieces)))
    assert all(len(message) <= MAX_TEXT for message in messages)
    # Messages of blanks alone are left out.
    assert "".join(messages).split() == whole.split()


@pytest.mark.parametrize(
    ("segment", "code"),
    [
        (Markdown("# a"), "content.unsupported"),
        (Forward("f"), "content.unsupported"),
        (Unknown("dice"), "content.unsupported"),
        (Image(), "content.unsupported"),
        (Image("cface", name="a.jpg", server="127.0.0.1:80"), "content.unsupported"),
        (Face(17, ""), "content.unsupported"),
        (Face(5_000, ""), "content.unsupported"),
        (At("x"), "schema.invalid"),
        (Reply("x"), "schema.invalid"),
        (Image(file="http://" + "x" * 5_000), "schema.invalid"),
        (Text(" \n"), "content.empty"),
        (Reply("5"), "content.empty"),
        (Text("a" * (MAX_TEXT * MAX_PARTS + 1)), "content.toolong"),
    ],
)
def test_what_would_vanish_is_refused(segment: Segment, code: str) -> None:
    with pytest.raises(SchemaError) as caught:
        encode_messages((segment,))
    assert caught.value.code == code


def test_a_file_of_ten_megabytes_passes_and_a_larger_one_names_the_upload() -> None:
    content = base64.b64encode(bytes(MAX_FILE)).decode()
    (message,) = encode_messages((Image(file="base64://" + content),))
    assert len(message) > MAX_FILE
    with pytest.raises(SchemaError, match="upload_group_file") as caught:
        encode_messages((Record(file="base64://" + content + "AAAA"),))
    assert caught.value.code == "content.toolong"
