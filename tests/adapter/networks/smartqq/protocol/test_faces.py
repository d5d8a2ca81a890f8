"""Prove protocol/faces.py."""

from adapter.networks.smartqq.protocol.faces import NAMES, NUMBERS, name_of, number_of


def test_every_face_has_one_name_and_every_name_one_face() -> None:
    assert len(NAMES) == len(NUMBERS)
    assert all(number_of(name) == number for number, name in NAMES.items())


def test_known_faces_are_named_and_unknown_ones_shown_as_such() -> None:
    assert [name_of(n, early=False) for n in (14, 124, 179, 135, 999)] == [
        "微笑",
        "OK",
        "doge",
        "招财猫",
        "表情",
    ]


def test_face_0_was_astonishment_until_upstream_used_it_for_everything() -> None:
    assert name_of(0, early=True) == "惊讶"
    assert name_of(0, early=False) == "表情"
    assert number_of("惊讶") == 0


def test_an_unknown_name_has_no_number() -> None:
    assert number_of("表情") is None
    assert number_of("nothing") is None
