"""Prove protocol/parsing.py, hashes.py and http.py: tolerant JSON, hashes, what may be shown."""

import json
from typing import Any

import pytest

from adapter.errors import ProtocolError
from adapter.networks.smartqq.protocol.hashes import bkn, contact_hash, hash33, time33
from adapter.networks.smartqq.protocol.http import Request, Response
from adapter.networks.smartqq.protocol.parsing import (
    join_surrogates,
    parse_id,
    parse_int,
    parse_json,
    parse_text,
    return_code,
    unescape,
)
from tests.support import DATA

HASHES: list[dict[str, Any]] = json.loads((DATA / "hash_vectors.json").read_text(encoding="utf-8"))
VECTORS: dict[str, Any] = json.loads((DATA / "login_vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", HASHES, ids=lambda vector: vector["note"])
def test_hash_is_the_script_s(vector: dict[str, Any]) -> None:
    assert contact_hash(vector["uin"], vector["ptwebqq"]) == vector["hash"]


def test_tokens_are_the_scripts() -> None:
    assert all(hash33(v["qrsig"]) == v["ptqrtoken"] for v in VECTORS["hash33"])
    assert all(bkn(v["skey"]) == v["bkn"] for v in VECTORS["bkn"])
    assert all(time33(v["supertoken"]) == v["auth_token"] for v in VECTORS["time33"])


@pytest.mark.parametrize(
    "body",
    [
        b'{"retcode":0}',
        b' \r\n{"retcode":0}\r\n',
        b'\xef\xbb\xbf{"retcode":0}\n',
        b'{"retcode":0}\x00',
        b'{"retcode":"0"}',
    ],
)
def test_json_is_read_with_bom_blanks_and_nuls_around_it(body: bytes) -> None:
    assert return_code(parse_json(Response(200, body))) == 0


@pytest.mark.parametrize(
    "body", [b"", b"<html>504</html>", b'{"retcode":', b"[]", b'"x"', b"null", b"[" * 100_000, b"1" * 5000]
)
def test_what_is_no_object_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_json(Response(200, body))


def test_deep_nesting_is_refused_because_nobody_could_pack_it_again() -> None:
    with pytest.raises(ProtocolError):
        parse_json(Response(200, b'{"a":' + b"[" * 200 + b"]" * 200 + b"}"))


def test_text_comes_out_as_valid_unicode_and_numbers_fit_into_64_bits() -> None:
    reply = parse_json(
        Response(200, rb'{"\ud800k":["\ud83d","\ud83d\ude00"],"n":123456789012345678901234,"f":1e999}')
    )
    assert reply == {"\ufffdk": ["\ufffd", "😀"], "n": "123456789012345678901234", "f": None}
    json.dumps(reply, ensure_ascii=False).encode()


def test_raw_control_characters_and_foreign_bytes_are_let_through() -> None:
    assert parse_json(Response(200, b'{"a":"x\ny\x01","b":"\xff"}')) == {"a": "x\ny\x01", "b": "\ufffd"}


def test_halves_of_an_emoji_that_stand_together_become_one() -> None:
    assert join_surrogates("\ud83d\ude00 \ude00") == "😀 \ufffd"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ({"retcode": 0}, 0),
        ({"errCode": 0, "msg": "send ok"}, 0),
        ({"ec": 4}, 4),
        ({"retcode": 100000, "errCode": 1}, 100000),
        ({"retcode": "-3"}, -3),
        ({}, -1),
        ({"retcode": None}, -1),
    ],
)
def test_the_return_code_is_looked_for_under_three_names(reply: dict[str, object], code: int) -> None:
    assert return_code(reply) == code


def test_sends_look_at_err_code_first() -> None:
    assert return_code({"retcode": 0, "errCode": -3}, "errCode", "retcode") == -3


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("&lt;&gt;&amp;&quot;&#39;&#92;&nbsp;", "<>&\"'\\ "),
        ("&amp;lt;", "&lt;"),
        ("?a=1&copy=2&reg", "?a=1&copy=2&reg"),
        ("&#20320;&#x597D;", "你好"),
        ("&#xD800;", "\ufffd"),
    ],
)
def test_entities_are_undone_exactly_once_and_only_closed_ones(given: str, text: str) -> None:
    assert unescape(given) == text


def test_ids_and_names_are_read_whatever_they_are_written_as() -> None:
    given: list[Any] = [3785012345, "3785012345", 0, -1, None, True, "x", 1.0]
    assert [parse_id(value) for value in given] == ["3785012345", "3785012345", "0", "", "", "", "", "1"]
    assert parse_int("12" * 20) is None
    given = ["a&nbsp;b\u00a0c", 10086, None, True, []]
    assert [parse_text(value) for value in given] == ["a b c", "10086", "", "", ""]


def test_requests_and_answers_show_no_secret() -> None:
    request = Request(
        "POST", "https://d1.web2.qq.com/channel/poll2?ptsigx=secret", (("p", "secret"),), (("r", "secret"),)
    )
    shown = f"{request!r} {request} {Response(200, b'secret', location='secret')!r}"
    assert "secret" not in shown
    assert request.safe_name == "d1.web2.qq.com/channel/poll2"


def test_parameters_are_percent_encoded_as_utf_8() -> None:
    request = Request(
        "POST", "https://a.qq.com/x", (("u1", "http://w.qq.com/?a=1 2"),), (("r", '{"a":"好&"}'),)
    )
    assert request.target == "https://a.qq.com/x?u1=http%3A%2F%2Fw.qq.com%2F%3Fa%3D1%202"
    assert request.body == b"r=%7B%22a%22%3A%22%E5%A5%BD%26%22%7D"
