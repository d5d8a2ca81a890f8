"""The simulator's hashes and its reading of the password digest, against known values."""

import random

import pytest

from tests.simulator.content import parse_sent, typed
from tests.simulator.options import Options
from tests.simulator.tea import DigestError, decrypt, open_digest
from tests.simulator.tokens import Mint, bkn, contact_hash, hash33, time33

COOKIE = "3fb1c7a9e05d8426f1a0b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f709"
DIGEST = (
    "vOTksP0nS97Ol6diQQ7m2V8W0V-jezBaJzRWPh2RiPkENz4r99a3TJ8T8WyE77E*h0plsvdTrrKqbKUm*c0RYj7ihDbdobOWJaX1Iqp5v7t6Vp5nn"
    "WMRzcfmkxEMn-4HOFMeHl8op98TjrXSx41oiTdMZSJQ1a3WwM3aiQZJYfU6NFQT6TDXkOo2xIobJZ15YUtuHCfIa6B0APJaqG2vmg__"
)


@pytest.mark.parametrize(
    ("qrsig", "token"),
    [
        ("Qjy*mWVaseiG-qeonlAXEtSvIMfHFWHB*0QN*Axsf6AZ*xWL6uDJ*WEGSl0YJhJM", 1264130581),
        ("", 0),
        ("ab", 3299),
        ("hJ9GvNx*oIvLjP5I5dQ19KPa3zwxNI62eALLO*g2JLbKPYsZIRsnbJIxNe74NzQQ", 1178303247),
    ],
)
def test_ptqrtoken(qrsig: str, token: int) -> None:
    assert hash33(qrsig) == token


def test_bkn_and_time33() -> None:
    assert [bkn("@AbCdEfGhI"), bkn(""), bkn("M3Kk1yTq2x")] == [1358553458, 5381, 9510708]
    assert [time33("1234567890"), time33(""), time33("3735928559")] == [3117894829, 0, 1583456344]


@pytest.mark.parametrize(
    ("uin", "ptwebqq", "expected"),
    [
        (0, "", "00450043004F004B"),
        (1234, "bar", "62456143724B0099"),
        (2993078122, "", "00F7002500F00021"),
        (123456789, COOKIE, "52420C180C820E5E"),
        (2**32 - 1, COOKIE, "52BA0CBC0CB00EB4"),
        (2**32, COOKIE, "52450C430C4F0E4B"),
        (10001, "ééé中", "E945E943E9682D5A"),
    ],
)
def test_contact_hash(uin: int, ptwebqq: str, expected: str) -> None:
    assert contact_hash(uin, ptwebqq) == expected


def test_the_password_digest_opens_with_the_right_password_only() -> None:
    salt = bytes.fromhex("0000000012345678")
    digest = open_digest(DIGEST, "secret", salt)
    assert (len(digest.rsa), digest.salt, digest.code) == (128, salt, "ABCD")
    for password, other_salt, p in [
        ("Secret", salt, DIGEST),
        ("secret", bytes(8), DIGEST),
        ("secret", salt, "AAAA"),
    ]:
        with pytest.raises(DigestError):
            open_digest(p, password, other_salt)


def test_tea_with_and_without_data() -> None:
    key = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
    assert decrypt(bytes.fromhex("58ed88c9c6101f4afe96049ed73de131"), key) == b""
    assert decrypt(bytes.fromhex("961a852fb7f1491dfe197682c470cfda"), key) == bytes.fromhex("00070e151c")


def test_a_psessionid_is_laid_out_as_the_real_ones() -> None:
    raw = bytes.fromhex(Mint(random.Random(1)).psessionid(305419896, "@AbCdEfGhI"))
    assert (len(raw), raw[:7].hex()) == (112, "8368046764001d")
    assert raw[7:24] == b"connserver_webqq@"
    assert raw[45:52] == bytes.fromhex("6e040078563412")
    assert raw[57:67] == b"@AbCdEfGhI"


@pytest.mark.parametrize(
    ("profile", "changes", "text", "expected"),
    [
        ("e3", {}, "a[微笑]b", ["a", ["face", 14], "b"]),
        ("e3", {}, "[doge][惊讶][nobody]", [["face", 0], ["face", 0], "[nobody]"]),
        ("e1", {}, "[doge]", ["[doge] "]),
        ("e1", {}, "[K歌]", [["face", 140], " "]),
        ("e1", {}, "a\nb", ["a\r\nb "]),
        ("e3", {"faces": "zero"}, "[微笑]", [["face", 0]]),
        ("e3", {"faces": "text"}, "[微笑]", ["[微笑]"]),
        ("e3", {"faces": "all"}, "[doge]", [["face", 179]]),
        ("e3", {"escape": "full"}, "\"'\\&", ["&quot;&#39;&#92;&amp;"]),
        ("e3", {"escape": "none", "trailing_blank": True}, "<", ["< "]),
        ("e3", {}, "", [""]),
    ],
)
def test_what_is_typed_becomes(
    profile: str, changes: dict[str, object], text: str, expected: list[object]
) -> None:
    assert typed(text, Options.of(profile, **changes))[1:] == expected


def test_what_is_sent_is_shown_as_on_a_phone() -> None:
    parts, text = parse_sent('["a\n", ["face", "14"], ["face", 999], ["x", 1], ["font", {}]]')
    assert parts == ["a\n", ["face", "14"], ["face", 999], ["x", 1]]
    assert text == "a\n[微笑][表情][未识别内容]"
