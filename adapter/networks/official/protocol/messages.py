"""Messages: C2C, group messages that mention the bot, and all messages of a group become Message."""

import json
from collections.abc import Mapping
from typing import Final

from adapter.content import At, Forward, Json, Reply, Segment, Unknown
from adapter.directory import IdSpace
from adapter.errors import ProtocolError
from adapter.events import Address, ChatKind, Message, Profile
from adapter.networks.official.protocol.frames import Frame
from adapter.networks.official.protocol.keys import event_key
from adapter.networks.official.protocol.media import decode_attachments
from adapter.networks.official.protocol.redaction import redact, redact_text
from adapter.networks.official.protocol.texts import decode_text
from adapter.networks.official.protocol.values import (
    Object,
    mapping,
    objects,
    parse_int,
    parse_text,
    parse_time,
)
from adapter.permanent_directory import compute_stable_id

PRIVATE: Final = "C2C_MESSAGE_CREATE"
MESSAGES: Final = frozenset({PRIVATE, "GROUP_AT_MESSAGE_CREATE", "GROUP_MESSAGE_CREATE"})
_CARD, _PARALLEL, _RECORD = 3, 101, 102
_FORWARDED: Final = frozenset({_PARALLEL, _RECORD})


def decode_message(
    frame: Frame, now: float, *, account: str, own_id: str = "", keep_raw: bool = False
) -> Message:
    """Return a message event; raise ProtocolError if it says neither who wrote nor where.

    `now` (seconds) stands in for a time that is missing. `own_id`: the bot's own id in this group.
    """
    data, author = frame.object, mapping(frame.object.get("author"))
    chat = chat_of(frame)
    is_group = chat.kind is ChatKind.GROUP
    sender = author_id(author, is_group=is_group) or ("" if is_group else chat.id)
    if not sender:
        raise ProtocolError(f"{frame.event[:40]} without an author")
    message_id, extra = parse_text(data.get("id")), scene(data)
    time = parse_time(data.get("timestamp"))
    return Message(
        chat=chat,
        sender=sender,
        time=now if time is None else time,
        segments=_segments(data, extra, account=account, own_id=own_id, is_group=is_group),
        message_id=message_id,
        from_self=is_group and sender == own_id,
        upstream=_upstream(frame, author, extra),
        raw=redact(frame.data) if keep_raw else None,
        profile=Profile(
            parse_text(author.get("username")), role=parse_text(author.get("member_role")) if is_group else ""
        ),
        key=event_key(message_id, extra.get("msg_idx", "")),
    )


def chat_of(frame: Frame) -> Address:
    """Return the chat of a message. Raises ProtocolError."""
    data = frame.object
    if frame.event == PRIVATE:
        author = mapping(data.get("author"))
        person = parse_text(author.get("user_openid")) or parse_text(author.get("id"))
        if person:
            return Address(ChatKind.FRIEND, person)
    else:
        group = parse_text(data.get("group_openid")) or parse_text(data.get("group_id"))
        if group:
            return Address(ChatKind.GROUP, group)
    raise ProtocolError(f"{frame.event[:40]} without a chat")


def author_id(author: Object, *, is_group: bool) -> str:
    """Return the openid of an author; payloads of before 2026 have this field alone."""
    return parse_text(author.get("member_openid" if is_group else "user_openid")) or parse_text(
        author.get("id")
    )


def own_member_id(frame: Frame) -> str:
    """Return the bot's own id in the group of a message that mentions it; "" if it does not."""
    for one in objects(frame.object.get("mentions")):
        if one.get("is_you") is True:
            return parse_text(one.get("member_openid")) or parse_text(one.get("id"))
    return ""


def scene(data: Object) -> Mapping[str, str]:
    """Return the values of `message_scene.ext`: `msg_idx`, `ref_msg_idx`; never the `auth_token`."""
    entries = mapping(data.get("message_scene")).get("ext")
    pairs = (
        one.partition("=") for one in (entries if isinstance(entries, list) else ()) if isinstance(one, str)
    )
    return {name: value for name, _, value in pairs if name in {"msg_idx", "ref_msg_idx"}}


def _segments(
    data: Object, extra: Mapping[str, str], *, account: str, own_id: str, is_group: bool
) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    elements, kind = objects(data.get("msg_elements")), parse_int(data.get("message_type"))
    if kind in _FORWARDED:
        segments.append(Forward(parse_text(data.get("id"))))
    elif quoted := extra.get("ref_msg_idx") or (parse_text(elements[0].get("msg_idx")) if elements else ""):
        segments.append(Reply(quoted))
    mentions = _mentions(data, account, own_id) if is_group else None
    content = decode_text(parse_text(data.get("content")), mentions)
    segments += [_public(one) if isinstance(one, At) and one.qq != account else one for one in content]
    segments += decode_attachments(data.get("attachments"))
    if (card := data.get("ark_data")) is not None:
        segments.append(Json(json.dumps(redact(card), ensure_ascii=False)))
    if not segments and kind not in {None, 0}:
        segments.append(Unknown(redact({"message_type": kind, "msg_elements": elements})))
    return tuple(segments)


def _public(mention: At) -> At:
    """Return a mention under the stable id of the person."""
    return At(_stable(mention.qq), mention.name)


def _stable(openid: str) -> str:
    return openid if openid == "all" else compute_stable_id(IdSpace.PERSON, openid)


def _mentions(data: Object, account: str, own_id: str) -> Mapping[str, At]:
    """Return the mentions by ID, in openids; the bot is mentioned by its account."""
    found = {own_id: At(account)} if own_id else {}
    for one in objects(data.get("mentions")):
        name = parse_text(one.get("username"))
        ids = {parse_text(one.get("id")), parse_text(one.get("member_openid"))} - {""}
        openid = parse_text(one.get("member_openid")) or parse_text(one.get("id"))
        found |= {any_id: At(account if one.get("is_you") is True else openid, name) for any_id in ids}
    return found


def _upstream(frame: Frame, author: Object, extra: Mapping[str, str]) -> Mapping[str, object]:
    data = frame.object
    values: dict[str, object] = {
        "network": "official",
        "event": frame.event,
        "s": frame.s,
        "event_id": frame.event_id,
        "msg_id": parse_text(data.get("id")),
        "msg_idx": extra.get("msg_idx"),
        "ref_msg_idx": extra.get("ref_msg_idx"),
        "message_type": parse_int(data.get("message_type")),
        "group_openid": parse_text(data.get("group_openid")) or parse_text(data.get("group_id")),
        "user_openid": parse_text(author.get("user_openid")),
        "member_openid": parse_text(author.get("member_openid")),
        "union_openid": parse_text(author.get("union_openid")),
        "role": parse_text(author.get("member_role")),
        "elements": redact(elements) if (elements := objects(data.get("msg_elements"))) else None,
        "asr": " ".join(filter(None, (_heard(one) for one in objects(data.get("attachments"))))),
    }
    return {name: value for name, value in values.items() if value not in (None, "")}


def _heard(attachment: Object) -> str:
    """Return what the network understood of a voice message."""
    return redact_text(parse_text(attachment.get("asr_refer_text")))
