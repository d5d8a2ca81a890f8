"""Messages: events `message` and `message_sent`, and the rows of a history, become Message."""

from functools import lru_cache
from typing import Final

from adapter.errors import ProtocolError
from adapter.events import Address, ChatKind, Message, Profile
from adapter.networks.onebot.protocol.segments import decode_segments
from adapter.networks.onebot.protocol.values import (
    Object,
    mapping,
    parse_id,
    parse_message_id,
    parse_text,
    parse_time,
)

# The group that NapCat names for a temporary session whose group it does not know.
UNKNOWN_TEMP_GROUP: Final = "284840486"
# The address of a temporary session whose group is unknown.
NO_GROUP: Final = Address(ChatKind.GROUP, "0")
# Own fields of the network that an event keeps, where they are numbers or text.
_KEPT: Final = (
    *("message_type", "sub_type", "user_id", "group_id", "target_id", "message_id"),
    *("message_seq", "real_id", "real_seq", "temp_source"),
)
# Types of values that are kept, as JSON gives them.
_PLAIN: Final = frozenset({int, str, bool})


def decode_message(frame: Object, now: float, *, keep_raw: bool = False) -> Message:
    """Return a message event; raise ProtocolError if it says neither who wrote nor where.

    `now` (seconds) stands in for a time that is missing.
    """
    user, own_id = parse_id(frame.get("user_id")), parse_id(frame.get("self_id"))
    is_own = frame.get("post_type") == "message_sent" or (user != "" and user == own_id)
    sender = mapping(frame.get("sender"))
    chat = _chat(frame, sender, user, is_own=is_own)
    time = parse_time(frame.get("time"))
    nickname = parse_text(sender.get("nickname"))
    content, anonymous = frame.get("message"), frame.get("anonymous")
    is_group = chat.kind is ChatKind.GROUP
    chat_name = parse_text(frame.get("group_name")) if is_group else nickname
    return Message(
        chat=chat,
        sender=user or own_id,
        time=now if time is None else time,
        segments=decode_segments(frame.get("raw_message", "") if content is None else content),
        message_id=parse_message_id(frame.get("message_id")),
        from_self=is_own,
        qq=user or own_id,
        upstream=_upstream(frame, anonymous),
        raw=frame if keep_raw else None,
        profile=_profile(
            nickname,
            parse_text(sender.get("card")) if is_group else "",
            parse_text(sender.get("role")) if is_group else "",
            parse_text(anonymous.get("name")) if isinstance(anonymous, dict) else "",
        ),
        chat_name="" if is_own and not is_group else chat_name,
    )


def _chat(frame: Object, sender: Object, user: str, *, is_own: bool) -> Address:
    match frame.get("message_type"):
        case "group" if group := parse_id(frame.get("group_id")):
            return group_address(group)
        case "private" if peer := _peer(frame, user, is_own=is_own):
            if frame.get("sub_type") != "group":
                return Address(ChatKind.FRIEND, peer)
            return Address(ChatKind.TEMP, peer, _temp_group(frame, sender))
        case kind:
            raise ProtocolError(f"a message of type {str(kind)[:20]!r} without a chat")


def _peer(frame: Object, user: str, *, is_own: bool) -> str:
    # Of a received message go-cqhttp names the account itself as the target.
    return (parse_id(frame.get("target_id")) if is_own else "") or user


def _temp_group(frame: Object, sender: Object) -> Address:
    """Return the group of a temporary session: NapCat has it in the event, others in the sender."""
    group = parse_id(frame.get("group_id")) or parse_id(sender.get("group_id"))
    return NO_GROUP if group in {"", UNKNOWN_TEMP_GROUP} else group_address(group)


@lru_cache(maxsize=4096)  # groups that are heard from; an address is 100 bytes
def group_address(group: str) -> Address:
    """Return the address of a group, the same object each time."""
    return Address(ChatKind.GROUP, group)


@lru_cache(maxsize=16_384)  # speakers that are heard from, at half a kilobyte each
def _profile(name: str, card: str, role: str, anonymous: str) -> Profile:
    return Profile(name, card, role, anonymous)


def _upstream(frame: Object, anonymous: object) -> Object:
    kept: dict[str, object] = {"network": "onebot"}
    for name in _KEPT:
        if type(value := frame.get(name)) in _PLAIN:
            kept[name] = value
    if isinstance(anonymous, dict):  # with it an anonymous member can be muted
        kept["anonymous"] = {name: anonymous.get(name) for name in ("id", "name", "flag")}
    return kept


def history_messages(data: object) -> list[Object]:
    """Return the rows of a history that are messages."""
    rows = mapping(data).get("messages")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
