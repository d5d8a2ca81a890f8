"""Notices and requests: everything that happened and is no message."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from adapter.events import Address, ChatKind, Notice
from adapter.networks.onebot.protocol.messages import group_address
from adapter.networks.onebot.protocol.request_ids import encode_request
from adapter.networks.onebot.protocol.values import (
    Object,
    mapping,
    parse_id,
    parse_int,
    parse_message_id,
    parse_text,
    parse_time,
)

# Fields that the bus carries elsewhere.
_COMMON: Final = frozenset({"time", "self_id", "post_type", "notice_type", "request_type"})
# Characters of a plain line that quote a person.
_MAX_LINE: Final = 500
# Objects within objects whose ids become text; real events have two.
_MAX_DEPTH: Final = 8


@dataclass(frozen=True, slots=True)
class _Kind:
    """The type on the bus and the plain line, one for all or one for each sub_type.

    Each of equal notices that is `counted` is an event of its own; copies of others are one event. The
    receiver numbers them.
    """

    name: str
    line: str
    lines: Mapping[str, str]
    is_counted: bool = False


def _kind(name: str, line: str, *, is_counted: bool = False, **lines: str) -> _Kind:
    return _Kind(name, line, lines, is_counted)


_NOTICES: Final[Mapping[str, _Kind]] = {
    "group_recall": _kind("recall", "撤回了一条消息"),
    "friend_recall": _kind("recall", "撤回了一条消息"),
    "group_increase": _kind("member", "加入了群", invite="受邀加入了群"),
    "group_decrease": _kind(
        "member",
        "离开了群",
        leave="退出了群",
        kick="被移出了群",
        kick_me="本账号被移出了群",
        disband="群已解散",
    ),
    # LLBot's own form of a group that is dissolved.
    "group_dismiss": _kind("member", "群已解散"),
    "group_ban": _kind("mute", "被禁言", lift_ban="被解除禁言"),
    "group_admin": _kind("admin", "管理员变动", set="成为管理员", unset="不再是管理员"),
    "group_card": _kind("card", "修改了群名片"),
    "essence": _kind("essence", "精华消息变动", add="设为精华消息", delete="取消精华消息"),
    "group_msg_emoji_like": _kind("reaction", "回应了一条消息"),
    "group_upload": _kind("file", "共享文件"),
    "offline_file": _kind("file", "共享文件"),
    "friend_add": _kind("friend", "加为好友"),
}
_NOTIFY: Final[Mapping[str, _Kind]] = {
    "poke": _kind("poke", "戳一戳", is_counted=True),
    "input_status": _kind("typing", "正在输入", is_counted=True),
}
_REQUESTS: Final[Mapping[str, _Kind]] = {
    "friend": _kind("request.friend", "请求加为好友"),
    "group": _kind("request.group", "请求加入群", invite="邀请加入群"),
}


def decode_notice(frame: Object, *, keep_raw: bool = False) -> Notice:
    """Return a notice or a request; one of an unknown type is an `other` with its raw form."""
    post_type = frame.get("post_type")
    name = frame.get("request_type" if post_type == "request" else "notice_type")
    table = _REQUESTS if post_type == "request" else _NOTICES
    if name == "notify" and post_type == "notice":
        name, table = frame.get("sub_type"), _NOTIFY
    kind = table.get(name) if isinstance(name, str) else None
    if kind is None or post_type not in {"notice", "request"}:
        return decode_other(frame)
    data = _data(frame)
    if frame.get("notice_type") == "group_dismiss":
        data["sub_type"] = "disband"
    user, own_id = parse_id(frame.get("user_id")), parse_id(frame.get("self_id"))
    actor = parse_id(frame.get("operator_id")) or user
    is_request = post_type == "request"
    return Notice(
        kind.name,
        text=_line(kind, frame, data),
        chat=None if kind.name == "request.friend" else _chat(frame, user, own_id),
        sender=actor,
        time=parse_time(frame.get("time")),
        message_id=_request_id(frame, data) if is_request else "",
        from_self=actor != "" and actor == own_id,
        data=data,
        upstream={"network": "onebot"},
        raw=frame if keep_raw else None,
        qq=actor,
        ordinal=0 if kind.is_counted else None,
    )


def decode_other(frame: Object, reason: str = "") -> Notice:
    """Return an event without a type of its own, as it came. `reason` says why it could not be read."""
    names = (parse_text(frame.get(name)) for name in ("post_type", "notice_type", "sub_type"))
    return Notice(
        "other",
        text="/".join(filter(None, names)),
        time=parse_time(frame.get("time")),
        data={"reason": reason} if reason else {},
        upstream={"network": "onebot"},
        raw=frame,
    )


def _chat(frame: Object, user: str, own_id: str) -> Address | None:
    """Return the group, else the friend; None where only the account itself is named."""
    if group := parse_id(frame.get("group_id")):
        return group_address(group)
    peer = parse_id(frame.get("sender_id")) or user
    if peer == own_id:
        peer = parse_id(frame.get("target_id"))
    return Address(ChatKind.FRIEND, peer) if peer and peer != own_id else None


def _data(frame: Object) -> dict[str, object]:
    """Return the network's own fields, all ids as text."""
    data = {name: _value(name, value, 0) for name, value in frame.items() if name not in _COMMON}
    if (flag := data.get("flag")) is not None:
        data["flag"] = parse_text(flag)
    if "duration" in data:
        data["duration"] = parse_int(data["duration"]) or 0
    return data


def _value(name: str, value: object, depth: int) -> object:
    if depth > _MAX_DEPTH:
        return value
    if name == "message_id":
        return parse_message_id(value)
    if name.endswith("_id"):
        # An id that is no number, as the uid of a file, stays as it is.
        return parse_id(value) if parse_int(value) is not None else parse_text(value)
    if isinstance(value, dict):
        return {key: _value(key, item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_value("", item, depth + 1) for item in value]
    return value


def _line(kind: _Kind, frame: Object, data: Object) -> str:
    line = kind.lines.get(str(data.get("sub_type")), kind.line)
    match kind.name:
        case "file":
            name = parse_text(mapping(frame.get("file")).get("name"))
            return f"{line} [{name[:_MAX_LINE]}]" if name else line
        case "mute" if data.get("user_id") == "":
            return f"全员{line.removeprefix('被')}"
        case "card":
            return f"{line}：{parse_text(data.get('card_new'))[:_MAX_LINE]}"
        case "request.friend" | "request.group":
            comment = parse_text(data.get("comment"))[:_MAX_LINE]
            return f"{line}：{comment}" if comment else line
        case _:
            return line


def _request_id(frame: Object, data: Object) -> str:
    return encode_request(parse_text(data.get("sub_type")), parse_text(frame.get("flag")))
