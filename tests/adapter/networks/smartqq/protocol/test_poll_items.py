"""Prove protocol/poll_items.py, poll_item.py and notices.py: each poll type in both eras."""

import json
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from adapter.content import render
from adapter.events import Address, Message, Notice, SessionChange
from adapter.networks.smartqq.protocol.poll_items import parse_items, poll_items
from tests.support import DATA

ME = "305419896"
NOW = 1_500_000_000.0
SAMPLES: list[dict[str, Any]] = json.loads((DATA / "polls.json").read_text(encoding="utf-8"))
TYPES = {
    *("message", "group_message", "discu_message", "sess_message", "kick_message", "input_notify"),
    *("buddies_status_change", "shake_message", "system_message", "sys_g_msg", "buddylist_change"),
    *("group_web_message", "file_message", "filesrv_transfer", "push_offfile", "notify_offfile"),
}
REQUIRED = {
    "Message": {"chat", "sender", "from_self"},
    "Notice": {"kind", "text"},
    "SessionChange": {"state"},
}


def plain(value: Any) -> Any:
    """Return an event as it stands in the file of samples: type first, then what differs from the default."""
    match value:
        case Address():
            return str(value)
        case Message() | Notice() | SessionChange():
            name = type(value).__name__
            shown = {
                f.name: plain(getattr(value, f.name))
                for f in fields(value)
                if f.name in REQUIRED[name] or getattr(value, f.name) != f.default
            }
            return {"type": name} | shown
        case _ if is_dataclass(value):
            shown = {f.name: plain(getattr(value, f.name)) for f in fields(value)}
            return {"type": type(value).__name__} | {k: v for k, v in shown.items() if v not in ("", None)}
        case tuple() | list():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case _:
            return value


def parsed(*items: Any, keep_raw: bool = False) -> list[Any]:
    return parse_items(items, account=ME, now=NOW, keep_raw=keep_raw)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample['era']}, {sample['name']}")
def test_a_sample_becomes_its_event(sample: dict[str, Any]) -> None:
    assert [plain(event) for event in parsed(sample["item"])] == [sample["event"]]


@pytest.mark.parametrize("era", ["e1", "e3"])
def test_there_is_a_sample_of_every_type_in_both_eras(era: str) -> None:
    assert {s["item"]["poll_type"] for s in SAMPLES if s["era"] == era} >= TYPES


def message(time: int, text: str, seq: int | None = None, *, early: bool = False) -> dict[str, Any]:
    value: dict[str, Any] = {
        "from_uin": 4,
        "send_uin": 21,
        "msg_id": 1,
        "time": time,
        "content": [["font", {}], text],
    }
    if seq is not None:
        value["seq"] = seq
    if early:
        value["msg_id2"] = 1
    return {"poll_type": "group_message", "value": value}


def texts(*items: Any) -> str:
    return "".join(render(e.segments) if isinstance(e, Message) else "-" for e in parsed(*items))


TYPING = {"poll_type": "input_notify", "value": {"from_uin": 11}}


def test_an_early_batch_comes_newest_first_and_is_turned_round() -> None:
    assert texts(*(message(9, text, early=True) for text in "cba")) == "abc"
    assert (
        texts(*(message(9, text, seq, early=True) for seq, text in ((303, "c"), (301, "a"), (302, "b"))))
        == "abc"
    )


def test_a_later_batch_is_sorted_by_time_and_otherwise_left_alone() -> None:
    assert texts(message(9, "b"), message(9, "c"), message(8, "a"), message(10, "d")) == "abcd"


def test_a_notice_that_looks_early_does_not_turn_a_later_batch_round() -> None:
    typing = {"poll_type": "input_notify", "value": {"from_uin": 11, "msg_id2": 1, "reply_ip": 4294967295}}
    assert texts(message(9, "a"), message(9, "b"), typing, message(9, "c")) == "ab-c"
    assert texts(*(message(9, text, early=True) for text in "ba"), TYPING) == "-ab"


def test_what_has_no_time_keeps_its_place() -> None:
    assert texts(message(8, "a"), TYPING, message(9, "b")) == "a-b"
    assert texts(TYPING, message(8, "a")) == "-a"


@pytest.mark.parametrize(
    "item",
    [
        *(
            None,
            1,
            "text",
            [],
            {},
            {"poll_type": 1},
            {"poll_type": "message"},
            {"poll_type": "message", "value": []},
        ),
        *({"poll_type": kind, "value": {}} for kind in sorted(TYPES - {"kick_message"})),
        {"poll_type": "tips", "value": {"x": 1}},
    ],
    ids=str,
)
def test_what_cannot_be_read_becomes_a_notice_with_all_of_it(item: Any) -> None:
    (event,) = parsed(item)
    if isinstance(event, Notice) and event.kind == "contacts":
        return  # an empty list of changes is one
    assert isinstance(event, Notice)
    assert event.kind == "other"
    assert event.raw == (
        item["value"] if isinstance(item, dict) and isinstance(item.get("value"), dict) else item
    )


def test_raw_values_are_kept_when_wanted() -> None:
    item = message(9, "a")
    assert parsed(item, keep_raw=True)[0].raw == item["value"]
    assert parsed(item)[0].raw is None


def test_a_message_without_a_time_gets_ours() -> None:
    item = message(9, "a")
    for time in (None, 0, -5, 10**15, "x"):
        item["value"]["time"] = time
        assert parsed(item)[0].time == NOW


@pytest.mark.parametrize(
    ("reply", "items"),
    [
        ({"result": [1]}, [1]),
        ({"result": "ok"}, ()),
        ({"result": None}, ()),
        ({}, ()),
    ],
)
def test_a_poll_without_an_array_brings_nothing(reply: dict[str, Any], items: Any) -> None:
    assert poll_items(reply) == items
