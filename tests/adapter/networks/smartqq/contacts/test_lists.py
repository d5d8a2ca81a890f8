"""Prove contacts/lists.py and roster.py: the lists and how their parts are joined."""

from typing import Any

from adapter.events import Address, ChatKind, Contact, ListKind
from adapter.networks.smartqq.contacts.lists import (
    discussion_members,
    discussions,
    friends,
    group_members,
    groups,
    qun_friends,
    qun_groups,
    qun_members,
    statuses,
)
from adapter.networks.smartqq.contacts.roster import Roster, match_by_name

FRIENDS = {
    "retcode": 0,
    "result": {
        "friends": [{"flag": 4, "uin": 11, "categories": 1}, {"flag": 0, "uin": 12, "categories": 0}],
        "marknames": [{"uin": 11, "markname": "A&amp;B", "type": 0}],
        "categories": [{"index": 1, "sort": 2, "name": "同学"}],
        "vipinfo": [{"vip_level": 6, "u": 11, "is_vip": 1}],
        # In another order than `friends`, and with a nick that is a bare number.
        "info": [{"face": 2, "nick": 10086, "uin": 12}, {"face": 3, "nick": "a\u00a0b&lt;", "uin": 11}],
    },
}
GROUP = {
    "retcode": 0,
    "result": {
        "stats": [{"client_type": 1, "uin": 22, "stat": 30}],
        "minfo": [{"nick": "二", "gender": "male", "uin": 22}, {"nick": "一", "uin": 21}],
        "ginfo": {
            "code": 5,
            "gid": 4,
            "owner": 21,
            "members": [{"muin": 21, "mflag": 192}, {"muin": 22, "mflag": 0}],
        },
        "cards": [{"muin": 21, "card": "名片"}],
    },
}


def by_id(contacts: tuple[Contact, ...]) -> dict[str, Contact]:
    return {contact.id: contact for contact in contacts}


def test_friends_are_joined_by_uin_with_mark_category_and_state() -> None:
    online = statuses({"result": [{"client_type": 1, "status": "busy", "uin": 11}]})
    found = by_id(friends(FRIENDS, online))
    assert found["11"] == Contact(
        "11",
        "A&B",
        nick="a b<",
        remark="A&B",
        data={
            "category": "同学",
            "category_id": 1,
            "face": 3,
            "vip": 6,
            "status": "busy",
            "client_type": 1,
        },
    )
    assert found["12"].name == "10086"
    assert (found["12"].data["category"], found["12"].data["status"]) == ("我的好友", "offline")


def test_category_0_keeps_the_name_it_was_given() -> None:
    reply: dict[str, Any] = {
        "result": {"friends": [{"uin": 1, "categories": 0}], "categories": [{"index": 0, "name": "亲友"}]}
    }
    assert friends(reply, {})[0].data["category"] == "亲友"


def test_lists_with_parts_missing_are_read_as_far_as_they_go() -> None:
    assert friends({"result": {"info": [{"uin": 1, "nick": "a"}]}}, {})[0].name == "a"
    assert friends({"result": {"friends": [{"uin": 1}]}}, {})[0].name == ""
    assert friends({}, {}) == ()
    assert groups({"result": {"gnamelist": [{"gid": 1, "name": "g"}]}})[0].code == ""
    assert groups({"result": None}) == ()
    assert discussions({"result": []}) == ()
    assert group_members({"result": {"ginfo": {"members": [{"muin": 1}]}}}, {})[0].name == ""
    assert discussion_members({}, {}) == ()


def test_groups_have_mark_mask_and_code() -> None:
    reply = {
        "result": {
            "gmasklist": [{"gid": 1000, "mask": 0}, {"gid": 1, "mask": 2}],
            "gnamelist": [
                {"flag": 1, "name": "群", "gid": 1, "code": 9},
                {"name": "乙", "gid": 2, "code": 8},
            ],
            "gmarklist": [{"uin": 1, "markname": "备注"}],
        }
    }
    assert groups(reply) == (
        Contact("1", "备注", nick="群", remark="备注", code="9", data={"mask": 2}),
        Contact("2", "乙", nick="乙", code="8"),
    )


def test_members_show_mark_before_card_before_nick() -> None:
    found = by_id(group_members(GROUP, {"22": "朋友"}))
    assert (found["21"].name, found["21"].nick, found["21"].data["owner"]) == ("名片", "一", True)
    assert (found["22"].name, found["22"].data["status"]) == ("朋友", "away")
    assert "owner" not in found["22"].data


def test_discussion_members_come_with_their_numbers() -> None:
    reply = {
        "result": {
            "info": {"did": 1, "discu_owner": 5, "mem_list": [{"mem_uin": 7, "ruin": 987654321}]},
            "mem_info": [{"nick": "Auro", "uin": 7}],
            "mem_status": [{"client_type": 7, "status": "online", "uin": 7}],
        }
    }
    assert discussion_members(reply, {}) == (
        Contact("7", "Auro", nick="Auro", qq="987654321", data={"status": "online"}),
    )


def test_numbers_by_name_are_never_guessed() -> None:
    mine = [Contact(str(i), n, nick=n) for i, n in enumerate(["a", "小王", "小王", "b", "c", ""])]
    listed = [("a", "1"), ("小王", "2"), ("b", "3"), ("b", "4"), ("", "5")]
    assert match_by_name(mine, listed) == {"0": "1"}


def test_a_name_that_is_one_s_mark_and_another_s_nick_is_nobody_s() -> None:
    mine = [
        Contact("1", "x", nick="y", remark="x"),
        Contact("2", "y", nick="y"),
        Contact("3", "z", remark="z"),
    ]
    assert match_by_name(mine, [("x", "10"), ("y", "20"), ("z", "30")]) == {"1": "10", "3": "30"}
    assert match_by_name(mine[:1], [("x", "10"), ("y", "20")]) == {}


def test_qun_lists_are_read_with_categories_and_keys_missing() -> None:
    reply = {"ec": 0, "result": {"0": {"mems": [{"name": "A&#92;", "uin": 744}]}, "1": {"gname": "x"}}}
    assert list(qun_friends(reply)) == [("A\\", "744")]
    assert list(qun_groups({"ec": 0, "join": [{"gc": 129, "gn": "perl"}]})) == [("perl", "129")]


def test_qun_members_are_known_by_nick_and_by_card() -> None:
    reply = {"ec": 0, "mems": [{"u": 5, "n": "a"}, {"u": 6, "n": "b&nbsp;c"}], "cards": {"5": "card"}}
    assert qun_members(reply) == [("", "6"), ("a", "5"), ("b c", "6"), ("card", "5")]
    mine = [Contact("1", "card", nick="other", data={"card": "card"}), Contact("2", "b c", nick="b c")]
    assert match_by_name(mine, qun_members(reply)) == {"1": "5", "2": "6"}


def test_the_book_finds_and_knows_by_address() -> None:
    book = Roster()
    group, friend = Address(ChatKind.GROUP, "4"), Address(ChatKind.FRIEND, "11")
    book.put(ListKind.FRIENDS, [Contact("11", "a", remark="m")])
    book.put(ListKind.GROUPS, [Contact("4", "g")])
    book.put(ListKind.DISCUSSES, [Contact("6", "d")])
    book.put(ListKind.MEMBERS, [Contact("21", "b")], group)
    book.numbers["11"] = "10001"

    assert book.find(friend) == Contact("11", "a", remark="m")
    assert book.find(group) == Contact("4", "g")
    assert book.find(Address(ChatKind.DISCUSS, "6")) == Contact("6", "d")
    assert book.find(Address(ChatKind.TEMP, "21", group)) == Contact("21", "b")
    assert (book.knows(friend, "11"), book.knows(friend, "12")) == (True, False)
    assert (book.knows(group, "21"), book.knows(group, "11")) == (True, False)
    assert book.remarks() == {"11": "m"}
    assert book.with_numbers([Contact("11", "a"), Contact("12", "b")])[0].qq == "10001"
