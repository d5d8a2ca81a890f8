"""Proof of adapter/outbound/overflow.py."""

import pytest

from adapter.outbound import overflow
from adapter.outbound.overflow import Overflow


def test_what_is_left_is_counted_until_it_is_taken() -> None:
    left = Overflow()
    for chat in ("group:1", "group:1", ""):
        left.leave(chat)
    assert (left.is_open, left.count, left.chats, left.after) == (True, 3, {"group:1"}, "0-0")
    left.take("1-1")
    assert (left.count, left.after, left.is_open) == (2, "1-1", True)
    left.clear()
    assert left == Overflow()
    left.take("1-2")
    assert left.count == 0


def test_chats_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overflow, "MAX_CHATS", 2)
    left = Overflow()
    for chat in ("group:1", "group:1"):
        left.leave(chat)
        assert not left.is_full
    left.leave("group:2")
    assert left.is_full
