"""Turn notices and requests of the bus into those of OneBot 11. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from adapter import Received, SchemaError, parse_address
from consumers.onebot.numbers import id_number, parse_integer

Event = dict[str, Any]
Data = Mapping[str, Any]
# Sub-types of a notice of members that say that a person has come.
_COMING: Final = frozenset({"approve", "invite"})


def to_notice(received: Received, kind: str, numbers: Mapping[str, int]) -> Event | None:
    """Return a notice of this kind; None where OneBot has none, or where it does not say about whom."""
    make = _NOTICES.get(kind)
    if make is None:
        return None
    data = received.body.get("data")
    place = _Place(received, data if isinstance(data, dict) else {}, numbers)
    content = make(place)
    if content is None:
        return None
    event = {
        "time": int(received.time),
        "self_id": id_number(received.account),
        "post_type": "notice",
        **content,
    }
    if place.group and "group_id" not in event:
        event["group_id"] = place.group
    return event


def to_request(received: Received, kind: str) -> Event | None:
    """Return a request; its `flag` is the event's id."""
    if kind not in {"friend", "group"}:
        return None
    data = received.body.get("data")
    place = _Place(received, data if isinstance(data, dict) else {}, {})
    event: Event = {
        "time": int(received.time),
        "self_id": id_number(received.account),
        "post_type": "request",
        "request_type": kind,
        "user_id": place.user,
        "comment": place.text("comment"),
        "flag": received.id,
    }
    if kind == "group":
        event |= {"sub_type": place.text("sub_type") or "add", "group_id": place.group}
    return event


class _Place:
    """What a notice says about where and who, as numbers."""

    def __init__(self, received: Received, data: Data, numbers: Mapping[str, int]) -> None:
        self.data = data
        self._numbers = numbers
        self.actor = id_number(received.sender)
        self.group, self.friend = _chat(received.chat)
        self.group = self.number("group_id") or self.group
        # Of everybody in a group it stands there, empty.
        self.user = self.number("user_id") if "user_id" in data else self.actor or self.friend
        self.operator = self.number("operator_id") or self.actor

    def number(self, key: str) -> int:
        """Return an id of the notice's own data, 0 where there is none."""
        return parse_integer(self.data.get(key)) or 0

    def text(self, key: str) -> str:
        """Return a text of the notice's own data."""
        value = self.data.get(key)
        return value if isinstance(value, str) else ""

    @property
    def message_number(self) -> int:
        """Return the number of the message that the notice is about."""
        value = self.data.get("message_id")
        key = str(value)
        return self._numbers[key] if key in self._numbers else parse_integer(value) or 0


def _chat(chat: str) -> tuple[int, int]:
    """Return the group and the friend of an address; 0 for what it is not."""
    try:
        address = parse_address(chat)
    except SchemaError:
        return 0, 0
    return (int(address.id), 0) if address.kind in ("group", "discuss") else (0, int(address.id))


def _recall(place: _Place) -> Event:
    event: Event = {"user_id": place.user, "message_id": place.message_number}
    if place.group:
        return {"notice_type": "group_recall", "operator_id": place.operator, **event}
    return {"notice_type": "friend_recall", **event}


def _member(place: _Place) -> Event | None:
    if not (place.group and place.user):
        return None
    sub_type = place.text("sub_type") or "leave"
    kind = "group_increase" if sub_type in _COMING else "group_decrease"
    return {
        "notice_type": kind,
        "sub_type": sub_type,
        "user_id": place.user,
        "operator_id": place.operator,
    }


def _mute(place: _Place) -> Event:
    duration = parse_integer(place.data.get("duration")) or 0
    return {
        "notice_type": "group_ban",
        "sub_type": place.text("sub_type") or ("ban" if duration else "lift_ban"),
        "user_id": place.user,
        "operator_id": place.operator,
        "duration": duration,
    }


def _admin(place: _Place) -> Event:
    return {"notice_type": "group_admin", "sub_type": place.text("sub_type") or "set", "user_id": place.user}


def _card(place: _Place) -> Event:
    return {
        "notice_type": "group_card",
        "user_id": place.user,
        "card_new": place.text("card_new"),
        "card_old": place.text("card_old"),
    }


def _essence(place: _Place) -> Event:
    return {
        "notice_type": "essence",
        "sub_type": place.text("sub_type") or "add",
        "sender_id": place.number("sender_id"),
        "user_id": place.user,
        "operator_id": place.operator,
        "message_id": place.message_number,
    }


def _reaction(place: _Place) -> Event:
    likes = place.data.get("likes")
    return {
        "notice_type": "group_msg_emoji_like",
        "user_id": place.user,
        "message_id": place.message_number,
        "likes": likes if isinstance(likes, list) else [],
        "is_add": place.data.get("is_add") is not False,
    }


def _poke(place: _Place) -> Event:
    return {
        "notice_type": "notify",
        "sub_type": "poke",
        "user_id": place.user,
        "target_id": place.number("target_id"),
        **({} if place.group else {"sender_id": place.number("sender_id") or place.user}),
    }


def _typing(place: _Place) -> Event:
    return {
        "notice_type": "notify",
        "sub_type": "input_status",
        "user_id": place.user,
        "group_id": place.group,
        "status_text": place.text("status_text") or "对方正在输入...",
        "event_type": parse_integer(place.data.get("event_type")) or 1,
    }


def _friend(place: _Place) -> Event | None:
    return {"notice_type": "friend_add", "user_id": place.user} if place.user else None


def _file(place: _Place) -> Event | None:
    if not place.group:
        return None
    file = place.data.get("file")
    found = file if isinstance(file, dict) else place.data
    return {
        "notice_type": "group_upload",
        "user_id": place.user,
        "file": {
            "id": str(found.get("id") or found.get("file_id") or ""),
            "name": str(found.get("name") or ""),
            "size": parse_integer(found.get("size")) or 0,
            "busid": parse_integer(found.get("busid")) or 0,
        },
    }


_NOTICES: Final[Mapping[str, Callable[[_Place], Event | None]]] = {
    "recall": _recall,
    "member": _member,
    "mute": _mute,
    "admin": _admin,
    "card": _card,
    "essence": _essence,
    "reaction": _reaction,
    "poke": _poke,
    "typing": _typing,
    "friend": _friend,
    "file": _file,
}
