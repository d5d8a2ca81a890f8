"""Prove messages/echo.py: each case in which the own account speaks, and the others."""

from dataclasses import replace

import pytest

from adapter.content import Face, Segment, Text
from adapter.events import Address, ChatKind, Contact, ListKind, Message, Notice
from adapter.networks.smartqq.contacts.roster import Roster
from adapter.networks.smartqq.messages.echo import MAX_SENT, EchoDetector

ME = "305419896"
NOW = 1_450_000_000.0
GROUP, OTHER, FRIEND = (
    Address(ChatKind.GROUP, "4"),
    Address(ChatKind.GROUP, "5"),
    Address(ChatKind.FRIEND, "11"),
)


@pytest.fixture
def book() -> Roster:
    filled = Roster()
    filled.put(ListKind.FRIENDS, [Contact("11", "a")])
    filled.put(ListKind.MEMBERS, [Contact("21", "b"), Contact(ME, "me")], GROUP)
    return filled


@pytest.fixture
def echoes() -> EchoDetector:
    made = EchoDetector(30.0)
    made.remember(GROUP, (Text("hello "), Face(14, "微笑")), "1", NOW)
    made.remember(FRIEND, (Text("hi"),), "2", NOW)
    return made


def said(chat: Address, sender: str, *segments: Segment, own: bool = False) -> Message:
    return Message(chat, sender, NOW, segments, "1", from_self=own)


def judged(echoes: EchoDetector, book: Roster, message: Message, now: float = NOW + 1) -> Message:
    found = echoes.classify(message, book, ME, now)
    assert isinstance(found, Message)
    return found


def test_an_unknown_sender_with_our_text_is_ourselves(echoes: EchoDetector, book: Roster) -> None:
    message = said(GROUP, "999", Text("hello "), Face(0, "表情"), Text(" "))
    assert echoes.needs_lookup(message, book)
    found = judged(echoes, book, message)
    assert (found.from_self, found.sender) == (True, ME)


def test_a_member_with_our_text_is_the_member(echoes: EchoDetector, book: Roster) -> None:
    message = said(GROUP, "21", Text("hello "), Face(14, "微笑"))
    assert not echoes.needs_lookup(message, book)
    assert judged(echoes, book, message) == message


@pytest.mark.parametrize(
    ("chat", "text", "later"),
    [(GROUP, "something else", 1), (OTHER, "hello [微笑]", 1), (GROUP, "hi", 1), (FRIEND, "hi", 31)],
)
def test_another_text_place_or_time_is_an_unknown_sender(
    echoes: EchoDetector, book: Roster, chat: Address, text: str, later: float
) -> None:
    found = judged(echoes, book, said(chat, "999", Text(text)), NOW + later)
    assert (found.from_self, found.sender) == (False, "999")


def test_the_number_of_an_echo_is_known_from_then_on(echoes: EchoDetector, book: Roster) -> None:
    judged(echoes, book, said(GROUP, "999", Text("hello "), Face(14, "微笑")))
    assert judged(echoes, book, said(OTHER, "999", Text("from my phone")), NOW + 100).from_self
    echoes.forget_ids()
    assert not judged(echoes, book, said(OTHER, "999", Text("from my phone")), NOW + 100).from_self


def test_an_echo_that_comes_after_a_relink_is_known_by_its_words(echoes: EchoDetector, book: Roster) -> None:
    echoes.forget_ids()
    moved = Address(ChatKind.GROUP, "14")
    found = judged(echoes, book, said(moved, "999", Text("hello "), Face(14, "微笑")))
    assert (found.from_self, found.sender, found.chat) == (True, ME, moved)
    found = judged(echoes, book, said(Address(ChatKind.FRIEND, "777"), "777", Text("hi")))
    assert (found.from_self, found.chat.id) == (True, "777")
    assert not judged(
        echoes, book, said(Address(ChatKind.DISCUSS, "6"), "998", Text("hello [微笑]"))
    ).from_self


@pytest.mark.parametrize("sender", ["0", ME])
def test_an_echo_to_a_friend_is_told_in_the_friend_s_chat(
    echoes: EchoDetector, book: Roster, sender: str
) -> None:
    found = judged(echoes, book, said(Address(ChatKind.FRIEND, sender), ME, Text("hi"), own=True))
    assert (found.chat, found.from_self, found.sender) == (FRIEND, True, ME)


def test_an_echo_to_a_friend_under_an_unknown_number_too(echoes: EchoDetector, book: Roster) -> None:
    found = judged(echoes, book, said(Address(ChatKind.FRIEND, "777"), "777", Text("hi")))
    assert (found.chat, found.from_self) == (FRIEND, True)


def test_from_another_device_stays_own_without_a_match(echoes: EchoDetector, book: Roster) -> None:
    found = judged(echoes, book, said(GROUP, ME, Text("typed on the phone"), own=True))
    assert (found.from_self, found.sender, found.chat) == (True, ME, GROUP)


@pytest.mark.parametrize(
    ("text", "event"),
    [
        (
            "小王(50005) 被管理员禁言10分钟",
            {"event": "mute", "nick": "小王", "qq": "50005", "duration": "10分钟"},
        ),
        ("小王(50005) 被管理员解除禁言", {"event": "unmute", "nick": "小王", "qq": "50005"}),
        ("管理员开启了全员禁言，只有群主和管理员才能发言", {"event": "mute_all"}),
        ("管理员关闭了全员禁言", {"event": "unmute_all"}),
        ("http://buluo.qq.com/mobile/detail.html?x=1", {"event": "tribe"}),
    ],
)
def test_service_texts_are_notices_even_if_we_said_the_same(
    echoes: EchoDetector, book: Roster, text: str, event: dict[str, str]
) -> None:
    echoes.remember(GROUP, (Text(text),), "3", NOW)
    found = echoes.classify(said(GROUP, "888", Text(text)), book, ME, NOW + 1)
    assert isinstance(found, Notice)
    assert (found.kind, found.text, found.chat, dict(found.data)) == ("group", text, GROUP, event)


def test_a_member_who_types_a_service_text_is_a_member(echoes: EchoDetector, book: Roster) -> None:
    assert isinstance(
        echoes.classify(said(GROUP, "21", Text("管理员关闭了全员禁言")), book, ME, NOW), Message
    )


def test_each_sent_message_has_one_echo(echoes: EchoDetector, book: Roster) -> None:
    def repeat(sender: str, message_id: str) -> bool:
        return judged(
            echoes, book, replace(said(GROUP, sender, Text("same")), message_id=message_id)
        ).from_self

    echoes.remember(GROUP, (Text("same"),), "3", NOW)
    echoes.remember(GROUP, (Text("same"),), "3", NOW)  # tried again
    assert repeat("999", "1")
    assert not repeat("998", "2")
    echoes.remember(GROUP, (Text("same"),), "4", NOW)
    assert repeat("998", "3")
    assert not repeat("997", "4")


def test_an_echo_that_is_delivered_twice_is_the_same_echo(echoes: EchoDetector, book: Roster) -> None:
    echo = said(Address(ChatKind.FRIEND, "777"), "777", Text("hi"))
    assert judged(echoes, book, echo) == judged(echoes, book, echo)


def test_echoes_of_one_text_to_two_friends_go_to_their_chats_in_order(
    echoes: EchoDetector, book: Roster
) -> None:
    echoes.remember(Address(ChatKind.FRIEND, "12"), (Text("hi"),), "3", NOW)
    back = [replace(said(Address(ChatKind.FRIEND, "777"), "777", Text("hi")), message_id=n) for n in "12"]
    assert [judged(echoes, book, message).chat.id for message in back] == ["11", "12"]


def test_memory_is_bounded(echoes: EchoDetector, book: Roster) -> None:
    for number in range(MAX_SENT):
        echoes.remember(OTHER, (Text("x"),), f"n{number}", NOW)
    assert not judged(echoes, book, said(GROUP, "999", Text("hello "), Face(14, "微笑"))).from_self
