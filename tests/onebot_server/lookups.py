"""Actions that only look: the account, lists, members, pending requests."""

from typing import Any

from .call import Call
from .errors import refused
from .params import integer
from .world import Group, Member, Person


async def get_login_info(call: Call) -> object:
    """Return number and name of the account."""
    return {"user_id": call.state.account, "nickname": call.state.world.nickname}


async def get_status(call: Call) -> object:
    """Return whether QQ is said to be online."""
    online = call.state.looks_online
    return {"online": online, "good": online or call.state.traits.name == "napcat", "stat": {}}


async def get_version_info(call: Call) -> object:
    """Return which implementation this is."""
    traits = call.state.traits
    return {"app_name": traits.app_name, "app_version": traits.app_version, "protocol_version": "v11"}


async def get_friend_list(call: Call) -> object:
    """Return the friends; NapCat's list holds private fields too."""
    return [_friend(call, person) for person in call.state.world.friends.values()]


def _friend(call: Call, person: Person) -> dict[str, Any]:
    friend: dict[str, Any] = {"user_id": person.qq, "nickname": person.nickname, "remark": person.remark}
    if call.state.traits.has_private_friend_fields:
        friend |= {
            "phone_num": f"138{person.qq:08}",
            "email": f"{person.qq}@mail.invalid",
            "birthday_year": 1990,
            "birthday_month": 1,
            "birthday_day": 1,
            "age": 36,
            "sex": person.sex,
            "level": 16,
            "categoryId": 0,
        }
    return friend


async def get_stranger_info(call: Call) -> object:
    """Return what is public about a person."""
    user = integer(call.params, "user_id")
    nickname = call.state.world.nickname_of(user)
    return {"user_id": user, "nickname": nickname, "sex": "unknown", "age": 0}


async def get_group_list(call: Call) -> object:
    """Return the groups."""
    return [_group(group) for group in call.state.world.groups.values()]


async def get_group_info(call: Call) -> object:
    """Return one group."""
    return _group(known_group(call))


def _group(group: Group) -> dict[str, Any]:
    return {
        "group_id": group.number,
        "group_name": group.name,
        "group_remark": "",
        "member_count": len(group.members),
        "max_member_count": group.max_members,
        "group_all_shut": -1 if group.is_muted else 0,
    }


def known_group(call: Call) -> Group:
    """Return the group of a call; refuse a number that is none of the account."""
    number = integer(call.params, "group_id")
    group = call.state.world.groups.get(number)
    if group is None:
        raise refused(f"群聊 {number} 不存在", "GROUP_NOT_FOUND")
    return group


async def get_group_member_list(call: Call) -> object:
    """Return all members of a group in one frame: 9,000 are 4 MB."""
    group = known_group(call)
    return [_member(call, group, member) for member in group.members.values()]


async def get_group_member_info(call: Call) -> object:
    """Return one member; refuse for a person that is none."""
    group = known_group(call)
    user = integer(call.params, "user_id")
    if user not in group.members:
        raise refused(f"群({group.number})成员{user}不存在", "MEMBER_NOT_FOUND")
    return _member(call, group, group.members[user])


def _member(call: Call, group: Group, member: Member) -> dict[str, Any]:
    return {
        "group_id": group.number,
        "user_id": member.qq,
        "nickname": member.nickname,
        "card": member.card,
        "card_or_nickname": member.card or member.nickname,
        "sex": "unknown",
        "age": 0,
        "area": "",
        "level": member.level,
        "join_time": member.joined,
        "last_sent_time": member.spoke,
        "title_expire_time": 0,
        "shut_up_timestamp": member.muted_until,
        "role": member.role,
        "title": member.title,
        **call.state.traits.member_extras,
    }


async def get_group_system_msg(call: Call) -> object:
    """Return the group requests that wait."""
    pending = [one for one in call.state.requests.all() if one.kind == "group" and not one.answer]
    rows = {
        kind: [
            {
                "request_id": one.flag,
                "group_id": one.group,
                "invitor_uin" if kind == "invite" else "requester_uin": one.user,
                "message": one.comment,
                "checked": False,
                "actor": 0,
            }
            for one in pending
            if one.sub_type == kind
        ]
        for kind in ("invite", "add")
    }
    return {"invited_requests": rows["invite"], "join_requests": rows["add"]}


async def say_yes(_: Call) -> object:
    """Return that pictures and records can be sent."""
    return {"yes": True}


async def get_empty(_: Call) -> object:
    """Return nothing for an action without an effect here."""
    return None
