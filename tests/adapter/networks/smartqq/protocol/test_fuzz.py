"""Fuzz the decoders: any input gives a value or a ProtocolError, and values can be packed."""

import json
import random
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import msgpack
import pytest

from adapter.errors import LoginRefused, ProtocolError
from adapter.networks.smartqq.contacts import lists
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.login.flow import parse_ptui_callback
from adapter.networks.smartqq.messages.poll_policy import PollDecision, PollHistory, evaluate
from adapter.networks.smartqq.messages.sender import parse_outcome
from adapter.networks.smartqq.protocol.http import Response
from adapter.networks.smartqq.protocol.parsing import parse_json
from adapter.networks.smartqq.protocol.poll_items import parse_items
from adapter.networks.smartqq.session.cookies import Jar
from adapter.networks.smartqq.session.credentials import Credentials
from tests.support import DATA

SAMPLES: list[dict[str, Any]] = json.loads((DATA / "polls.json").read_text(encoding="utf-8"))
ITEMS = [sample["item"] for sample in SAMPLES]
LIMITS = Limits()

# 200,000 cases in all, in pieces that run on several cores; each piece repeats its own cases.
VALUES = [(seed, 15_000) for seed in range(10)]
BODIES = [(seed, 8_000) for seed in range(5)]
ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        1.5,
        10**18,
        -(10**18),
        2**64,
        "",
        "0",
        "-1",
        "x" * 300,
        "\x00",
        "９",
        "²",
    ),
    *(
        "\ud800",
        "&#xD800;",
        "&amp;",
        "\r",
        [],
        {},
        [[]],
        [None],
        {"": ""},
        ["font"],
        ["face", -1],
        ["face", {}],
    ),
    *(["cface", {"name": []}], ["cface", None], ["offpic", {"file_path": 3}], ["font", {"size": 10**30}]),
    *(["font", {"style": [[], {}, None]}], [[["font", {}]]], float("inf"), float("nan"), 253402300800),
)

NAMES = ("time", "seq", "from_uin", "content", "msg_id2", "did", "\ud800")


def mutated(value: Any, rng: random.Random) -> Any:
    """Exchange, remove or add one thing in the value."""
    if value and rng.random() < 0.9:
        match value:
            case dict():
                return mutated_object(value, rng)
            case list():
                return mutated_list(value, rng)
            case str():
                place = rng.randrange(len(value))
                letter = rng.choice(["\x00", "&", "&#", "\ud83d", "\n", "", "🎈"])
                return value[:place] + letter + value[place + 1 :]
    return rng.choice(ODD)


def mutated_object(value: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    key, choice = rng.choice(list(value)), rng.random()
    if choice < 0.15:
        return {k: v for k, v in value.items() if k != key}
    if choice < 0.25:
        return value | {rng.choice(NAMES): rng.choice(ODD)}
    return value | {key: mutated(value[key], rng)}


def mutated_list(value: list[Any], rng: random.Random) -> list[Any]:
    place = rng.randrange(len(value))
    if rng.random() < 0.3:
        return [*value[:place], rng.choice(ODD), *value[place + rng.randrange(2) :]]
    return [*value[:place], mutated(value[place], rng), *value[place + 1 :]]


def harmless(event: Any) -> None:
    """Whatever is told can be packed and read again."""
    packed = msgpack.packb(asdict(event) if hasattr(event, "__dataclass_fields__") else event)
    assert packed


def torn(body: bytes, rng: random.Random) -> bytes:
    """Change a few of the bytes, or cut an end off."""
    data = bytearray(body)
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(len(data))
        choice = rng.random()
        if choice < 0.5:
            data[place] = rng.choice(b'\x00\xff"\\{}[],:019 \xed\xa0\x80e-n')
        elif choice < 0.8:
            del data[place : place + rng.randrange(1, 9)]
        else:
            data[place:place] = rng.choice(
                [b"\\ud800", b"\\u0000", b"99999999999999999999", b"[[[[", b"NaN", b"null"]
            )
        if not data:
            return b""
    return bytes(data)


@pytest.mark.parametrize(("seed", "count"), VALUES)
def test_any_item_becomes_events_that_can_travel(seed: int, count: int) -> None:
    rng = random.Random(seed)
    for number in range(count):
        item = mutated(rng.choice(ITEMS), rng)
        if rng.random() < 0.3:
            item = mutated(item, rng)
        # As it comes out of `load`: the mutations know things that JSON does not.
        items = [item] if number % 8 else list(through_json([item, rng.choice(ITEMS)]))
        events = parse_items(items, account="305419896", now=1.0, keep_raw=False)
        assert len(events) == len(items)
        if number % 8 == 0:
            for event in events:
                harmless(event)


def through_json(items: list[Any]) -> list[Any]:
    body = json.dumps({"result": items}).encode("utf-8", "surrogatepass")
    result: list[Any] = parse_json(Response(200, body))["result"]  # type: ignore[assignment]
    return result


@pytest.mark.parametrize(("seed", "count"), BODIES)
def test_any_body_of_a_poll_has_a_verdict(seed: int, count: int) -> None:
    rng = random.Random(seed)
    bodies = [
        json.dumps({"retcode": 0, "result": [item]}, ensure_ascii=bool(index % 2)).encode()
        for index, item in enumerate(ITEMS)
    ]
    bodies += [
        b'{"retcode":116,"p":"0123"}',
        b'{"retcode":121,"t":"0"}',
        b'{"errmsg":"error!!!","retcode":0}',
    ]
    for _ in range(count):
        verdict = evaluate(Response(200, torn(rng.choice(bodies), rng)), 1.0, PollHistory(), LIMITS)
        assert isinstance(verdict, PollDecision)
        for event in parse_items(verdict.items, account="1", now=1.0, keep_raw=True):
            if rng.random() < 0.1:
                harmless(event)


REPLY = {
    "retcode": 0,
    "result": {
        "friends": [{"flag": 4, "uin": 11, "categories": 1}],
        "marknames": [{"uin": 11, "markname": "A", "type": 0}],
        "categories": [{"index": 1, "sort": 2, "name": "B"}],
        "vipinfo": [{"vip_level": 6, "u": 11, "is_vip": 1}],
        "info": [{"face": 2, "nick": 10086, "uin": 11}],
        "gnamelist": [{"flag": 1, "name": "C", "gid": 1, "code": 9}],
        "gmarklist": [{"uin": 1, "markname": "D"}],
        "gmasklist": [{"gid": 1000, "mask": 0}],
        "dnamelist": [{"name": "E", "did": 1}],
        "minfo": [{"nick": "F", "gender": "male", "uin": 22}],
        "ginfo": {"owner": 21, "members": [{"muin": 21, "mflag": 192}]},
        "cards": [{"muin": 21, "card": "G"}],
        "stats": [{"client_type": 1, "uin": 22, "stat": 30}],
        "mem_list": [{"mem_uin": 7, "ruin": 8}],
        "mem_info": [{"nick": "H", "uin": 7}],
        "0": {"mems": [{"name": "I", "uin": 744}]},
    },
    "join": [{"gc": 129, "gn": "perl"}],
}


READERS: list[Callable[[Any], object]] = [
    lambda reply: lists.friends(reply, lists.statuses(reply)),
    lists.groups,
    lists.discussions,
    lambda reply: lists.group_members(reply, {}),
    lambda reply: lists.discussion_members(reply, {}),
    lambda reply: list(lists.qun_friends(reply)),
    lambda reply: list(lists.qun_groups(reply)),
    lambda reply: parse_outcome(Response(200, json.dumps(reply).encode())),
]


@pytest.mark.parametrize("read", READERS)
def test_any_list_is_read_as_far_as_it_goes(read: Callable[[Any], object]) -> None:
    rng = random.Random(1)
    for _ in range(1000):
        reply = mutated(mutated(REPLY, rng), rng)
        harmless_text(read(reply if isinstance(reply, dict) else {}))


def harmless_text(value: object) -> None:
    assert repr(value)


def test_any_session_file_is_read_or_refused() -> None:
    rng = random.Random(4)
    kept = Credentials(account="1", last_poll=1.0)
    kept.jar.store_response("http://a.qq.com/", ["skey=@a; DOMAIN=qq.com"], 1.0)
    for _ in range(1000):
        try:
            Credentials.restore(mutated(mutated(kept.dump(), rng), rng), 1.0)
        except ValueError:
            continue


def test_any_answer_of_the_login_page_is_read_or_refused() -> None:
    rng = random.Random(2)
    bodies = [
        b"ptuiCB('0','0','http://ptlogin4.web2.qq.com/check_sig?a','0','ok', 'nick');",
        b"ptui_checkVC('0','!ABC','\\x00');",
    ]
    for _ in range(1000):
        try:
            assert len(parse_ptui_callback(Response(200, torn(rng.choice(bodies), rng)))) == 6
        except (ProtocolError, LoginRefused):
            continue


def test_any_cookie_is_kept_or_passed_over() -> None:
    rng = random.Random(3)
    headers = [
        b"p_skey=x; EXPIRES=Fri, 02-Jan-2020 00:00:00 GMT; PATH=/; DOMAIN=qq.com; ;",
        b"a=1; Max-Age=60; Secure",
    ]
    jar = Jar()
    for _ in range(1000):
        jar.store_response("http://a.qq.com/b/c", [torn(rng.choice(headers), rng).decode("latin-1")], 1.0)
        jar.header("https://a.qq.com/b/c", 2.0).encode("ascii")
