"""Proof of adapter/graphemes.py: texts are cut between a reader's characters."""

import unicodedata

import pytest

from adapter.content import Face, Text
from adapter.graphemes import last_boundary
from adapter.networks.onebot.protocol.encoding import MAX_TEXT, encode_messages
from adapter.networks.smartqq.protocol.content import PART_BYTES, decode_sent, encode

FAMILY, FLAG, TONE, KEYCAP, ACCENT = "👨\u200d👩\u200d👧", "🇨🇳", "👍🏽", "1\ufe0f\u20e3", "e\u0301"
ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
CLUSTERS = [FAMILY, FLAG, TONE, KEYCAP, ACCENT, ENGLAND, "❤\ufe0f", "นี่"]


def broken(text: str) -> bool:
    """Return whether a part begins with what belongs to the one before."""
    first = text[0]
    return (
        first in "\u200d\ufe0f\u20e3"
        or 0x1F3FB <= ord(first) <= 0x1F3FF
        or 0xE0020 <= ord(first) < 0xE0080
        or unicodedata.category(first) in {"Mn", "Me"}
    )


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_no_place_within_a_character_is_a_boundary(cluster: str) -> None:
    text = cluster * 3
    ends = {last_boundary(text, end) for end in range(1, len(text) + 1)}
    assert ends - {0} == {len(cluster), 2 * len(cluster), 3 * len(cluster)}


def test_other_values_and_plain_letters_can_be_cut_anywhere() -> None:
    units = ["a", Face(1, "x"), "\u0301", "b", "c"]
    assert [last_boundary(units, end) for end in range(6)] == [0, 1, 2, 3, 4, 5]
    assert last_boundary("\u0301\u0301", 1) == 0


@pytest.mark.parametrize("offset", range(24))
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_parts_of_a_message_hold_whole_characters(cluster: str, offset: int) -> None:
    text = "a" * offset + cluster * 150
    parts = [
        "".join(one.text for one in decode_sent(part) if isinstance(one, Text))
        for part in encode((Text(text),), None)
    ]
    assert "".join(parts) == text
    for part in parts:
        assert len(part.encode()) <= PART_BYTES
        assert not broken(part)
        flags = sum(0x1F1E6 <= ord(char) <= 0x1F1FF for char in part)
        assert flags % 2 == 0


def test_parts_of_onebot_hold_whole_characters() -> None:
    for cluster in CLUSTERS:
        text = "a" * (MAX_TEXT - 1) + cluster * 2
        first, second = encode_messages((Text(text),))
        assert f'"{cluster * 2}"' in second
        assert "aaa" in first


def test_a_character_longer_than_a_message_is_cut_anywhere() -> None:
    text = "e" + "\u0301" * 2_000
    parts = [
        "".join(one.text for one in decode_sent(part) if isinstance(one, Text))
        for part in encode((Text(text),), None)
    ]
    assert "".join(parts) == text
    assert len(encode_messages((Text("e" + "\u0301" * 5_000),))) == 2
