"""Proof of adapter/directory.py: the same person keeps an id, and nobody gets another's."""

from adapter.content import Text
from adapter.directory import Directory
from adapter.events import Address, ChatKind, Contact, ContactList, Identity, ListKind, Message

NOW = 1445653507.0


def friends(*rows: tuple[str, str] | tuple[str, str, str]) -> ContactList:
    """Rows of momentary id, name, number; the name is the mark as well."""
    return ContactList(ListKind.FRIENDS, tuple(map(_friend, rows)))


def _friend(row: tuple[str, ...]) -> Contact:
    return Contact(row[0], row[1], nick=row[1], remark=row[1], qq=row[2] if len(row) > 2 else "")


def friend(number: str) -> Address:
    return Address(ChatKind.FRIEND, number)


def said(chat: Address, sender: str) -> Message:
    return Message(chat, sender, NOW, (Text("a"),), "1")


def after_login(directory: Directory, listed: ContactList) -> list[tuple[str, Identity]]:
    directory.start_generation()
    return [(stable, identity) for stable, _, identity in directory.update(listed, NOW + 100)]


def test_the_first_id_seen_becomes_the_stable_one() -> None:
    directory = Directory()
    place = directory.locate(said(friend("11"), "11"))
    assert str(place.chat) == "friend:11"
    assert place.sender is not None
    assert (place.sender.id, place.sender.identity) == ("11", Identity.SESSION)
    assert directory.resolve(friend("11")) == friend("11")


def test_a_number_known_on_both_sides_is_proof() -> None:
    directory = Directory()
    directory.update(friends(("11", "Tom", "987654")), NOW)
    assert after_login(directory, friends(("91", "renamed", "987654"))) == [("11", Identity.EXACT)]
    assert directory.resolve(friend("11")) == friend("91")


def test_a_name_that_is_unique_on_both_sides_is_a_match() -> None:
    directory = Directory()
    directory.update(friends(("11", "Tom"), ("12", "Ann")), NOW)
    assert after_login(directory, friends(("91", "Ann"), ("92", "Tom"))) == [
        ("12", Identity.MATCHED),
        ("11", Identity.MATCHED),
    ]


def test_a_nick_alone_makes_no_one_the_person_who_had_it() -> None:
    directory, group = Directory(), Address(ChatKind.GROUP, "50")
    alice, mallory = Contact("11", "Alice", nick="Alice"), Contact("22", "Mallory", nick="Mallory")
    directory.update(ContactList(ListKind.FRIENDS, (alice, mallory)), NOW)
    directory.update(ContactList(ListKind.MEMBERS, (Contact("33", "Bob", nick="Bob"),), group), NOW)
    # Alice has gone, Mallory calls himself by her name; a member of the group takes that of another.
    renamed = ContactList(ListKind.FRIENDS, (Contact("72", "Alice", nick="Alice"),))
    assert after_login(directory, renamed) == [("72", Identity.SESSION)]
    assert directory.resolve(friend("11")) is None
    members = ContactList(ListKind.MEMBERS, (Contact("73", "Bob", nick="Bob"),), group)
    assert [(row[0], row[2]) for row in directory.update(members, NOW + 100)] == [("73", Identity.SESSION)]


def test_two_of_one_name_are_never_matched() -> None:
    directory = Directory()
    directory.update(friends(("11", "Tom"), ("12", "Tom")), NOW)
    assert after_login(directory, friends(("91", "Tom"), ("92", "Tom"))) == [
        ("91", Identity.SESSION),
        ("92", Identity.SESSION),
    ]
    assert directory.resolve(friend("11")) is None


def test_ids_that_outlive_a_new_link_keep_their_owners() -> None:
    directory = Directory()
    directory.update(friends(("11", "Tom"), ("12", "Tom"), ("13", "")), NOW)
    same = friends(("12", "Tom"), ("11", "Tom"), ("13", ""))
    for _ in range(3):
        assert [stable for stable, _ in after_login(directory, same)] == ["12", "11", "13"]
    # Another name under an old id, and another number, are somebody else.
    other = friends(("12", "Tom", "5"), ("11", "Jim"), ("13", ""))
    assert [stable for stable, _ in after_login(directory, other)] == ["12", "110", "13"]
    other = friends(("12", "Tom", "6"), ("110", "Jim"), ("13", ""))
    assert [stable for stable, _ in after_login(directory, other)] == ["120", "110", "13"]


def test_a_stranger_whose_number_comes_later_is_the_old_acquaintance_under_both_ids() -> None:
    directory = Directory()
    directory.update(friends(("11", "Tom", "5"), ("12", "Tom", "6")), NOW)
    assert after_login(directory, friends(("91", "Tom"), ("92", "Tom"))) == [
        ("91", Identity.SESSION),
        ("92", Identity.SESSION),
    ]
    assert directory.resolve(friend("11")) is None
    late = friends(("91", "Tom", "5"), ("92", "Tom", "6"))
    assert [(row[0], row[2]) for row in directory.update(late, NOW + 200)] == [
        ("11", Identity.EXACT),
        ("12", Identity.EXACT),
    ]
    for known in (directory, Directory(directory.drain_changes(), directory.generation)):
        assert {one: known.resolve(friend(one)) for one in ("11", "12", "91", "92")} == {
            **dict.fromkeys(("11", "91"), friend("91")),
            **dict.fromkeys(("12", "92"), friend("92")),
        }
        assert known.locate(said(friend("91"), "91")).chat == friend("11")
        # After the next login too, in whatever order upstream lists them.
        assert after_login(known, friends(("72", "Tom", "6"), ("71", "Tom", "5"))) == [
            ("12", Identity.EXACT),
            ("11", Identity.EXACT),
        ]
        assert known.resolve(friend("91")) == known.resolve(friend("11")) == friend("71")


def test_another_account_s_friend_of_the_same_name_is_somebody_else() -> None:
    directory = Directory()
    directory.start_generation("111")
    directory.update(friends(("11", "Tom"), ("12", "Ann", "5")), NOW)
    for known in (directory, Directory(directory.drain_changes(), directory.generation, "111")):
        known.start_generation("222")
        assert known.account == "222"
        rows = known.update(friends(("91", "Tom"), ("92", "Ann", "5")), NOW + 100)
        assert [row[0] for row in rows] == ["91", "12"]
        assert known.resolve(friend("11")) is None


def test_a_name_that_became_common_is_no_match() -> None:
    directory = Directory()
    directory.update(friends(("11", "Tom")), NOW)
    after_login(directory, friends(("91", "Tom"), ("92", "Tom")))
    assert directory.resolve(friend("11")) is None


def test_a_renamed_friend_is_a_stranger_unless_a_mark_tells() -> None:
    directory = Directory()
    marked = Contact("11", "Boss", nick="Tom", remark="Boss")
    directory.update(ContactList(ListKind.FRIENDS, (marked, Contact("12", "Ann", nick="Ann"))), NOW)
    now = ContactList(
        ListKind.FRIENDS,
        (Contact("91", "Boss", nick="other", remark="Boss"), Contact("92", "Anna", nick="Anna")),
    )
    assert after_login(directory, now) == [("11", Identity.MATCHED), ("92", Identity.SESSION)]
    assert directory.resolve(friend("12")) is None


def test_two_numbers_that_differ_forbid_a_match_by_name() -> None:
    directory = Directory()
    directory.update(friends(("11", "Tom", "1000001")), NOW)
    assert after_login(directory, friends(("91", "Tom", "1000002"))) == [("91", Identity.EXACT)]
    assert directory.resolve(friend("11")) is None


def test_those_who_left_long_ago_do_not_spoil_a_name() -> None:
    directory = Directory()
    directory.update(friends(("11", "Tom")), NOW)
    directory.update(friends(("12", "Tom")), NOW + 50)
    assert after_login(directory, friends(("91", "Tom"))) == [("12", Identity.MATCHED)]


def test_a_momentary_id_that_equals_a_strangers_stable_one_is_told_apart() -> None:
    directory = Directory()
    directory.update(friends(("11", "Tom")), NOW)
    assert after_login(directory, friends(("11", "Ann"))) == [("110", Identity.SESSION)]
    assert directory.resolve(friend("11")) is None
    assert directory.resolve(friend("110")) == friend("11")


def test_members_are_compared_within_their_group() -> None:
    directory = Directory()
    groups = ContactList(ListKind.GROUPS, (Contact("50", "A", nick="A"), Contact("60", "B", nick="B")))
    directory.update(groups, NOW)
    for gid, uin in (("50", "1"), ("60", "2")):
        group = Address(ChatKind.GROUP, gid)
        directory.update(
            ContactList(ListKind.MEMBERS, (Contact(uin, "Tom", nick="Tom", remark="Tom"),), group), NOW
        )
    directory.start_generation()
    moved = ContactList(ListKind.GROUPS, (Contact("51", "A", nick="A"), Contact("61", "B", nick="B")))
    directory.update(moved, NOW + 9)
    rows = directory.update(
        ContactList(
            ListKind.MEMBERS,
            (Contact("22", "Tom", nick="Tom", remark="Tom"),),
            Address(ChatKind.GROUP, "61"),
        ),
        NOW + 9,
    )
    assert rows[0][0] == "2"
    assert directory.resolve(Address(ChatKind.TEMP, "2", Address(ChatKind.GROUP, "60"))) == Address(
        ChatKind.TEMP, "22", Address(ChatKind.GROUP, "61")
    )


def test_a_restart_in_the_same_login_keeps_everybody() -> None:
    directory = Directory()
    directory.update(friends(("11", "Tom"), ("12", "Ann")), NOW)
    directory.start_generation()
    directory.update(friends(("91", "Tom"), ("12", "Tom")), NOW + 9)
    again = Directory(directory.drain_changes(), directory.generation)
    assert again.resolve(friend("120")) == friend("12")
    assert again.resolve(friend("11")) is None
    rows = again.update(friends(("91", "Tom"), ("12", "Tom")), NOW + 20)
    assert [row[0] for row in rows] == ["91", "120"]


def test_only_what_changed_is_to_be_stored() -> None:
    directory = Directory()
    directory.update(friends(("11", "Tom")), NOW)
    assert [record.stable for record in directory.drain_changes()] == ["11"]
    directory.update(friends(("11", "Tom")), NOW)
    assert directory.drain_changes() == ()


def test_a_card_is_told_for_its_group_alone() -> None:
    directory = Directory()
    group = Address(ChatKind.GROUP, "50")
    member = Contact("1", "名片", nick="Tom", data={"card": "名片"})
    directory.update(ContactList(ListKind.MEMBERS, (member,), group), NOW)
    sender = directory.locate(said(group, "1")).sender
    assert sender is not None
    assert sender.card == "名片"
    elsewhere = directory.locate(said(friend("1"), "1")).sender
    assert elsewhere is not None
    assert elsewhere.card == ""
