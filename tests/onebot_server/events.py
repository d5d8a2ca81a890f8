"""Message events and meta events in the shape of each dialect."""

from typing import Any

from .addresses import Chat
from .messages import Said
from .segments import Segment, encode, shaped
from .state import State

# The group that NapCat names for a temporary session whose group it does not know.
UNKNOWN_TEMP_GROUP = 284840486


def message_body(state: State, said: Said) -> dict[str, Any]:
    """Return a message as events, get_msg and histories show it; addresses of pictures are new."""
    traits, is_own = state.traits, said.sender == state.account
    segments = _with_urls(state, said.segments)
    raw = encode(segments)
    reported = shaped(segments, state.options.segment_values, is_napcat=traits.name == "napcat")
    body: dict[str, Any] = {
        "message_id": said.message_id,
        "message_seq": said.message_id if traits.message_seq == "id" else said.seq,
        "real_id": said.message_id if traits.message_seq == "id" else said.seq,
        "user_id": said.sender,
        "message_type": "private" if said.chat.is_private else "group",
        "sub_type": said.sub_type or _sub_type(said.chat),
        "message": raw if traits.message_format == "string" else reported,
        "message_format": traits.message_format,
        "raw_message": raw.strip() if traits.name == "napcat" else raw,
        "font": 14 if traits.name in {"napcat", "llbot"} else 0,
        "sender": _sender(state, said),
    }
    if traits.name == "go-cqhttp":
        del body["message_format"], body["real_id"]
    if traits.name == "napcat":
        body["real_seq"] = str(said.seq)
    if traits.name == "llbot":
        body["raw_pb"] = ""
    body |= (
        _private_fields(state, said, is_own=is_own) if said.chat.is_private else _group_fields(state, said)
    )
    return body


def _sub_type(chat: Chat) -> str:
    return {"friend": "friend", "temp": "group", "group": "normal"}[chat.kind]


def _private_fields(state: State, said: Said, *, is_own: bool) -> dict[str, Any]:
    traits, fields = state.traits, dict[str, Any]()
    if traits.name == "napcat" or (traits.name == "llbot" and is_own):
        fields["target_id"] = said.chat.peer
    if traits.name == "go-cqhttp":
        fields["target_id"] = said.chat.peer if is_own else state.account
    if said.chat.kind == "temp":
        if traits.name in {"napcat", "go-cqhttp"}:
            fields["temp_source"] = 0
        if traits.temp_group == "top":
            fields["group_id"] = said.chat.group or UNKNOWN_TEMP_GROUP
    return fields


def _group_fields(state: State, said: Said) -> dict[str, Any]:
    fields: dict[str, Any] = {"group_id": said.chat.peer, "anonymous": None}
    if state.traits.has_group_name and said.chat.peer in state.world.groups:
        fields["group_name"] = state.world.groups[said.chat.peer].name
    return fields


def _sender(state: State, said: Said) -> dict[str, Any]:
    traits, world = state.traits, state.world
    sender: dict[str, Any] = {"user_id": said.sender, "nickname": world.nickname_of(said.sender), "card": ""}
    if traits.name != "napcat":
        sender |= {"sex": "unknown", "age": 0}
    group = world.groups.get(said.chat.peer) if said.chat.kind == "group" else None
    if group is not None and said.sender in group.members:
        member = group.members[said.sender]
        sender |= {"nickname": member.nickname, "card": member.card, "role": member.role}
        if traits.name != "napcat":
            sender |= {"area": "", "level": member.level, "title": member.title}
    if said.chat.kind == "temp" and traits.temp_group == "sender" and said.chat.group:
        sender["group_id"] = said.chat.group
    return sender


def _with_urls(state: State, segments: list[Segment]) -> list[Segment]:
    shown = []
    for segment in segments:
        name = segment["data"].get("file")
        if segment["type"] in {"image", "record", "video", "file"} and state.pictures.find(str(name)):
            segment = {**segment, "data": {**segment["data"], "url": state.pictures.url(str(name))}}  # noqa: PLW2901
        shown.append(segment)
    return shown


def message_event(state: State, said: Said) -> dict[str, Any]:
    """Return the event of a message; `message_sent` for an own one."""
    is_own = said.sender == state.account
    event = state.stamped("message_sent" if is_own else "message", said.time, **message_body(state, said))
    if is_own and state.traits.name == "napcat":
        event["message_sent_type"] = "self"
    return event


def lifecycle(state: State, sub_type: str) -> dict[str, Any]:
    """Return a lifecycle event; go-cqhttp names the time of its own start."""
    is_old = state.traits.name == "go-cqhttp"
    event = state.stamped(
        "meta_event",
        state.started if is_old else None,
        meta_event_type="lifecycle",
        sub_type=sub_type,
    )
    return {**event, "_post_method": 2} if is_old else event


def heartbeat(state: State) -> dict[str, Any]:
    """Return a heartbeat; NapCat says `good` whatever happens."""
    online = state.looks_online
    status: dict[str, Any] = {"online": online, "good": online or state.traits.name == "napcat"}
    if state.traits.name == "go-cqhttp":
        status |= {"app_initialized": True, "app_enabled": True, "app_good": True, "stat": {}}
    return state.stamped(
        "meta_event", meta_event_type="heartbeat", status=status, interval=state.traits.heartbeat_ms
    )
