"""Faces of QQ: numbers, names, and names within text."""

from adapter.content import Face, Text
from adapter.networks.onebot.protocol.faces import NAMES, NUMBERS, can_send, face_name, parse_markup


def test_numbers_and_names_fit_together() -> None:
    assert face_name(14) == "微笑"
    assert face_name(16) == "酷"
    assert face_name(450) == "表情"
    assert {NAMES[number] for number in NUMBERS.values()} == set(NAMES.values())
    assert NUMBERS["拜托"] == 200


def test_a_face_that_qq_does_not_have_is_not_sent() -> None:
    assert [can_send(number) for number in (0, 14, 17, 431, 432, 999, 1000, 128514, -1)] == [
        *(True, True, False, True, True, True, False, False, False),
    ]


def test_names_of_known_faces_stand_for_them() -> None:
    assert list(parse_markup("a[微笑][K歌]b [打call]")) == [
        *(Text("a"), Face(14, "微笑"), Face(140, "K歌"), Text("b "), Face(311, "打call")),
    ]
    assert list(parse_markup("[没有][图片]")) == [Text("[没有][图片]")]
    assert list(parse_markup("[[微笑]]")) == [Text("["), Face(14, "微笑"), Text("]")]
    assert list(parse_markup("")) == []
