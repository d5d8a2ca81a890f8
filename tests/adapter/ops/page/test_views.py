"""Proof of adapter/ops/page/views.py."""

import pytest

from adapter.codec.inbound import pack
from adapter.ops.page.views import (
    MAX_DECODED,
    event_view,
    letter_fields,
    letter_view,
    media_type,
    request_view,
    session_view,
)


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
