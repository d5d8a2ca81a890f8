"""Read contact lists and join their parts (5). Pure.

Parts are joined by uin. The official client joins some by position, which fails when one part lacks a row.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from adapter.events import Contact
from adapter.networks.smartqq.protocol.parsing import iter_objects, mapping, parse_id, parse_int, parse_text

# The name of category 0, which the server omits unless it was renamed.
MY_FRIENDS: Final = "我的好友"

Statuses = Mapping[str, Mapping[str, object]]


def _by(key: str, value: object) -> dict[str, Mapping[str, object]]:
    """Index the objects of a list by the id under this key."""
    return {uin: row for row in iter_objects(value) if (uin := parse_id(row.get(key)))}


def _known(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value not in (None, "")}


def statuses(reply: Mapping[str, object]) -> Statuses:
    """Return who is online and how (get_online_buddies2); friends not listed are offline."""
    return {
        uin: _known(status=parse_text(row.get("status")), client_type=parse_int(row.get("client_type")))
        for uin, row in _by("uin", reply.get("result")).items()
    }


def friends(reply: Mapping[str, object], online: Statuses) -> tuple[Contact, ...]:
    """Return all friends with nick, remark, category and state (get_user_friends2)."""
    result = mapping(reply.get("result"))
    infos = _by("uin", result.get("info"))
    remarks = _by("uin", result.get("marknames"))
    vips = _by("u", result.get("vipinfo"))
    categories = {0: MY_FRIENDS} | {
        index: parse_text(row.get("name"))
        for row in iter_objects(result.get("categories"))
        if (index := parse_int(row.get("index"))) is not None
    }
    found = []
    for uin, row in (infos | _by("uin", result.get("friends"))).items():
        info, category = infos.get(uin, {}), parse_int(row.get("categories")) or 0
        nick, remark = parse_text(info.get("nick")), parse_text(remarks.get(uin, {}).get("markname"))
        data = _known(
            category=categories.get(category, ""),
            category_id=category,
            face=parse_int(info.get("face")),
            vip=parse_int(vips.get(uin, {}).get("vip_level")),
            **{"status": "offline", **online.get(uin, {})},
        )
        found.append(Contact(uin, remark or nick, nick=nick, remark=remark, data=data))
    return tuple(found)


def groups(reply: Mapping[str, object]) -> tuple[Contact, ...]:
    """Return all groups with remark, mask and code (get_group_name_list_mask2)."""
    result = mapping(reply.get("result"))
    remarks = _by("uin", result.get("gmarklist"))
    masks = _by("gid", result.get("gmasklist"))
    found = []
    for gid, row in _by("gid", result.get("gnamelist")).items():
        nick, remark = parse_text(row.get("name")), parse_text(remarks.get(gid, {}).get("markname"))
        mask = parse_int(masks.get(gid, {}).get("mask"))
        found.append(
            Contact(
                gid,
                remark or nick,
                nick=nick,
                remark=remark,
                code=parse_id(row.get("code")),
                data=_known(mask=mask),
            )
        )
    return tuple(found)


def discussions(reply: Mapping[str, object]) -> tuple[Contact, ...]:
    """Return all discussions (get_discus_list). Their names may be empty."""
    result = mapping(reply.get("result"))
    return tuple(
        Contact(did, parse_text(row.get("name")), nick=parse_text(row.get("name")))
        for did, row in _by("did", result.get("dnamelist")).items()
    )


def group_members(reply: Mapping[str, object], remarks: Mapping[str, str]) -> tuple[Contact, ...]:
    """Return the members of a group (get_group_info_ext2). `remarks`: of those who are friends.

    Only some members have a card; `minfo` may be missing altogether.
    """
    result = mapping(reply.get("result"))
    group = mapping(result.get("ginfo"))
    infos = _by("uin", result.get("minfo"))
    cards = _by("muin", result.get("cards"))
    states = _by("uin", result.get("stats"))
    owner = parse_id(group.get("owner"))
    found = []
    for uin, row in (infos | _by("muin", group.get("members"))).items():
        info = infos.get(uin, {})
        nick, card = parse_text(info.get("nick")), parse_text(cards.get(uin, {}).get("card"))
        remark = remarks.get(uin, "")
        data = _known(
            card=card,
            gender=parse_text(info.get("gender")),
            country=parse_text(info.get("country")),
            province=parse_text(info.get("province")),
            city=parse_text(info.get("city")),
            flag=parse_int(row.get("mflag")),
            owner=uin == owner or None,
            status=STATES.get(parse_int(states.get(uin, {}).get("stat")) or 0),
        )
        found.append(Contact(uin, remark or card or nick, nick=nick, remark=remark, data=data))
    return tuple(found)


# `stat` of a member. Source: the page script.
STATES: Final = {
    10: "online",
    20: "offline",
    30: "away",
    40: "hidden",
    50: "busy",
    60: "callme",
    70: "silent",
}


def discussion_members(reply: Mapping[str, object], remarks: Mapping[str, str]) -> tuple[Contact, ...]:
    """Return the members of a discussion, with permanent numbers (get_discu_info)."""
    result = mapping(reply.get("result"))
    infos = _by("uin", result.get("mem_info"))
    states = _by("uin", result.get("mem_status"))
    info = mapping(result.get("info"))
    owner = parse_id(info.get("discu_owner"))
    found = []
    for uin, row in (infos | _by("mem_uin", info.get("mem_list"))).items():
        nick, remark = parse_text(infos.get(uin, {}).get("nick")), remarks.get(uin, "")
        data = _known(owner=uin == owner or None, status=parse_text(states.get(uin, {}).get("status")))
        qq = parse_id(row.get("ruin"))
        found.append(
            Contact(uin, remark or nick, nick=nick, remark=remark, qq="" if qq == "0" else qq, data=data)
        )
    return tuple(found)


# --- permanent numbers by name -----------------------------------------------------------------


def qun_friends(reply: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    """Yield name and number of each friend in the list of qun.qq.com (5.9)."""
    for category in mapping(reply.get("result")).values():
        for row in iter_objects(mapping(category).get("mems")):
            yield parse_text(row.get("name")), parse_id(row.get("uin"))


def qun_groups(reply: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    """Yield name and number of each group in the list of qun.qq.com (5.9)."""
    for key in ("join", "manage", "create"):
        for row in iter_objects(reply.get(key)):
            yield parse_text(row.get("gn")), parse_id(row.get("gc"))


def qun_members(reply: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    """Return nick and card, each with the number, of a group's members (5.9)."""
    cards = mapping(reply.get("cards"))
    found = {
        (name, qq)
        for row in iter_objects(reply.get("mems"))
        if (qq := parse_id(row.get("u")))
        for name in (parse_text(row.get("n")), parse_text(cards.get(qq)))
    }
    return sorted(found)
