"""Poll items of every type, with the fields and the order of keys each era gave them.

Everything here is in momentary ids; `chats` turns real numbers into them.
"""

from dataclasses import dataclass
from typing import Any

Item = dict[str, Any]

FRIEND, GROUP, DISCUSSION, TEMPORARY, BIG_FACE = 9, 43, 42, 140, 32  # recorded 2011 to 2015
# Recorded from July 2017 to March 2018; of a temporary message it is an assumption.
_LATE_TYPES = {FRIEND: 1, GROUP: 4, DISCUSSION: 5, TEMPORARY: 1}
_REPLY_IP = 176752345
_SYSTEM = 10000
_MEDIA = {"text": 1, "pic": 1, "file": 1, "audio": 1, "video": 1}


@dataclass(frozen=True)
class Head:
    """What every message carries: its number in the sender's channel, the receiver, the second it came.

    `late`: a bare value has a msg_type other than 0.
    """

    msg_id: int
    to_uin: int
    time: int
    msg_id2: int
    late: bool = False


def item(poll_type: str, value: Any) -> Item:
    """Return a poll item of any type."""
    return {"poll_type": poll_type, "value": value}


def friend(head: Head, content: list[Any], *, rich: bool, uin: int) -> Item:
    """Return a `message`."""
    if rich:
        return item("message", _rich(head, FRIEND, uin) | {"time": head.time, "content": content})
    return item("message", _bare(head, FRIEND, content, from_uin=uin))


def group(
    head: Head, content: list[Any], *, rich: bool, gid: int, code: int, uin: int, seq: int, number: int
) -> Item:
    """Return a `group_message`; 2017 put the gid where 2015 had the code, and kept the number to itself."""
    if rich:
        return item(
            "group_message",
            _rich(head, GROUP, gid)
            | {"group_code": code, "send_uin": uin, "seq": seq, "time": head.time, "info_seq": number}
            | {"content": content},
        )
    return item("group_message", _bare(head, GROUP, content, from_uin=gid, group_code=gid, send_uin=uin))


def discussion(head: Head, content: list[Any], *, rich: bool, did: int, uin: int, seq: int) -> Item:
    """Return a `discu_message`."""
    if rich:
        return item(
            "discu_message",
            _rich(head, DISCUSSION, _SYSTEM)
            | {"did": did, "send_uin": uin, "seq": seq, "time": head.time, "info_seq": did % 1_000_000}
            | {"content": content},
        )
    return item("discu_message", _bare(head, DISCUSSION, content, from_uin=did, did=did, send_uin=uin))


def temporary(
    head: Head, content: list[Any], *, rich: bool, uin: int, qq: int, room: int, service_type: int
) -> Item:
    """Return a `sess_message` through the group (service_type 0) or discussion (1) `room`."""
    through = {"id": room, "ruin": qq, "service_type": service_type, "flags": _MEDIA}
    if rich:
        value = _rich(head, TEMPORARY, uin) | {"time": head.time} | through | {"content": content}
        return item("sess_message", value)
    return item("sess_message", _bare(head, TEMPORARY, content, from_uin=uin, **through))


def _rich(head: Head, msg_type: int, from_uin: int) -> dict[str, Any]:
    return {
        "msg_id": head.msg_id,
        "from_uin": from_uin,
        "to_uin": head.to_uin,
        "msg_id2": head.msg_id2,
        "msg_type": msg_type,
        "reply_ip": _REPLY_IP,
    }


def _bare(head: Head, kind: int, content: list[Any], **more: Any) -> dict[str, Any]:
    value = {
        "content": content,
        "msg_id": head.msg_id,
        "msg_type": _LATE_TYPES[kind] if head.late else 0,
        "time": head.time,
        "to_uin": head.to_uin,
        **more,
    }
    return dict(sorted(value.items()))


def big_face(head: Head, *, gid: int, code: int, uin: int, seq: int, number: int) -> Item:
    """Return a `group_message` that is a big face (recorded 2015, webqq-core): no font, an empty text."""
    value = _rich(head, BIG_FACE, gid) | {"group_code": code, "t_gcode": number, "send_uin": uin, "seq": seq}
    return item("group_message", value | {"time": head.time, "info_seq": 37, "content": [""]})


def kick(head: Head, reason: str | None, *, bare: bool = False) -> Item:
    """Return a `kick_message`; without a reason the client is to show words of its own.

    `bare`: without numbers, as recorded in 2012 and 2013 (emesene).
    """
    first = {"way": "poll"} if bare else _rich(head, 48, _SYSTEM) | {"reply_ip": 0}
    value = first | {"show_reason": int(reason is not None)}
    return item("kick_message", value if reason is None else value | {"reason": reason})
