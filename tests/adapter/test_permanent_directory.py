"""Permanent ids: numbers are themselves, names come from events and lists, other ids are computed."""

import pytest

from adapter import permanent_directory
from adapter.events import (
    Address,
    ChatKind,
    Contact,
    ContactList,
    ContactRef,
    Identity,
    ListKind,
    Message,
    Notice,
    Profile,
)
from adapter.permanent_directory import PermanentDirectory

GROUP = Address(ChatKind.GROUP, "30001")
FRIEND = Address(ChatKind.FRIEND, "10001")


def said(chat: Address, sender: str, profile: Profile = Profile(), chat_name: str = "") -> Message:  # noqa: B008
    return Message(chat, sender, 1.0, (), "1", qq=sender, profile=profile, chat_name=chat_name)


def listed(kind: ListKind, *contacts: Contact, of: Address | None = None) -> ContactList:
    return ContactList(kind, contacts, of)


def test_a_number_is_its_own_stable_id_and_can_be_addressed_before_it_is_met() -> None:
    directory = PermanentDirectory()
    temp = Address(ChatKind.TEMP, "10009", GROUP)
    for address in (FRIEND, GROUP, temp, Address(ChatKind.TEMP, "10009", Address(ChatKind.GROUP, "0"))):
        assert directory.resolve(address) == directory.address(address) == address
    assert directory.drain_changes() == ()


def test_an_event_names_its_speaker_and_lists_only_add_to_it() -> None:
    directory = PermanentDirectory()
    event = said(GROUP, "10002", Profile("Alice", "爱丽丝", "admin"), "茶馆")
    participants = directory.locate(event)
    assert participants.chat_contact == ContactRef("30001", "茶馆", Identity.EXACT)
    assert participants.sender == ContactRef("10002", "Alice", Identity.EXACT, "爱丽丝", "10002", "admin")
    assert directory.locate(event) is participants
    directory.update(listed(ListKind.FRIENDS, Contact("10002", "爱", nick="Alice", remark="爱")), 0.0)
    directory.update(listed(ListKind.GROUPS, Contact("30001", "旧名")), 0.0)
    again = directory.locate(event)
    assert again.sender is not None
    assert again.chat_contact is not None
    assert (again.sender.name, again.sender.card) == ("爱", "爱丽丝")
    assert again.chat_contact.name == "茶馆"


def test_lists_name_those_of_whom_an_event_says_nothing() -> None:
    directory = PermanentDirectory()
    rows = directory.update(listed(ListKind.FRIENDS, Contact("10001", "小明", nick="小明")), 0.0)
    assert rows == (("10001", Contact("10001", "小明", nick="小明"), Identity.EXACT),)
    member = Contact("10001", "名片", nick="小明", data={"card": "名片"})
    directory.update(listed(ListKind.MEMBERS, member, of=GROUP), 0.0)
    participants = directory.locate(Notice("poke", "戳一戳", chat=GROUP, sender="10001", qq="10001"))
    assert participants.sender == ContactRef("10001", "小明", Identity.EXACT, "名片", "10001")
    anonymous = directory.locate(said(GROUP, "80000000", Profile("匿名", anonymous="大侠"))).sender
    assert anonymous is not None
    assert anonymous.anonymous == "大侠"


def test_an_event_without_chat_or_sender_has_none() -> None:
    participants = PermanentDirectory().locate(Notice("other", "x"))
    assert (participants.chat, participants.chat_contact, participants.sender) == (None, None, None)


@pytest.mark.parametrize("original", ["9F1C04E2A7", "x" * 32, "", "1" * 21, "１２"])
def test_any_other_id_gets_a_number_that_every_process_finds(original: str) -> None:
    directory = PermanentDirectory()
    address = Address(ChatKind.FRIEND, original)
    stable = directory.address(address)
    assert 0 <= int(stable.id) < 2**53
    assert PermanentDirectory().address(address) == stable
    records = directory.drain_changes()
    assert directory.drain_changes() == ()
    assert PermanentDirectory(records).resolve(stable) == address
    assert directory.address(Address(ChatKind.GROUP, original)).id != stable.id


def test_two_contacts_never_share_a_computed_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permanent_directory, "_COMPUTED_BITS", 2)
    directory = PermanentDirectory()
    friends = [Address(ChatKind.FRIEND, f"OPENID-{number}") for number in range(4)]
    stable = [directory.address(friend) for friend in friends]
    assert len(set(stable)) == 4
    assert [directory.resolve(one) for one in stable] == friends
    assert [directory.address(friend) for friend in friends] == stable


def test_another_account_changes_no_id() -> None:
    directory = PermanentDirectory()
    directory.start_generation("20001")
    directory.start_generation()
    assert (directory.account, directory.address(FRIEND)) == ("20001", FRIEND)
