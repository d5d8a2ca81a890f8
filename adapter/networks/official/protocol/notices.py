"""Notices: everything that happened and is no message."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from adapter.directory import IdSpace
from adapter.events import Address, ChatKind, Notice
from adapter.networks.official.protocol.frames import Frame
from adapter.networks.official.protocol.keys import event_key
from adapter.networks.official.protocol.redaction import redact, redact_text
from adapter.networks.official.protocol.values import Object, parse_text, parse_time
from adapter.permanent_directory import compute_stable_id


class _Kind(NamedTuple):
    """The type on the bus, what happened, and the plain line."""

    name: str
    sub_type: str
    line: str


_KINDS: Final[Mapping[str, _Kind]] = {
    "FRIEND_ADD": _Kind("friend", "add", "添加了机器人"),
    "FRIEND_DEL": _Kind("friend", "delete", "删除了机器人"),
    "C2C_MSG_RECEIVE": _Kind("friend", "receive", "允许主动消息"),
    "C2C_MSG_REJECT": _Kind("friend", "reject", "关闭主动消息"),
    "GROUP_ADD_ROBOT": _Kind("group", "add", "机器人加入了群"),
    "GROUP_DEL_ROBOT": _Kind("group", "delete", "机器人被移出了群"),
    "GROUP_MSG_RECEIVE": _Kind("group", "receive", "允许主动消息"),
    "GROUP_MSG_REJECT": _Kind("group", "reject", "关闭主动消息"),
    "GROUP_MEMBER_ADD": _Kind("group", "member_add", "加入了群"),
    "GROUP_MEMBER_REMOVE": _Kind("group", "member_remove", "离开了群"),
    "GROUP_JOIN_REQUEST": _Kind("group", "join_request", "请求加入群"),
}
# A button was pressed.
INTERACTION: Final = "INTERACTION_CREATE"
# Notices that a message may answer by their event id.
ANCHORS: Final = frozenset(
    {INTERACTION, "C2C_MSG_RECEIVE", "FRIEND_ADD", "GROUP_ADD_ROBOT", "GROUP_MSG_RECEIVE"}
)
# Who acted, in the order in which the fields count.
_ACTORS: Final = ("op_member_openid", "member_openid", "group_member_openid", "user_openid", "openid")
# Fields of `data` that hold an openid, and the names under which the stable id stands there.
_IDS: Final[Mapping[str, tuple[str, IdSpace]]] = {
    "group_openid": ("group_id", IdSpace.GROUP),
    "openid": ("user_id", IdSpace.PERSON),
    "user_openid": ("user_id", IdSpace.PERSON),
    "member_openid": ("user_id", IdSpace.PERSON),
    "group_member_openid": ("user_id", IdSpace.PERSON),
    "op_member_openid": ("operator_id", IdSpace.PERSON),
}
# Characters of an unknown event's type.
_MAX_TYPE: Final = 64


def decode_notice(frame: Frame, *, keep_raw: bool = False) -> Notice:
    """Return a notice; one of an unknown type is an `other` with its raw form."""
    kind = _KINDS.get(frame.event)
    if kind is None:
        return decode_other(frame)
    data = frame.object
    return Notice(
        kind.name,
        text=kind.line,
        chat=notice_chat(data),
        sender=_actor(data),
        time=parse_time(data.get("timestamp")),
        key=event_key(frame.event_id),
        data={"sub_type": kind.sub_type} | _data(data),
        upstream=_upstream(frame),
        raw=redact(frame.data) if keep_raw else None,
    )


def decode_other(frame: Frame, reason: str = "") -> Notice:
    """Return an event without a type of its own, as it came. `reason` says why it could not be read."""
    data = frame.object
    return Notice(
        "other",
        text=redact_text(frame.event[:_MAX_TYPE]),
        chat=notice_chat(data),
        sender=_actor(data),
        time=parse_time(data.get("timestamp")),
        key=event_key(frame.event_id),
        data={"reason": reason} if reason else {},
        upstream=_upstream(frame),
        raw=redact({"t": frame.event, "id": frame.event_id, "d": frame.data}),
    )


def notice_chat(data: Object) -> Address | None:
    """Return the group of a notice, else the person; None where it names neither."""
    if group := parse_text(data.get("group_openid")):
        return Address(ChatKind.GROUP, group)
    person = parse_text(data.get("user_openid")) or parse_text(data.get("openid"))
    return Address(ChatKind.FRIEND, person) if person else None


def _actor(data: Object) -> str:
    return next(filter(None, (parse_text(data.get(name)) for name in _ACTORS)), "")


def _data(data: Object) -> dict[str, object]:
    """Return the network's own fields, openids as stable ids."""
    found: dict[str, object] = {}
    for name, value in data.items():
        if name in _IDS:
            public, space = _IDS[name]
            openid = parse_text(value)
            found[public] = found.get(public) or (compute_stable_id(space, openid) if openid else "")
        elif name not in {"timestamp", "author"}:
            found[redact_text(name)] = redact(value)
    return found


def _upstream(frame: Frame) -> Mapping[str, object]:
    data = frame.object
    values: dict[str, object] = {
        "network": "official",
        "event": redact_text(frame.event[:_MAX_TYPE]),
        "s": frame.s,
        "event_id": redact_text(frame.event_id),
        **{name: parse_text(data.get(name)) for name in _IDS},
    }
    return {name: value for name, value in values.items() if value not in (None, "")}
