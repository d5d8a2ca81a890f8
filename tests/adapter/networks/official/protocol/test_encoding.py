"""Segments on their way out: texts, mentions, pictures, and how they are split."""

import pytest

from adapter.content import At, Face, Image, Json, Markup, Record, Reply, Segment, Text, Video
from adapter.errors import SchemaError
from adapter.networks.official.protocol.encoding import (
    encode_parts,
    message_body,
    part_file,
    read_part,
    upload_body,
)

MEMBER = "0D" * 16
KNOWN = {"77": MEMBER}
REFERENCES = {"ROBOT1.0_m": "REFIDX_m"}


def parts(*segments: Segment) -> list[dict[str, object]]:
    contents = encode_parts(segments, lambda one: KNOWN.get(one, ""), lambda one: REFERENCES.get(one, ""))
    return [dict(read_part(content)) for content in contents]


def text_of(part: dict[str, object], *, is_group: bool) -> object:
    return message_body(part, is_group=is_group, file_info="")["content"]


def test_texts_faces_and_mentions_are_one_message() -> None:
    (part,) = parts(Text("hi "), Markup("[微笑]"), Face(14, "微笑"), At("77", "Bob"), Text(" <@abc>"))
    assert text_of(part, is_group=False) == "hi [微笑][微笑]@Bob <@abc>"
    assert text_of(part, is_group=True) == f'hi [微笑][微笑]<qqbot-at-user id="{MEMBER}" /> <\u200b@abc>'
    assert message_body(part, is_group=False, file_info="")["msg_type"] == 0


@pytest.mark.parametrize("text", ['<qqbot-at-user id="x" />', "<@!abc>", "<qqbot-at-everyone />"])
def test_a_text_mentions_no_person(text: str) -> None:
    (part,) = parts(Text(text))
    assert text_of(part, is_group=True) == "<\u200b" + text[1:]


@pytest.mark.parametrize(
    ("length", "count"), [(4_000, 1), (4_001, 2), (16_000, 4), (16_001, 4), (35_999, 4), (36_000, 4)]
)
def test_a_long_text_needs_no_more_messages_than_there_are_replies(length: int, count: int) -> None:
    for text in ("x" * length, ("word " * length)[:length]):
        made = parts(Text(text))
        assert len(made) == count
        assert "".join(str(text_of(part, is_group=True)) for part in made) == text


def test_a_text_is_cut_after_a_blank_and_never_within_a_mention() -> None:
    made = parts(Text("a" * 3_990 + " "), Text("b" * 100), *[At("77", "Bob")] * 3, Text("c" * 4_000))
    first, second, third = (str(text_of(part, is_group=True)) for part in made)
    assert first == "a" * 3_990 + " " + "b" * 9
    assert second.count("<qqbot-at-user") == 3
    assert (first + second + third).endswith("c" * 4_000)


def test_a_picture_is_a_message_of_its_own() -> None:
    made = parts(
        Text("a"),
        Image(file="https://h/a.png"),
        Video(url="http://h/v.mp4"),
        Record(file="https://h/r"),
        Text("b"),
    )
    assert [part_file(part) for part in made] == [
        None,
        (1, "https://h/a.png"),
        (2, "http://h/v.mp4"),
        (3, "https://h/r"),
        None,
    ]
    assert upload_body((1, "https://h/a.png")) == {
        "file_type": 1,
        "url": "https://h/a.png",
        "srv_send_msg": False,
    }
    assert message_body(made[1], is_group=True, file_info="F") == {"msg_type": 7, "media": {"file_info": "F"}}


def test_a_quotation_stands_in_the_first_message() -> None:
    for reply in (Reply("ROBOT1.0_m"), Reply("REFIDX_m")):
        (part,) = parts(reply, Text("a"))
        assert message_body(part, is_group=True, file_info="")["message_reference"] == {
            "message_id": "REFIDX_m"
        }


@pytest.mark.parametrize(
    ("segment", "code"),
    [
        (Image(file="base64://AAAA"), "content.unsupported"),
        (Image(file="a.png"), "content.unsupported"),
        (Json("{}"), "content.unsupported"),
        (At("all"), "content.unsupported"),
        (At("78"), "content.unsupported"),
        (Reply("unknown"), "content.unsupported"),
        (Text(" \n"), "content.empty"),
        (Image(file="http://h/" + "x" * 5_000), "schema.invalid"),
    ],
)
def test_what_cannot_be_sent_is_named(segment: Segment, code: str) -> None:
    with pytest.raises(SchemaError) as caught:
        parts(segment)
    assert caught.value.code == code


def test_too_many_messages_are_refused() -> None:
    with pytest.raises(SchemaError) as caught:
        parts(*[Image(file="https://h/a.png")] * 17)
    assert caught.value.code == "content.toolong"
