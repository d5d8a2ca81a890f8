"""Proof of the guards and of what agents are shown."""

from pathlib import Path
from typing import Any

import pytest

from adapter import At, ConfigError, Image, ReceivedMessage, Reply, Text, read_event
from consumers.mcp.guards import Guards
from consumers.mcp.messages import make_visible, message_line, show_message
from consumers.mcp.options import Options, parse_options
from tests.support.bus_events import fields, mapping, message


def said(*parts: Any, chat: str = "group:2", sender: str = "3", own: bool = False) -> ReceivedMessage:
    event = read_event("1793000000123-0", mapping(fields(message(parts or "x", chat, sender, own=own))))
    assert isinstance(event, ReceivedMessage)
    return event


def test_nothing_is_allowed_unless_it_is_said() -> None:
    nothing = Guards(Options())
    assert not nothing.may_read("group:2")
    assert not nothing.may_write("group:2")
    assert not nothing.may_tell(said())
    some = Guards(Options(chats=frozenset({"group:2"}), read=frozenset({"friend:3"})))
    assert some.may_read("group:2")
    assert some.may_write("group:2")
    assert some.may_read("friend:3")
    assert not some.may_write("friend:3")
    everything = Guards(Options(chats=frozenset({"*"})))
    assert everything.may_write("temp:1@group:2")
    for odd in ("*", "reply:x", "", "group:02", "group:2\n", "group"):
        assert not everything.may_read(odd)
        assert not everything.may_write(odd)
    assert not Guards(Options(chats=frozenset({"*"}), is_read_only=True)).may_write("group:2")


def test_senders_mentions_and_own_messages() -> None:
    chosen = Guards(Options(read=frozenset({"*"}), senders=frozenset({"3"})))
    assert chosen.may_tell(said())
    assert not chosen.may_tell(said(sender="4"))
    assert not chosen.may_tell(said(own=True))
    assert chosen.may_see(said(own=True))
    mentioned = Guards(Options(read=frozenset({"*"}), needs_mention=True))
    mentioned.account, mentioned.nick = "10001", "me"
    assert not mentioned.may_tell(said())
    assert mentioned.may_tell(said(At("10001"), Text(" hi")))
    assert mentioned.may_tell(said(Text("@me hi")))
    assert not mentioned.may_tell(said(At("5")))
    assert mentioned.may_tell(said(chat="friend:3"))


def test_sends_are_counted_by_chat_and_minute() -> None:
    guards = Guards(Options(rate=2))
    assert guards.count_send("a", 0.0) == guards.count_send("a", 1.0) == 0
    assert guards.count_send("a", 2.0) == 58.0
    assert guards.count_send("b", 2.0) == 0
    assert guards.count_send("a", 60.5) == 0
    assert Guards(Options(rate=0)).count_send("a", 0.0) > 0


def test_hidden_characters_are_made_visible() -> None:
    assert make_visible("a\nb\u202ec\u200bd\\e😀你") == "a\\u{000a}b\\u{202e}c\\u{200b}d\\\\e😀你"
    line = message_line(said(Text("two\nlines")))
    assert "\n" not in line
    assert line.endswith("the sender (3): two\\u{000a}lines")


def test_a_message_is_shown_with_its_pictures_and_its_quotation() -> None:
    shown = show_message(said(Reply("7"), Text("x"), Image(file="a", url="http://h/a"), Image(file="b")))
    assert (shown["images"], shown["reply_to"], shown["self"]) == (["http://h/a"], "7", False)
    assert shown["entry"] == "1793000000123-0"


def test_options_are_read_and_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    chosen = parse_options(
        ["--http", "127.0.0.1:8", "--chats", "group:2", "*", "--senders", "friend:7", "--mentions"],
        {"QQBUS_MCP_TOKEN_FILE": str(file)},
    )
    assert (chosen.token, chosen.chats, chosen.senders) == ("secret", {"group:2", "*"}, {"7"})
    assert "secret" not in repr(chosen)
    for line, words in (
        (["--http", "127.0.0.1:8"], "QQBUS_MCP_TOKEN"),
        (["--chats", "nonsense"], "--chats"),
        (["--read", "reply:x"], "--read"),
        (["--senders", "group:2"], "--senders"),
        (["--app", "a b"], "--app"),
        (["--rate", "-1"], "--rate"),
    ):
        with pytest.raises(ConfigError, match=words):
            parse_options(line, {})
