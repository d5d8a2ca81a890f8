"""The inside of a group (s.web2) and of a discussion (the channel host): members, cards, who is online."""

from typing import Any

from . import content, gates
from .call import Call, Reply, failure, ok
from .channel import presence
from .codes import BAD_COOKIES, STAT_CODES, WRONG_GROUP
from .contacts import name, shuffled, without_omitted
from .identity import Kind
from .network import Network
from .world import Group


def group(net: Network, call: Call) -> Reply:
    """Answer `get_group_info_ext2`; the group goes by its code, its gid gets code 6."""
    gates.data(net, call, call.query.get("vfwebqq"))
    number = net.ids.number(Kind.CODE, call.query.get("gcode"))
    if number not in net.world.groups:
        return failure(WRONG_GROUP, net.options)
    return ok(without_omitted(net, _group(net, net.world.group(number))), net.options)


def _group(net: Network, asked: Group) -> dict[str, Any]:
    uin = {member.qq: net.ids.of(Kind.PERSON, member.qq) for member in asked.members}
    people = [member.person for member in asked.members]
    result = {
        "stats": [
            {"client_type": one.client_type, "uin": uin[one.qq], "stat": STAT_CODES.get(one.status, 10)}
            for one in people
            if one.status != "offline"
        ],
        "minfo": shuffled(
            net,
            [
                {
                    "nick": name(net, one.nick),
                    "province": one.province,
                    "gender": one.gender,
                    "uin": uin[one.qq],
                    "country": one.country,
                    "city": one.city,
                }
                for one in people
            ],
        ),
        "ginfo": _ginfo(net, asked, uin),
        "cards": [{"muin": uin[one.qq], "card": name(net, one.card)} for one in asked.members if one.card],
        "vipinfo": [
            {"vip_level": one.vip_level, "u": uin[one.qq], "is_vip": int(one.vip_level > 0)} for one in people
        ],
    }
    if not result["cards"]:
        del result["cards"]
    return result


def _ginfo(net: Network, asked: Group, uin: dict[int, int]) -> dict[str, Any]:
    return {
        "face": 0,
        "memo": content.name(asked.memo, net.options),
        "class": 25,
        "fingermemo": "",
        "code": net.ids.of(Kind.CODE, asked.number),
        "createtime": asked.created,
        "flag": 721421329,
        "level": asked.level,
        "name": content.name(asked.name, net.options),
        "gid": net.ids.of(Kind.GROUP, asked.number),
        "owner": net.ids.of(Kind.PERSON, asked.owner),
        "members": [{"muin": uin[one.qq], "mflag": one.mflag} for one in asked.members],
        "option": 2,
    }


def discussion(net: Network, call: Call) -> Reply:
    """Answer `get_discu_info`, the one list that gives real numbers away (`ruin`)."""
    gates.channel(net, call, call.query.get("psessionid"))
    if call.query.get("vfwebqq") != gates.cookies(net, call).vfwebqq:
        raise gates.refuse(BAD_COOKIES, net)
    did = call.query.get("did", "")
    number = net.ids.number(Kind.DISCUSSION, did)
    if number not in net.world.discussions:
        return failure(WRONG_GROUP, net.options)
    asked = net.world.discussion(number)
    people = [member.person for member in asked.members]
    uin = {one.qq: net.ids.of(Kind.PERSON, one.qq) for one in people}
    result = {
        "info": {
            "did": int(did),
            "discu_name": content.name(asked.name, net.options),
            "discu_owner": net.ids.of(Kind.PERSON, asked.owner),
            "info_seq": 7,
            "mem_list": [{"mem_uin": uin[one.qq], "ruin": one.qq} for one in people],
        },
        "mem_info": shuffled(net, [{"nick": name(net, one.nick), "uin": uin[one.qq]} for one in people]),
        "mem_status": [presence(net, one) for one in people if one.status != "offline"],
    }
    return ok(without_omitted(net, result), net.options)
