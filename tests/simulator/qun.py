"""The group pages qun.qq.com and qinfo.clt.qq.com: lists with real numbers, opened by `skey` and its hash."""

from collections.abc import Callable
from typing import Any

from .call import Call, Reply, json_reply
from .codes import QUN_CLOSED, QUN_NO_SUCH_GROUP, QUN_NOT_LOGGED_IN
from .network import Network
from .tokens import bkn
from .wire import integer
from .world import Group

_OWNER, _MEMBER = 0, 2
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\\": "&#92;", "'": "&#39;", " ": "&nbsp;"}
)


def _name(text: str) -> str:
    return text.translate(_ESCAPES)


def _page(build: Callable[[Network, Call], dict[str, Any]]) -> Callable[[Network, Call], Reply]:
    """Put the checks common to these pages in front of one of them.

    Their JSON has a raw `&`: Yinzo replaces `&#92;` and `&quot;` before it parses.
    """

    def checked(net: Network, call: Call) -> Reply:
        skey = call.cookies.get("skey", "")
        if not net.options.qun_open:
            return json_reply({"ec": QUN_CLOSED, "em": "closed"}, net.options)
        grant = net.sessions.find(skey=skey)
        if grant is None or net.is_worn_out(grant) or call.params().get("bkn") != str(bkn(skey)):
            return json_reply({"ec": QUN_NOT_LOGGED_IN, "em": "need login"}, net.options)
        return json_reply(build(net, call), net.options, ampersand="&")

    return checked


def _friend_list(net: Network, _call: Call) -> dict[str, Any]:
    result: dict[str, Any] = {"0": {}}
    result |= {str(index): {"gname": _name(label)} for index, label in net.world.categories.items()}
    for friend in net.world.friends.values():
        entry = {"name": _name(friend.mark or friend.person.nick), "uin": friend.qq}
        result.setdefault(str(friend.category), {}).setdefault("mems", []).append(entry)
    return {"ec": 0, "result": result}


def _group_list(net: Network, _call: Call) -> dict[str, Any]:
    lists: dict[str, Any] = {"ec": 0}
    for group in net.world.groups.values():
        me = group.member(net.account)
        mine = "create" if group.owner == net.account else "manage" if me and me.mflag & 1 else "join"
        entry = {"gc": group.number, "gn": _name(group.name), "owner": group.owner}
        lists.setdefault(mine, []).append(entry)
    return lists


def _asked_group(net: Network, call: Call) -> Group | None:
    number = integer(call.params().get("gc"))
    return None if number is None else net.world.groups.get(number)


def _members(net: Network, call: Call) -> dict[str, Any]:
    group = _asked_group(net, call)
    if group is None:
        return {"ec": QUN_NO_SUCH_GROUP, "em": "no such group"}
    return {
        "ec": 0,
        "owner": group.owner,
        "adm": [member.qq for member in group.members if member.mflag & 1 and member.qq != group.owner],
        "mems": [{"u": one.qq, "n": _name(one.person.nick), "g": 0, "b": 0} for one in group.members],
        "cards": {str(one.qq): _name(one.card) for one in group.members if one.card},
        "join": {str(one.qq): group.created for one in group.members},
        "times": {str(one.qq): int(net.clock()) for one in group.members},
        "levelname": {"lvln1": "潜水", "lvln2": "冒泡"},
        "lv": {str(one.qq): {"l": 1, "p": 2} for one in group.members},
        "remarks": {str(qq): _name(friend.mark) for qq, friend in net.world.friends.items() if friend.mark},
        "friends": list(net.world.friends),
    }


def _searched_members(net: Network, call: Call) -> dict[str, Any]:
    group = _asked_group(net, call)
    if group is None:
        return {"ec": QUN_NO_SUCH_GROUP, "em": "no such group"}
    start, last = (integer(call.params().get(name)) for name in ("st", "end"))
    end = len(group.members) if last is None else last + 1
    entries = [
        {
            "uin": one.qq,
            "nick": _name(one.person.nick),
            "card": _name(one.card),
            "role": _OWNER if one.qq == group.owner else 1 if one.mflag & 1 else _MEMBER,
            "g": 0,
            "join_time": group.created,
            "last_speak_time": int(net.clock()),
            "lv": {"level": 1, "point": 2},
        }
        for one in group.members[start:end]
    ]
    return {"ec": 0, "count": len(group.members), "search_count": len(group.members), "mems": entries}


friend_list = _page(_friend_list)
group_list = _page(_group_list)
members = _page(_members)
searched_members = _page(_searched_members)
