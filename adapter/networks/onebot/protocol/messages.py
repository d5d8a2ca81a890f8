"""Messages: events `message` and `message_sent`, and the rows of a history, become Message."""

from functools import lru_cache
from typing import Final, NamedTuple

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


class _Origin(NamedTuple):
    """Who speaks where: the same for all messages of a speaker in a chat."""

    chat: Address
    sender: str
    is_own: bool
    profile: Profile
    chat_name: str


def decode_message(frame: Object, now: float, *, keep_raw: bool = False) -> Message:
    """Return a message event; raise ProtocolError if it says neither who wrote nor where.

    `now` (seconds) stands in for a time that is missing.
    """
    get, content, anonymous = frame.get, frame.get("message"), frame.get("anonymous")
    sender = mapping(get("sender"))
    facts = (
        *(get("post_type"), get("message_type"), get("sub_type"), get("user_id"), get("self_id")),
        *(get("group_id"), get("target_id"), get("group_name"), sender.get("group_id")),
        *(sender.get("nickname"), sender.get("card"), sender.get("role")),
        anonymous.get("name") if isinstance(anonymous, dict) else None,
    )
    try:
        origin = _known_origin(*facts)
    except TypeError:  # a list or an object in the place of a number or a text
        origin = _origin(*facts)
    time = parse_time(get("time"))
    return Message(
        chat=origin.chat,
        sender=origin.sender,
        time=now if time is None else time,
        segments=decode_segments(get("raw_message", "") if content is None else content),
        message_id=parse_message_id(get("message_id")),
        from_self=origin.is_own,
        qq=origin.sender,
        upstream=_upstream(frame, anonymous),
        raw=frame if keep_raw else None,
        profile=origin.profile,
        chat_name=origin.chat_name,
    )


def _origin(*facts: object) -> _Origin:
    """Return who speaks where, by the fields of an event that say it."""
    post_type, message_type, sub_type, user_id, self_id, group_id, target_id, *rest = facts
    group_name, sender_group, nickname, card, role, anonymous = rest
    user, own_id = parse_id(user_id), parse_id(self_id)
    is_own = post_type == "message_sent" or (user != "" and user == own_id)
    name = parse_text(nickname)
    if message_type == "group" and (group := parse_id(group_id)):
        profile = Profile(name, parse_text(card), parse_text(role), parse_text(anonymous))
        return _Origin(group_address(group), user or own_id, is_own, profile, parse_text(group_name))
    # Of a received message go-cqhttp names the account itself as the target.
    peer = (parse_id(target_id) if is_own else "") or user
    if message_type != "private" or not peer:
        raise ProtocolError(f"a message of type {str(message_type)[:20]!r} without a chat")
    chat = Address(ChatKind.FRIEND, peer)
    if sub_type == "group":
        chat = Address(ChatKind.TEMP, peer, _temp_group(group_id, sender_group))
    profile = Profile(name, anonymous=parse_text(anonymous))
    return _Origin(chat, user or own_id, is_own, profile, "" if is_own else name)


# Speakers that are heard from, at a kilobyte and a half each. Typed: 1 is an id, and true is none.
_known_origin = lru_cache(maxsize=4096, typed=True)(_origin)


def _temp_group(group_id: object, sender_group: object) -> Address:
    """Return the group of a temporary session: NapCat has it in the event, others in the sender."""
    group = parse_id(group_id) or parse_id(sender_group)
    return NO_GROUP if group in {"", UNKNOWN_TEMP_GROUP} else group_address(group)


@lru_cache(maxsize=4096)  # groups that are heard from; an address is 100 bytes
def group_address(group: str) -> Address:
    """Return the address of a group, the same object each time."""
    return Address(ChatKind.GROUP, group)


def _upstream(frame: Object, anonymous: object) -> Object:
    get = frame.get
    kept = {name: value for name in _KEPT if type(value := get(name)) in _PLAIN}
    kept["network"] = "onebot"
    if isinstance(anonymous, dict):  # with it an anonymous member can be muted
        kept["anonymous"] = {name: anonymous.get(name) for name in ("id", "name", "flag")}
    return kept


def history_messages(data: object) -> list[Object]:
    """Return the rows of a history that are messages."""
    rows = mapping(data).get("messages")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
