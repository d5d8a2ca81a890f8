"""The lists and profiles of s.web2: myself, friends, groups, discussions, and what is known of one person."""

from typing import Any

from . import content, gates
from .call import Call, Reply, failure, ok
from .channel import form
from .codes import BAD_COOKIES, STAT_CODES
from .identity import Kind
from .network import Network
from .tokens import contact_hash
from .world import Person

_MOST_DIGITS = 15  # an all-digit nick beyond this would not survive as a JSON number


def vfwebqq(net: Network, call: Call) -> Reply:
    """Answer `getvfwebqq`; only the cookies matter, the psessionid may be empty."""
    gates.headers(net, call)
    return ok({"vfwebqq": gates.cookies(net, call).vfwebqq}, net.options)


def myself(net: Network, call: Call) -> Reply:
    """Answer `get_self_info2`. The vfwebqq in it is of no use."""
    gates.headers(net, call)
    grant = gates.cookies(net, call)
    more = {"lnick": net.world.me.lnick, "vfwebqq": grant.decoy, "account": net.account}
    return ok(_profile(net, net.world.me) | more, net.options)


def name(net: Network, text: str) -> str | int:
    """Return a name as the lists have it: with entities, all digits perhaps as a number."""
    digits = text.isascii() and text.isdecimal() and not text.startswith("0")
    if net.options.numeric_nicks and digits and len(text) <= _MOST_DIGITS:
        return int(text)
    return content.name(text, net.options)


def _profile(net: Network, person: Person) -> dict[str, Any]:
    return {
        "birthday": {"month": 2, "year": 1994, "day": 7},
        "face": person.face,
        "phone": "",
        "occupation": "",
        "allow": 3,
        "college": "",
        "uin": net.ids.of(Kind.PERSON, person.qq),
        "blood": 0,
        "constel": 1,
        "homepage": "",
        "vip_info": person.vip_level,
        "city": person.city,
        "country": person.country,
        "personal": "",
        "shengxiao": 10,
        "nick": name(net, person.nick),
        "email": "",
        "province": person.province,
        "gender": person.gender,
        "mobile": "",
    }


def _list_request(net: Network, call: Call) -> None:
    """Check a request for one of the two lists that want the hash."""
    r = form(net, call)
    grant = gates.data(net, call, r.get("vfwebqq"))
    if r.get("hash") != contact_hash(net.account, grant.ptwebqq):
        raise gates.refuse(net.options.wrong_hash_code, net)


def without_omitted(net: Network, result: dict[str, Any]) -> dict[str, Any]:
    """Return a list answer without the keys the service is told to forget."""
    omitted = net.options.omit.split()
    return {key: value for key, value in result.items() if key not in omitted}


def shuffled(net: Network, entries: list[Any]) -> list[Any]:
    """Return entries in another order if lists are not to be joined by position."""
    return net.rng.sample(entries, len(entries)) if net.options.shuffle_lists else entries


def friends(net: Network, call: Call) -> Reply:
    """Answer `get_user_friends2`. Category 0 is never listed, the account itself neither."""
    _list_request(net, call)
    uin = {qq: net.ids.of(Kind.PERSON, qq) for qq in net.world.friends}
    everybody = list(net.world.friends.values())
    result = {
        "friends": [
            {"flag": 4 * one.category, "uin": uin[one.qq], "categories": one.category} for one in everybody
        ],
        "marknames": [
            {"uin": uin[one.qq], "markname": name(net, one.mark), "type": 0} for one in everybody if one.mark
        ],
        "categories": [
            {"index": index, "sort": sort, "name": content.name(label, net.options)}
            for sort, (index, label) in enumerate(net.world.categories.items(), 1)
        ],
        "vipinfo": [_vip(net, one.person, "u") for one in everybody],
        "info": shuffled(
            net,
            [
                {
                    "face": one.person.face,
                    "flag": one.person.flag,
                    "nick": name(net, one.person.nick),
                    "uin": uin[one.qq],
                }
                for one in everybody
            ],
        ),
    }
    return ok(without_omitted(net, result), net.options)


def _vip(net: Network, person: Person, key: str) -> dict[str, int]:
    uin = net.ids.of(Kind.PERSON, person.qq)
    return {"vip_level": person.vip_level, key: uin, "is_vip": int(person.vip_level > 0)}


def groups(net: Network, call: Call) -> Reply:
    """Answer `get_group_name_list_mask2`, by POST or by GET."""
    _list_request(net, call)
    listed = [(net.ids.of(Kind.GROUP, number), group) for number, group in net.world.groups.items()]
    masks = [{"gid": 1000, "mask": 0}] + [{"gid": gid, "mask": group.mask} for gid, group in listed]
    result = {
        "gmasklist": masks,
        "gnamelist": [
            {
                "flag": 167864331,
                "name": content.name(group.name, net.options),
                "gid": gid,
                "code": net.ids.of(Kind.CODE, group.number),
            }
            for gid, group in listed
        ],
        "gmarklist": [{"uin": gid, "markname": name(net, group.mark)} for gid, group in listed if group.mark],
    }
    return ok(without_omitted(net, result), net.options)


def discussions(net: Network, call: Call) -> Reply:
    """Answer `get_discus_list`."""
    gates.data(net, call, call.query.get("vfwebqq"))
    result = {
        "dnamelist": [
            {"name": content.name(one.name, net.options), "did": net.ids.of(Kind.DISCUSSION, number)}
            for number, one in net.world.discussions.items()
        ],
        "dmasklist": [{"did": 1000, "mask": 0}],
    }
    return ok(without_omitted(net, result), net.options)


def _person_asked(net: Network, call: Call) -> Person:
    qq = net.ids.number(Kind.PERSON, call.query.get("tuin"))
    if qq is None or not net.world.knows(qq):
        raise gates.refuse(BAD_COOKIES, net)
    return net.world.person(qq)


def number(net: Network, call: Call) -> Reply:
    """Answer `get_friend_uin2`; since April 2017 with nothing."""
    gates.data(net, call, call.query.get("vfwebqq"))
    if not net.options.friend_uin:
        return ok({}, net.options)
    # Clients pass a group's gid with type 4 (floatinghotpot, pandolia, Miranda), its code with 4 (webqq-core)
    # or with 1 (lwqq): `type` decides nothing.
    tuin = call.query.get("tuin", "")
    found = [net.ids.number(kind, tuin) for kind in (Kind.PERSON, Kind.GROUP, Kind.CODE)]
    account = next((number for number in found if number is not None), None)
    if account is None:
        return failure(BAD_COOKIES, net.options)
    return ok({"uiuin": "", "account": account, "uin": int(tuin)}, net.options)


def friend_info(net: Network, call: Call) -> Reply:
    """Answer `get_friend_info2`."""
    gates.data(net, call, call.query.get("vfwebqq"))
    person = _person_asked(net, call)
    masked = {"mobile": "139********", "stat": STAT_CODES.get(person.status, 20)}
    return ok(_profile(net, person) | masked, net.options)


def stranger_info(net: Network, call: Call) -> Reply:
    """Answer `get_stranger_info2`."""
    gates.data(net, call, call.query.get("vfwebqq"))
    person = _person_asked(net, call)
    return ok(_profile(net, person) | {"token": net.mint.hexadecimal(48)}, net.options)


def long_nick(net: Network, call: Call) -> Reply:
    """Answer `get_single_long_nick2`; who has none gets 100000."""
    gates.data(net, call, call.query.get("vfwebqq"))
    person = _person_asked(net, call)
    if not person.lnick:
        return failure(BAD_COOKIES, net.options)
    uin = net.ids.of(Kind.PERSON, person.qq)
    return ok([{"uin": uin, "lnick": content.name(person.lnick, net.options)}], net.options)


def level(net: Network, call: Call) -> Reply:
    """Answer `get_qq_level2`."""
    gates.data(net, call, call.query.get("vfwebqq"))
    person = _person_asked(net, call)
    days = person.level * (person.level + 4)
    figures = {"level": person.level, "days": days, "hours": days * 10, "remainDays": 15}
    return ok(figures | {"tuin": net.ids.of(Kind.PERSON, person.qq)}, net.options)
