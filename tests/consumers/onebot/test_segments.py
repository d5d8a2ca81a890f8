"""Proof of segments both ways."""

from typing import Any

import pytest

from consumers.onebot.errors import BadRequest
from consumers.onebot.segments import fit_network, read_message, to_onebot


def _as_is(one: str) -> str:
    return one


def test_segments_of_the_bus_get_what_clients_ask_for() -> None:
    items: list[dict[str, Any]] = [
        {"type": "face", "data": {"id": 14, "name": "微笑"}},
        {"type": "image", "data": {"kind": "cface", "name": "a.jpg"}},
        {"type": "image", "data": {"kind": "missing"}},
        {"type": "reply", "data": {"id": "5"}},
        {"type": "at", "data": {"qq": "all"}},
        {"type": "unknown", "data": {"raw": ["x", 1]}},
    ]
    found = to_onebot(items, {"5": "77"}.get)  # type: ignore[arg-type]
    assert found[0] == {"type": "face", "data": {"id": "14"}}
    assert found[1]["data"]["file"] == "a.jpg"
    assert found[2]["data"]["file"] == "missing"
    assert found[3]["data"]["id"] == "77"
    assert found[4:] == items[4:]
    assert to_onebot(None, _as_is) == to_onebot([1, "x", None], _as_is) == []


def test_a_message_comes_as_segments_a_segment_a_cq_string_or_plain_text() -> None:
    text = {"type": "text", "data": {"text": "hi"}}
    assert read_message([text]) == read_message(text) == read_message("hi") == [text]
    assert read_message("[CQ:face,id=14]") == [{"type": "face", "data": {"id": 14}}]
    assert read_message("[CQ:face,id=14]", auto_escape=True) == [
        {"type": "text", "data": {"text": "[CQ:face,id=14]"}}
    ]
    assert read_message([{"type": "at", "data": {"qq": 5}}]) == [{"type": "at", "data": {"qq": "5"}}]
    picture = {"type": "image", "data": {"file": "x.jpg", "url": "http://h/x", "cache": "true", "proxy": 1}}
    assert read_message(picture) == [{"type": "image", "data": {"file": "http://h/x"}}]
    assert read_message([{"type": "dice"}]) == [{"type": "dice", "data": {}}]


@pytest.mark.parametrize(
    "message",
    [
        *(None, True, [], "", "  ", [1], [{"type": 1, "data": {}}], [{"type": "text", "data": {}}]),
        *([{"type": "face", "data": {"id": "x"}}], [{"type": "at", "data": {}}]),
        *([{"type": "image", "data": {}}], [{"type": "reply", "data": {"id": "5"}}]),
        [{"type": "text", "data": {"text": "x"}}] * 1001,
    ],
)
def test_a_message_that_makes_no_sense_is_refused(message: object) -> None:
    with pytest.raises(BadRequest):
        read_message(message)


def test_a_network_without_mentions_gets_names_and_no_quotations() -> None:
    said = read_message("[CQ:reply,id=7][CQ:at,qq=5] hi [CQ:at,qq=all][CQ:at,qq=6][CQ:image,file=http://h/x]")

    def name(user: str) -> str:
        return {"5": "小明"}.get(user, "")

    fitted, replaced = fit_network(said, "smartqq", is_group=True, name_of=name)
    texts = [one["data"].get("text", one["type"]) for one in fitted]
    assert texts == ["@小明 ", " hi ", "@全体成员 ", "@6 ", "image"]
    assert replaced == {"at", "reply"}
    assert fit_network(said, "onebot", is_group=True, name_of=name) == (said, set())
    # QQ shows mentions in groups alone.
    assert fit_network(said, "onebot", is_group=False, name_of=name)[1] == {"at"}
