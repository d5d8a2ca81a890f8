"""The lists of contacts and what they join to (5). Pure: answers in, contacts out.

Joined by uin throughout: the official client joins some of them by position, which holds until
one list lacks a line.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from adapter.events import Contact
from adapter.networks.smartqq.protocol.parsing import iter_objects, mapping, parse_id, parse_int, parse_text

MY_FRIENDS: Final = "我的好友"
"""The name of category 0, which upstream leaves out unless it was renamed."""

Statuses = Mapping[str, Mapping[str, object]]


def _by(key: str, value: object) -> dict[str, Mapping[str, object]]:
    """The objects of a list by the id under this key."""
    return {uin: row for row in iter_objects(value) if (uin := parse_id(row.get(key)))}


def _known(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value not in (None, "")}


def statuses(reply: Mapping[str, object]) -> Statuses:
    """Who is online and how (get_online_buddies2); whoever is missing is offline."""
    return {
        uin: _known(status=parse_text(row.get("status")), client_type=parse_int(row.get("client_type")))
        for uin, row in _by("uin", reply.get("result")).items()
    }


def friends(reply: Mapping[str, object], online: Statuses) -> tuple[Contact, ...]:
    """All friends with nick, mark, category and state (get_user_friends2)."""
    result = mapping(reply.get("result"))
    infos = _by("uin", result.get("info"))
    marks = _by("uin", result.get("marknames"))
    vips = _by("u", result.get("vipinfo"))
    categories = {0: MY_FRIENDS} | {
        index: parse_text(row.get("name"))
        for row in iter_objects(result.get("categories"))
        if (index := parse_int(row.get("index"))) is not None
    }
    found = []
    for uin, row in (infos | _by("uin", result.get("friends"))).items():
        info, category = infos.get(uin, {}), parse_int(row.get("categories")) or 0
        nick, mark = parse_text(info.get("nick")), parse_text(marks.get(uin, {}).get("markname"))
        data = _known(
            category=categories.get(category, ""),
            category_id=category,
            face=parse_int(info.get("face")),
            vip=parse_int(vips.get(uin, {}).get("vip_level")),
            **{"status": "offline", **online.get(uin, {})},
        )
        found.append(Contact(uin, mark or nick, nick=nick, remark=mark, data=data))
    return tuple(found)


def groups(reply: Mapping[str, object]) -> tuple[Contact, ...]:
    """All groups with mark, mask and code (get_group_name_list_mask2)."""
    result = mapping(reply.get("result"))
    marks = _by("uin", result.get("gmarklist"))
    masks = _by("gid", result.get("gmasklist"))
    found = []
    for gid, row in _by("gid", result.get("gnamelist")).items():
        nick, mark = parse_text(row.get("name")), parse_text(marks.get(gid, {}).get("markname"))
        mask = parse_int(masks.get(gid, {}).get("mask"))
        found.append(
            Contact(
                gid,
                mark or nick,
                nick=nick,
                remark=mark,
                code=parse_id(row.get("code")),
                data=_known(mask=mask),
            )
        )
    return tuple(found)


def discussions(reply: Mapping[str, object]) -> tuple[Contact, ...]:
    """All discussions (get_discus_list). Their names may be empty."""
    result = mapping(reply.get("result"))
    return tuple(
        Contact(did, parse_text(row.get("name")), nick=parse_text(row.get("name")))
        for did, row in _by("did", result.get("dnamelist")).items()
    )


def group_members(reply: Mapping[str, object], marks: Mapping[str, str]) -> tuple[Contact, ...]:
    """The members of a group (get_group_info_ext2). `marks`: what we call those who are friends too.

    Cards stand only for members who have one; `minfo` may be missing altogether.
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
        mark = marks.get(uin, "")
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
        found.append(Contact(uin, mark or card or nick, nick=nick, remark=mark, data=data))
    return tuple(found)


STATES: Final = {
    10: "online",
    20: "offline",
    30: "away",
    40: "hidden",
    50: "busy",
    60: "callme",
    70: "silent",
}


def discussion_members(reply: Mapping[str, object], marks: Mapping[str, str]) -> tuple[Contact, ...]:
    """The members of a discussion (get_discu_info): the last list that gives permanent numbers away."""
    result = mapping(reply.get("result"))
    infos = _by("uin", result.get("mem_info"))
    states = _by("uin", result.get("mem_status"))
    info = mapping(result.get("info"))
    owner = parse_id(info.get("discu_owner"))
    found = []
    for uin, row in (infos | _by("mem_uin", info.get("mem_list"))).items():
        nick, mark = parse_text(infos.get(uin, {}).get("nick")), marks.get(uin, "")
        data = _known(owner=uin == owner or None, status=parse_text(states.get(uin, {}).get("status")))
        qq = parse_id(row.get("ruin"))
        found.append(
            Contact(uin, mark or nick, nick=nick, remark=mark, qq="" if qq == "0" else qq, data=data)
        )
    return tuple(found)


# --- permanent numbers by name -----------------------------------------------------------------


def qun_friends(reply: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    """Name and number of each friend, as qun.qq.com lists them (5.9)."""
    for category in mapping(reply.get("result")).values():
        for row in iter_objects(mapping(category).get("mems")):
            yield parse_text(row.get("name")), parse_id(row.get("uin"))


def qun_groups(reply: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    """Name and number of each group, as qun.qq.com lists them (5.9)."""
    for key in ("join", "manage", "create"):
        for row in iter_objects(reply.get(key)):
            yield parse_text(row.get("gn")), parse_id(row.get("gc"))


def qun_members(reply: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    """Nick and card, each with the number, of the members of a group (5.9)."""
    cards = mapping(reply.get("cards"))
    found = {
        (name, qq)
        for row in iter_objects(reply.get("mems"))
        if (qq := parse_id(row.get("u")))
        for name in (parse_text(row.get("n")), parse_text(cards.get(qq)))
    }
    return sorted(found)
