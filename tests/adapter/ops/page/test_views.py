"""Proof of adapter/ops/page/views.py."""

import pytest

from adapter.codec.dead_letters import restored_fields
from adapter.codec.inbound import pack
from adapter.ops.page.views import (
    MAX_DECODED,
    event_view,
    letter_view,
    media_type,
    request_view,
    session_view,
)
from tests.support.cli import GOLDENS


def test_an_event_that_cannot_be_read_is_shown_with_the_reason() -> None:
    view = event_view("1-0", {b"v": b"9", b"type": b"message.friend", b"text": b"\xff\xfe"})
    assert "v is not 1" in view["note"]
    assert view["text"] == "\ufffd\ufffd"
    assert event_view("1-0", {})["type"] == ""


def test_an_operation_is_shown_by_its_name() -> None:
    event_id = b"305419896.-.10010.:1445653507.1445653507.5c2e"
    view = request_view("1000-0", {b"op": b"deny", b"event": event_id, b"text": b"no"}, "qq")
    assert (view["op"], view["event"], view["text"]) == ("deny", event_id.decode(), "no")
    body = pack({"action": "get_status"})
    assert request_view("1-0", {b"op": b"call", b"body": body}, "qq")["action"] == "get_status"


def test_a_message_names_the_pictures_that_can_be_had() -> None:
    segments = [
        {"type": "image", "data": {"file": "a.png", "url": "https://example.org/a.png"}},
        {"type": "text", "data": {"text": "hi"}},
        {"type": "image", "data": {"kind": "missing"}},
    ]
    given = {name.encode(): as_bytes(value) for name, value in GOLDENS["message.friend"].fields.items()}
    assert event_view("1-0", given | {b"body": pack({"segments": segments})})["pictures"] == [1]


def test_an_event_about_what_was_sent_names_its_request() -> None:
    given = {name.encode(): as_bytes(value) for name, value in GOLDENS["message.friend"].fields.items()}
    sent = given | {b"self": b"1", b"body": pack({"request": "bot/1", "entry": "5-0", "segments": []})}
    assert event_view("6-0", sent)["request"] == "5-0"
    assert "request" not in event_view("6-0", sent | {b"self": b"0"})
    assert "request" not in event_view("6-0", sent | {b"body": pack({"entry": ["5-0"]})})


def as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def test_a_request_is_shown_as_it_will_be_read() -> None:
    body = pack(
        {"segments": [{"type": "text", "data": {"text": "hi"}}, {"type": "face", "data": {"id": 14}}]}
    )
    assert request_view("1000-0", {b"to": b"friend:1", b"body": body}, "qq")["text"].startswith("hi[")
    assert "is not one of" in request_view("1-0", {b"to": b"moon", b"text": b"x"}, "qq")["note"]
    long = request_view("1-0", {b"to": b"friend:1", b"body": b"{" * (MAX_DECODED + 1)}, "qq")
    assert long["note"] == "long content"


def test_a_session_is_told_without_its_picture_and_its_link() -> None:
    view = session_view("1-0", {b"state": b"qr", b"png": b"PNG", b"text": b"https://x", b"expires": b"soon"})
    assert view["picture"] is True
    assert set(view) == {"state", "reason", "detail", "time", "expires", "entry", "picture"}
    assert session_view("1-0", {b"state": b"online", b"png": b"PNG"})["picture"] is False


def test_a_dead_letter_that_cannot_be_read_is_shown_and_not_redriven() -> None:
    broken = {b"reason": b"poison", b"stream": b"qq:inbound", b"fields": b"\xc1"}
    assert letter_view("1-0", broken)["reason"] == "poison"
    assert restored_fields(broken) == {}


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
