"""Show the account's contacts: what the adapter keeps in Redis."""

from collections.abc import Mapping
from typing import Any

from consumers.onebot.actions.context import Context
from consumers.onebot.actions.params import Params, required_id
from consumers.onebot.answers import Answer, ok
from consumers.onebot.chat_order import ChatOrder
from consumers.onebot.errors import ActionError
from consumers.onebot.numbers import id_number, parse_integer

Row = Mapping[str, Any]


async def get_login_info(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Show the account itself."""
    del order, params
    account = context.account.current
    return ok({"user_id": id_number(account.number), "nickname": account.nick})


async def get_stranger_info(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Show a person as far as it is known."""
    del order
    user = required_id(params, "user_id")
    row = await context.reader.contact("friends", user) or {}
    account = context.account.current
    name = account.nick if user == account.number else _nick(row)
    name = name or await _heard_name(context, user)
    return ok({"user_id": int(user), "nickname": name, "sex": "unknown", "age": 0})


async def _heard_name(context: Context, user: str) -> str:
    chat = await context.private_address(user, "")
    return await context.person_name(chat, user)


async def get_friend_list(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Show all friends."""
    del order, params
    rows = await context.reader.contacts("friends")
    return ok([{"user_id": _id(row), "nickname": _nick(row), "remark": _text(row, "mark")} for row in rows])


async def get_group_list(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Show all groups and discussions."""
    del order, params
    rows = await context.reader.contacts("groups") + await context.reader.contacts("discusses")
    return ok([_group(row) for row in rows])


async def get_group_info(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Show a group or a discussion."""
    del order
    group = required_id(params, "group_id")
    for name in ("groups", "discusses"):
        if row := await context.reader.contact(name, group):
            return ok(_group(row))
    raise ActionError(f"group {group} is not in the account's lists")


async def get_group_member_list(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Show the members of a group."""
    del order
    group = required_id(params, "group_id")
    chat = await context.group_address(group)
    rows = await context.reader.contacts(f"members:{chat}")
    if not rows:
        raise ActionError(f"the bus has no members of group {group} at present")
    return ok([_member(int(group), row) for row in rows])


async def get_group_member_info(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Show a member: from the list, else as it last spoke."""
    del order
    group, user = required_id(params, "group_id"), required_id(params, "user_id")
    chat = await context.group_address(group)
    row = await context.reader.contact(f"members:{chat}", user) or context.index.senders.get((chat, user))
    if row is None:
        async for message in context.reader.messages(chat, 1_000):
            if message.sender == user:
                row = message.body.get("sender")
                break
    if not isinstance(row, Mapping):
        account = context.account.current
        if user != account.number:
            raise ActionError(f"{user} is not known as a member of group {group}")
        row = {"id": user, "name": account.nick, "nick": account.nick}
    return ok(_member(int(group), row))


def _group(row: Row) -> dict[str, Any]:
    return {
        "group_id": _id(row),
        "group_name": _text(row, "name"),
        "member_count": parse_integer(row.get("member_count")) or 0,
        "max_member_count": parse_integer(row.get("max_member_count")) or 0,
    }


def _member(group: int, row: Row) -> dict[str, Any]:
    return {
        "group_id": group,
        "user_id": _id(row),
        "nickname": _nick(row),
        "card": _text(row, "card"),
        "sex": "unknown",
        "age": 0,
        "area": "",
        "join_time": parse_integer(row.get("join_time")) or 0,
        "last_sent_time": parse_integer(row.get("last_sent_time")) or 0,
        "level": str(row.get("level") or ""),
        "role": _text(row, "role") or "member",
        "unfriendly": False,
        "title": _text(row, "title"),
        "title_expire_time": 0,
        "card_changeable": False,
    }


def _id(row: Row) -> int:
    return id_number(row.get("id"))


def _nick(row: Row) -> str:
    return _text(row, "nick") or _text(row, "name")


def _text(row: Row, key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""
