"""Proof of the parts of adapter/ops/page that need no network: access, hub, board, views."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapter.envelope import pack
from adapter.ops.page.access import COOKIE, COOKIE_SECONDS, Access, access, forged, is_loopback
from adapter.ops.page.board import EVENTS, Board, message
from adapter.ops.page.hub import MAX_PAGES, QUEUE, Hub
from adapter.ops.page.views import (
    LONG_BODY,
    event_view,
    letter_fields,
    letter_view,
    media_type,
    request_view,
    session_view,
)

TOKEN = "correct-horse-battery"


def cookie(rules: Access, now: float) -> dict[str, str]:
    return {"cookie": rules.cookie(now, secure=False).partition(";")[0]}


def test_a_cookie_is_good_until_it_ends_and_for_its_token_alone() -> None:
    rules = Access(TOKEN)
    given = cookie(rules, 1_000.0)
    assert rules.knows(given, 1_000.0)
    assert rules.knows(given, 999.0 + COOKIE_SECONDS)
    assert not rules.knows(given, 1_001.0 + COOKIE_SECONDS)
    assert not Access(TOKEN + "2").knows(given, 1_000.0)


@pytest.mark.parametrize(
    "value", ["", "x", "9999999999", "9999999999.", "9999999999.abc", "١٢٣٤.abc", "1e9.x", "é"]
)
def test_an_invented_cookie_opens_nothing(value: str) -> None:
    assert not Access(TOKEN).knows({"cookie": f"{COOKIE}={value}"}, 0.0)


def test_a_cookie_cannot_be_made_to_last_longer() -> None:
    rules = Access(TOKEN)
    until, _, seal = cookie(rules, 0.0)["cookie"].partition("=")[2].partition(".")
    assert not rules.knows({"cookie": f"{COOKIE}={int(until) + 1}.{seal}"}, 0.0)


def test_a_program_with_the_token_needs_no_origin() -> None:
    assert forged({"authorization": f"Bearer {TOKEN}"}) == ""
    assert forged({"host": "127.0.0.1:1", "x-qqbus": "1"}) != ""


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("192.0.2.1", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, loopback: bool, tmp_path: Path) -> None:  # noqa: FBT001
    assert is_loopback(host) is loopback
    rules, file = access(host, "", tmp_path)
    assert bool(rules.token) is not loopback
    assert (file is None) is loopback


# --- hub ---------------------------------------------------------------------------------------


def test_a_slow_page_is_passed_over_and_starts_afresh() -> None:
    hub = Hub()
    quick, slow = hub.join(), hub.join()
    assert quick is not None
    assert slow is not None
    quick.stale = slow.stale = False
    for number in range(QUEUE + 1):
        hub.publish(str(number).encode())
        quick.queue.clear()
    assert (slow.stale, len(slow.queue)) == (True, 0)
    assert not quick.stale
    hub.publish(b"more")
    assert (len(slow.queue), list(quick.queue)) == (0, [b"more"])


def test_a_page_that_has_not_begun_gets_no_news() -> None:
    hub = Hub()
    seat = hub.join()
    assert seat is not None
    hub.publish(b"news")
    assert not seat.queue


def test_there_is_an_end_to_open_pages() -> None:
    hub = Hub()
    seats = [hub.join() for _ in range(MAX_PAGES + 1)]
    assert seats[-1] is None
    assert seats[0] is not None
    hub.leave(seats[0])
    assert hub.join() is not None


# --- board -------------------------------------------------------------------------------------


def read(event: bytes) -> Any:
    kind, data = event.decode().strip().split("\n")
    assert kind.startswith("event: ")
    return json.loads(data.removeprefix("data: "))


def test_the_same_again_is_no_news() -> None:
    board = Board()
    board.set("status", {"state": "online"})
    board.add("events", [{"entry": "1-0"}])
    assert read(board.news()) == {"status": {"state": "online"}, "events": [{"entry": "1-0"}]}
    board.set("status", {"state": "online"})
    assert board.news() == b""
    assert read(board.picture())["events"] == [{"entry": "1-0"}]


def test_the_picture_is_bounded() -> None:
    board = Board()
    for number in range(EVENTS * 3):
        board.add("events", [{"entry": f"{number}-0"}])
    assert len(read(board.picture())["events"]) == EVENTS


def test_a_graph_tells_only_its_newest_rows() -> None:
    board = Board()
    board.grow("trend", [[10, 1], [20, 1]], since=0)
    board.news()
    board.grow("trend", [[10, 1], [20, 2]], since=20)
    assert read(board.news()) == {"trend": [[20, 2]]}
    assert read(board.picture())["trend"] == [[10, 1], [20, 2]]


def test_a_message_is_one_event_whatever_is_in_it() -> None:
    event = message("news", {"text": "a\n\nevent: all\ndata: {}\r\u2028\ud800"})
    assert event.count(b"\n") == 3
    assert event.decode().startswith("event: news\ndata: {")


# --- views -------------------------------------------------------------------------------------


def test_an_event_that_cannot_be_read_is_shown_with_the_reason() -> None:
    view = event_view("1-0", {b"v": b"9", b"type": b"message.friend", b"text": b"\xff\xfe"})
    assert "v is not 1" in view["note"]
    assert view["text"] == "\ufffd\ufffd"
    assert event_view("1-0", {})["type"] == ""


def test_a_request_is_shown_as_it_will_be_read() -> None:
    body = pack(
        {"segments": [{"type": "text", "data": {"text": "hi"}}, {"type": "face", "data": {"id": 14}}]}
    )
    assert request_view("1000-0", {b"to": b"friend:1", b"body": body}, "qq")["text"].startswith("hi[")
    assert "is not one of" in request_view("1-0", {b"to": b"moon", b"text": b"x"}, "qq")["note"]
    long = request_view("1-0", {b"to": b"friend:1", b"body": b"{" * (LONG_BODY + 1)}, "qq")
    assert long["note"] == "long content"


def test_a_session_is_told_without_its_picture_and_its_link() -> None:
    view = session_view("1-0", {b"state": b"qr", b"png": b"PNG", b"text": b"https://x", b"expires": b"soon"})
    assert view["picture"] is True
    assert set(view) == {"state", "reason", "detail", "time", "expires", "entry", "picture"}
    assert session_view("1-0", {b"state": b"online", b"png": b"PNG"})["picture"] is False


def test_a_dead_letter_that_cannot_be_read_is_shown_and_not_redriven() -> None:
    broken = {b"reason": b"poison", b"stream": b"qq:inbound", b"fields": b"\xc1"}
    assert letter_view("1-0", broken)["reason"] == "poison"
    assert letter_fields(broken) == []


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"<svg onload=x>", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_a_picture_is_only_what_it_is(head: bytes, kind: str) -> None:
    assert media_type(head) == kind
