"""Chats and members that were heard from."""

from adapter.events import Address, ChatKind, Message
from adapter.networks.onebot.recent_chats import RecentChats

GROUP = Address(ChatKind.GROUP, "1")


def said(chat: Address, time: float, sender: str = "5", *, own: bool = False) -> Message:
    return Message(chat, sender, time, (), "1", from_self=own)


def test_the_latest_chats_come_first_and_old_ones_not_at_all() -> None:
    chats = RecentChats()
    friend = Address(ChatKind.FRIEND, "5")
    for chat, time in ((GROUP, 10.0), (friend, 20.0), (Address(ChatKind.GROUP, "2"), 5.0), (GROUP, 30.0)):
        chats.observe(said(chat, time))
    assert chats.latest(10.0, 5) == (GROUP, friend)
    assert chats.latest(0.0, 1) == (GROUP,)


def test_a_speaker_is_a_member_until_known_to_have_left() -> None:
    chats = RecentChats()
    chats.observe(said(GROUP, 1.0, "5"))
    chats.observe(said(Address(ChatKind.TEMP, "6", GROUP), 1.0, "6"))
    chats.observe(said(GROUP, 1.0, "9", own=True))
    assert [chats.has_member("1", user) for user in ("5", "6", "9")] == [True, True, False]
    chats.forget_member("1", "5")
    assert not chats.has_member("1", "5")
    assert chats.latest(0.0, 5) == (GROUP,)


def test_memory_is_bounded() -> None:
    chats = RecentChats()
    for number in range(11_000):
        chats.observe(said(Address(ChatKind.GROUP, str(number)), number, str(number)))
    assert len(chats.latest(0.0, 20_000)) == 1_000
    assert not chats.has_member("999", "999")
    assert chats.has_member("1000", "1000")
