"""Decode the items of a poll that are not messages: typing, presence, files, joins (3.3).

`data` holds a notice's own fields with ids as decimal text; `text` is one short line for people.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from adapter.errors import ProtocolError
from adapter.events import Address, ChatKind, Notice
from adapter.networks.smartqq.protocol.parsing import iter_objects, parse_id, parse_int, parse_text
from adapter.networks.smartqq.protocol.poll_item import PollItem

STATUSES: Final = {
    "online": "在线",
    "offline": "离线",
    "away": "离开",
    "busy": "忙碌",
    "hidden": "隐身",
    "callme": "Q我吧",
    "silent": "请勿打扰",
}


def other(item: PollItem, reason: str = "") -> Notice:
    """Return a notice of any other item, with its value. `reason`: why it is unreadable."""
    return Notice(
        "other",
        text=item.kind,
        time=item.time,
        data={"reason": reason} if reason else {},
        upstream=item.upstream(),
        raw=item.whole,
    )


def _notice(
    item: PollItem, kind: str, text: str, *, chat: Address | None = None, sender: str = "", **data: object
) -> Notice:
    return Notice(
        kind,
        text=text,
        chat=chat,
        sender=sender,
        time=item.time,
        message_id=parse_id(item.value.get("msg_id")),
        data={name: value for name, value in data.items() if value not in (None, "")},
        upstream=item.upstream(),
        raw=item.raw,
    )


def _of_friend(item: PollItem, kind: str, text: str, **data: object) -> Notice:
    sender = item.id("from_uin")
    return _notice(item, kind, text, chat=Address(ChatKind.FRIEND, sender), sender=sender, **data)


def _typing(item: PollItem) -> Notice:
    return _of_friend(item, "typing", "正在输入")


def _shake(item: PollItem) -> Notice:
    return _of_friend(item, "shake", "窗口抖动")


def _presence(item: PollItem) -> Notice:
    status = parse_text(item.value.get("status"))
    uin = item.id("uin")
    return _notice(
        item,
        "presence",
        STATUSES.get(status, status),
        chat=Address(ChatKind.FRIEND, uin),
        sender=uin,
        status=status,
        client_type=parse_int(item.value.get("client_type")),
    )


# --- friends -----------------------------------------------------------------------------------

_FRIEND_EVENTS: Final = {
    "verify_required": "请求加为好友",
    "verify_pass": "通过了好友请求",
    "verify_pass_add": "通过了好友请求并加为好友",
    "verify_rejected": "拒绝了好友请求",
    "added_buddy_sig": "加为好友",
}


def _system(item: PollItem) -> Notice:
    value = item.value
    event, message = parse_text(value.get("type")), parse_text(value.get("msg"))
    line = _FRIEND_EVENTS.get(event, event)
    return _of_friend(
        item,
        "friend",
        f"{line}：{message}" if message else line,
        event=event,
        message=message,
        qq=parse_id(value.get("account")),
        allow=parse_int(value.get("allow")),
        status=parse_int(value.get("stat")),
        client_type=parse_int(value.get("client_type")),
    )


def _buddies(item: PollItem) -> Notice:
    added = [
        {"id": uin, "category": parse_int(row.get("groupid")) or 0}
        for row in iter_objects(item.value.get("added_friends"))
        if (uin := parse_id(row.get("uin")))
    ]
    removed = [
        {"id": uin}
        for row in iter_objects(item.value.get("removed_friends"))
        if (uin := parse_id(row.get("uin")))
    ]
    line = f"好友列表变化：+{len(added)} -{len(removed)}"
    return _notice(item, "contacts", line, event="friends", added=added, removed=removed)


# --- groups ------------------------------------------------------------------------------------

_GROUP_EVENTS: Final = {
    "group_create": "创建了群",
    "group_join": "加入了群",
    "group_leave": "退出了群",
    "group_request_join": "请求加入群",
    "group_request_join_agree": "同意了加群请求",
    "group_request_join_deny": "拒绝了加群请求",
    "group_admin_op": "管理员变动",
}
_BY_NUMBER: Final = {
    33: "group_join",
    34: "group_leave",
    35: "group_request_join",
    36: "group_request_join_agree",
    37: "group_request_join_deny",
    38: "group_create",
    44: "group_admin_op",
}
_KICKED_OUT: Final = 3
_PERSONS: Final = ("new_member", "old_member", "request_uin", "owner_uin", "uin", "admin_uin")


def _group_system(item: PollItem) -> Notice:
    value = item.value
    event = parse_text(value.get("type")) or _BY_NUMBER.get(parse_int(value.get("msg_type")) or 0, "")
    operation = parse_int(value.get("op_type"))
    line = _GROUP_EVENTS.get(event, event)
    if event == "group_leave" and operation == _KICKED_OUT:
        line = "被移出了群"
    message = parse_text(value.get("msg"))
    ids = {name: parse_id(value.get(name)) for name in _PERSONS}
    numbers = {f"t_{name}": parse_id(value.get(f"t_{name}")) for name in _PERSONS}
    return _notice(
        item,
        "group",
        f"{line}：{message}" if message else line,
        chat=Address(ChatKind.GROUP, item.id("from_uin")),
        sender=next((uin for uin in ids.values() if uin), ""),
        event=event,
        operation=operation,
        message=message,
        admin_nick=parse_text(value.get("admin_nick")),
        group_qq=parse_id(value.get("t_gcode")),
        admin_flag=parse_int(value.get("uin_flag")),
        **ids,
        **numbers,
    )


_TAG: Final = re.compile(r"<n\s[^<>]*>")
_ATTRIBUTE: Final = re.compile(r'\s([a-z]+)="([^"]*)"')
_SHARED: Final = "共享文件"
_TITLES: Final = frozenset({_SHARED, "分享文件"})
# Texts of a card beside the file's name: titles, links, a count and the time of day.
_LABEL: Final = re.compile(r"共享文件|分享文件|\d+|个|\d\d:\d\d:\d\d|立即下载|查看全部")


def _group_web(item: PollItem) -> Notice:
    """Read a card of the group's web page, mostly a shared file. Its XML may be binary.

    Raises ProtocolError if it has no readable text.
    """
    xml = item.value.get("xml")
    tags = [dict(_ATTRIBUTE.findall(tag)) for tag in _TAG.findall(xml if isinstance(xml, str) else "")]
    texts = _texts(tags)
    if not texts:
        raise ProtocolError("group_web_message without text")
    number = next((parse_id(tag.get("u")) for tag in tags if tag.get("t") == "h"), "")
    names = _find_names(tags) or [text for text in texts if text not in _TITLES]
    shared = bool(names) and not _TITLES.isdisjoint(texts)
    sender = parse_id(item.value.get("send_uin"))
    return _notice(
        item,
        "file" if shared else "group",
        f"{_SHARED} [{names[0]}]" if shared else "".join(texts),
        chat=Address(ChatKind.GROUP, item.id("from_uin")),
        sender=sender,
        event="shared" if shared else "web",
        name=names[0] if shared else None,
        qq=number,
        texts=texts,
    )


def _texts(tags: Sequence[Mapping[str, str]]) -> list[str]:
    return [parse_text(tag["s"]) for tag in tags if tag.get("t") == "t" and "s" in tag]


def _find_names(tags: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the texts that may be a file's name, those behind the card's picture first."""
    kinds = [tag.get("t") for tag in tags]
    behind = tags[kinds.index("i") :] if "i" in kinds else ()
    return [text for text in (*_texts(behind), *_texts(tags)) if not _LABEL.fullmatch(text)]


# Texts of the service, sent to a group under an id that is no member's.
_SERVICE: Final = (
    ("mute", re.compile(r"(?P<nick>.*)\((?P<qq>[0-9]+)\) 被管理员禁言(?P<rest>.*)", re.DOTALL)),
    ("unmute", re.compile(r"(?P<nick>.*)\((?P<qq>[0-9]+)\) 被管理员解除禁言(?P<rest>.*)", re.DOTALL)),
    ("mute_all", re.compile(r"管理员开启了全员禁言，只有群主和管理员才能发言")),
    ("unmute_all", re.compile(r"管理员关闭了全员禁言")),
    ("tribe", re.compile(r"http://buluo\.qq\.com/mobile/detail\.html.*", re.DOTALL)),
)


def service_event(text: str) -> Mapping[str, object] | None:
    """Return the event of a service text, None for other texts.

    The caller makes sure that no member typed it.
    """
    for event, form in _SERVICE:
        if found := form.fullmatch(text.strip()):
            parts = found.groupdict()
            details = {"nick": parts.get("nick", ""), "qq": parts.get("qq", "")}
            span = (parts.get("rest") or "").strip()
            named = {name: value for name, value in details.items() if value}
            return {"event": event, **named, **({"duration": span} if span else {})}
    return None


# --- files -------------------------------------------------------------------------------------

_CALL: Final = 161
_REFUSALS: Final = {1: "对方取消了文件传输", 2: "对方拒绝了文件", 3: "文件传输超时"}


def _file(item: PollItem) -> Notice:
    value = item.value
    mode, name, kind = (
        parse_text(value.get("mode")),
        parse_text(value.get("name")),
        parse_int(value.get("type")),
    )
    line = f"发送文件 [{name}]"
    if mode == "refuse":
        line = _REFUSALS.get(parse_int(value.get("cancel_type")) or 0, "文件传输已取消")
    elif mode == "send_ack":
        line = "对方接收了文件"
    elif kind == _CALL:
        line = "音视频通话"
    return _of_friend(
        item,
        "file",
        line,
        event=mode,
        name=name,
        type=kind,
        session_id=parse_id(value.get("session_id")),
        cancel_type=parse_int(value.get("cancel_type")),
    )


def _transfer(item: PollItem) -> Notice:
    files = [
        {
            "name": parse_text(row.get("file_name")),
            "status": parse_int(row.get("file_status")),
            "id": parse_id(row.get("pro_id")),
        }
        for row in iter_objects(item.value.get("file_infos"))
    ]
    names = "，".join(str(file["name"]) for file in files)
    return _of_friend(
        item,
        "file",
        f"传输文件 [{names}]",
        event="transfer",
        files=files,
        type=parse_int(item.value.get("type")),
        operation=parse_int(item.value.get("operation")),
        session_id=parse_id(item.value.get("lc_id")),
    )


def _offline_file(item: PollItem) -> Notice:
    value = item.value
    name = parse_text(value.get("name"))
    return _of_friend(
        item,
        "file",
        f"离线文件 [{name}]",
        event="offline",
        name=name,
        size=parse_int(value.get("size")),
        server=f"{parse_text(value.get('ip'))}:{parse_int(value.get('port')) or 80}",
        key=parse_text(value.get("rkey")),
        expires=parse_int(value.get("expire_time")),
    )


_RECEIVED: Final = {1: "对方接收了离线文件", 2: "对方拒绝了离线文件"}


def _offline_answer(item: PollItem) -> Notice:
    action, name = parse_int(item.value.get("action")), parse_text(item.value.get("filename"))
    return _of_friend(
        item,
        "file",
        f"{_RECEIVED.get(action or 0, '离线文件')} [{name}]",
        event={1: "received", 2: "refused"}.get(action or 0, "notice"),
        name=name,
        size=parse_int(item.value.get("filesize")),
    )


NOTICES: Final[Mapping[str, Callable[[PollItem], Notice]]] = {
    "input_notify": _typing,
    "shake_message": _shake,
    "buddies_status_change": _presence,
    "system_message": _system,
    "buddylist_change": _buddies,
    "sys_g_msg": _group_system,
    "group_web_message": _group_web,
    "file_message": _file,
    "filesrv_transfer": _transfer,
    "push_offfile": _offline_file,
    "notify_offfile": _offline_answer,
}
