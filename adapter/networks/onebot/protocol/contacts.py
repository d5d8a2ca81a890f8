"""Contact lists: the rows of answers become contacts, and nothing else of them is kept.

NapCat's friend list holds telephone numbers, mail addresses and birthdays: only the fields named here leave
this module.
"""

from collections.abc import Callable
from typing import Final

from adapter.events import Address, Contact, ContactList, ListKind
from adapter.networks.onebot.protocol.values import Object, iter_objects, parse_id, parse_int, parse_text

_GROUP_NUMBERS: Final = ("member_count", "max_member_count")
_MEMBER_TEXTS: Final = ("role", "title", "level")
_MEMBER_NUMBERS: Final = ("join_time", "last_sent_time")


def friend_list(data: object) -> ContactList:
    """Return the friends of an answer to `get_friend_list`."""
    return ContactList(ListKind.FRIENDS, _contacts(data, "user_id", _friend))


def group_list(data: object) -> ContactList:
    """Return the groups of an answer to `get_group_list`."""
    return ContactList(ListKind.GROUPS, _contacts(data, "group_id", _group))


def member_list(data: object, group: Address) -> ContactList:
    """Return the members of an answer to `get_group_member_list`."""
    return ContactList(ListKind.MEMBERS, _contacts(data, "user_id", _member), group)


def _contacts(data: object, key: str, read: Callable[[str, Object], Contact]) -> tuple[Contact, ...]:
    rows = ((parse_id(row.get(key)), row) for row in iter_objects(data))
    # A number that stands twice is one contact, as the later row describes it.
    return tuple({number: read(number, row) for number, row in rows if number}.values())


def _friend(number: str, row: Object) -> Contact:
    nick, remark = parse_text(row.get("nickname")), parse_text(row.get("remark"))
    return Contact(number, remark or nick, nick=nick, remark=remark, qq=number)


def _group(number: str, row: Object) -> Contact:
    name = parse_text(row.get("group_name"))
    return Contact(number, name, nick=name, qq=number, data=_numbers(row, _GROUP_NUMBERS))


def _member(number: str, row: Object) -> Contact:
    nick, card = parse_text(row.get("nickname")), parse_text(row.get("card"))
    texts = {name: text for name in ("card", *_MEMBER_TEXTS) if (text := parse_text(row.get(name)))}
    data = {**texts, **_numbers(row, _MEMBER_NUMBERS)}
    return Contact(number, card or nick, nick=nick, qq=number, data=data)


def _numbers(row: Object, names: tuple[str, ...]) -> dict[str, object]:
    found = {name: parse_int(row.get(name)) for name in names}
    return {name: number for name, number in found.items() if number}
