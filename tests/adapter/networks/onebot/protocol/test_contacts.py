"""Contact lists: names, numbers, and nothing that is not named."""

from adapter.events import Address, ChatKind, Contact, ListKind
from adapter.networks.onebot.protocol.contacts import friend_list, group_list, member_list

GROUP = Address(ChatKind.GROUP, "30001")


def test_a_friend_list_keeps_names_alone() -> None:
    row = {
        "user_id": 10001,
        "nickname": "小明",
        "remark": "明明",
        "phone_num": "13800000000",
        "birthday_year": 1990,
    }
    rows = [
        row,
        {"user_id": "10002", "nickname": "Alice", "remark": None, "email": "a@b"},
        {"nickname": "x"},
        None,
    ]
    found = friend_list(rows)
    assert (found.kind, found.of) == (ListKind.FRIENDS, None)
    assert found.contacts == (
        Contact("10001", "明明", nick="小明", remark="明明", qq="10001"),
        Contact("10002", "Alice", nick="Alice", qq="10002"),
    )
    assert "138" not in str(found)


def test_a_group_list_keeps_names_and_sizes() -> None:
    rows = [
        {"group_id": 30001, "group_name": "茶馆", "member_count": 4, "max_member_count": 0, "group_memo": "x"}
    ]
    expected = Contact("30001", "茶馆", nick="茶馆", qq="30001", data={"member_count": 4})
    assert group_list(rows).contacts == (expected,)


def test_a_member_list_keeps_card_role_and_title() -> None:
    member = {
        "group_id": 30001,
        "user_id": 10002,
        "nickname": "Alice",
        "card": "爱丽丝",
        "role": "admin",
        "age": 30,
    }
    found = member_list([member | {"title": "", "level": "1", "join_time": 5}, {"user_id": 10001}], GROUP)
    assert (found.kind, found.of) == (ListKind.MEMBERS, GROUP)
    data = {"card": "爱丽丝", "role": "admin", "level": "1", "join_time": 5}
    assert found.contacts[0] == Contact("10002", "爱丽丝", nick="Alice", qq="10002", data=data)
    assert found.contacts[1] == Contact("10001", "", qq="10001")


def test_a_number_that_stands_twice_is_one_contact() -> None:
    rows = [{"user_id": 1, "nickname": "a"}, {"user_id": "1", "nickname": "b"}]
    assert [one.nick for one in friend_list(rows).contacts] == ["b"]
    assert friend_list(None).contacts == group_list({"a": 1}).contacts == ()
