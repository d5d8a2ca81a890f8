"""Proof of adapter/ops/page/state.py."""

import json
from typing import Any

from adapter.ops.page.state import EVENTS, PageState, message


def read(event: bytes) -> Any:
    kind, data = event.decode().strip().split("\n")
    assert kind.startswith("event: ")
    return json.loads(data.removeprefix("data: "))


def test_the_same_again_is_no_news() -> None:
    state = PageState()
    state.set("status", {"state": "online"})
    state.add("events", [{"entry": "1-0"}])
    assert read(state.delta()) == {"status": {"state": "online"}, "events": [{"entry": "1-0"}]}
    state.set("status", {"state": "online"})
    assert state.delta() == b""
    assert read(state.snapshot())["events"] == [{"entry": "1-0"}]


def test_the_picture_is_bounded() -> None:
    state = PageState()
    for number in range(EVENTS * 3):
        state.add("events", [{"entry": f"{number}-0"}])
    assert len(read(state.snapshot())["events"]) == EVENTS


def test_a_graph_tells_only_its_newest_rows() -> None:
    state = PageState()
    state.grow("trend", [[10, 1], [20, 1]], since=0)
    state.delta()
    state.grow("trend", [[10, 1], [20, 2]], since=20)
    assert read(state.delta()) == {"trend": [[20, 2]]}
    assert read(state.snapshot())["trend"] == [[10, 1], [20, 2]]


def test_a_message_is_one_event_whatever_is_in_it() -> None:
    event = message("news", {"text": "a\n\nevent: all\ndata: {}\r\u2028\ud800"})
    assert event.count(b"\n") == 3
    assert event.decode().startswith("event: news\ndata: {")
