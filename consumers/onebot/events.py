"""Turn events of the bus into events of OneBot 11. Pure."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from adapter import Received, ReceivedMessage, SchemaError, parse_address
from consumers.onebot.cq import encode_cq
from consumers.onebot.notices import to_notice, to_request
from consumers.onebot.numbers import entry_number, id_number, parse_integer
from consumers.onebot.segments import to_onebot

Event = dict[str, Any]
# The ids that the network gave, and the numbers under which bots know those messages.
Numbers = Mapping[str, int]
# Chats whose address is kept parsed: those of a busy account.
_MAX_CHATS: Final = 4_096
_parse_chat = lru_cache(_MAX_CHATS)(parse_address)


def quoted_ids(received: Received) -> list[str]:
    """Return the network's ids of other messages that an event names."""
    family = received.type.partition(".")[0]
    if family == "message":
        items = received.body.get("segments")
        replies = [one for one in _dicts(items) if one.get("type") == "reply"]
        found = [one["data"].get("id") for one in replies if isinstance(one.get("data"), dict)]
    elif family == "notice":
        found = [_map(received.body.get("data")).get("message_id")]
    else:
        found = []
    return [str(one) for one in found if isinstance(one, str | int) and one != ""]


def to_event(received: Received, numbers: Numbers, *, as_text: bool = False) -> Event | None:
    """Return the event as bots get it; None for one that they do not get.

    `numbers` holds what is known of `quoted_ids`. `as_text`: the message as a CQ string.
    """
    family, _, kind = received.type.partition(".")
    match family:
        case "message":
            return to_message(received, numbers, as_text=as_text)
        case "notice":
            return to_notice(received, kind, numbers)
        case "request":
            return to_request(received, kind)
        case "session" if kind == "kicked":
            return _bot_offline(received)
        case _:
            return None


def to_message(received: Received, numbers: Numbers, *, as_text: bool = False) -> Event | None:
    """Return a message; None if its chat has no form in OneBot."""
    try:
        address = _parse_chat(received.chat)
    except SchemaError:
        return None
    body = received.body
    segments = to_onebot(body.get("segments"), lambda one: str(numbers.get(one, one)))
    text = encode_cq(segments)
    user = id_number(received.sender) or id_number(received.account if received.own else address.id)
    event: Event = {
        "time": int(received.time),
        "self_id": id_number(received.account),
        "post_type": "message_sent" if received.own else "message",
        "message_type": "private",
        "sub_type": "friend",
        "message_id": message_number(received),
        "user_id": user,
        "message": text if as_text else segments,
        "message_format": "string" if as_text else "array",
        "raw_message": text,
        "font": 0,
        "sender": sender_of(body, user),
    }
    if address.kind in ("group", "discuss"):
        event |= {
            "message_type": "group",
            "sub_type": "normal",
            "group_id": int(address.id),
            "group_name": received.chat_name,
            "anonymous": None,
        }
    elif address.kind == "temp":
        event |= {"sub_type": "group", "temp_source": 0}
        event["sender"]["group_id"] = int(address.via.id) if address.via else 0
    if received.own and event["message_type"] == "private":
        event["target_id"] = int(address.id)
    return event


def message_number(received: Received) -> int:
    """Return the `message_id` of a message: of one that was sent through the bus that of its request."""
    if received.own and isinstance(received, ReceivedMessage) and received.request_entry:
        return entry_number(received.request_entry, was_sent=True)
    return entry_number(received.entry)


def sender_of(body: Mapping[str, Any], user: int) -> Event:
    """Return who speaks, with every key that clients ask for."""
    row = _map(body.get("sender"))
    return {
        "user_id": user,
        "nickname": _text(row.get("name")),
        "card": _text(row.get("card")),
        "role": _text(row.get("role")) or "member",
        "sex": "unknown",
        "age": 0,
    }


def _bot_offline(received: Received) -> Event:
    body = received.body
    words = _text(body.get("detail")) or _text(body.get("reason")) or received.text
    account = id_number(received.account)
    return {
        "time": int(received.time),
        "self_id": account,
        "post_type": "notice",
        "notice_type": "bot_offline",
        "user_id": account,
        "tag": _text(body.get("reason")) or "kicked",
        "message": words,
    }


def heartbeat(account: str, now: float, *, is_online: bool, interval_ms: int) -> Event:
    """Return a heartbeat; `now` in seconds since 1970."""
    return {
        "time": int(now),
        "self_id": id_number(account),
        "post_type": "meta_event",
        "meta_event_type": "heartbeat",
        "status": {"online": is_online, "good": is_online},
        "interval": interval_ms,
    }


def lifecycle(account: str, now: float) -> Event:
    """Return the first event of a connection; `now` in seconds since 1970."""
    return {
        "time": int(now),
        "self_id": id_number(account),
        "post_type": "meta_event",
        "meta_event_type": "lifecycle",
        "sub_type": "connect",
    }


def number_or_own(network_id: object, numbers: Numbers) -> int:
    """Return the number of a message by the network's id; without one the id itself, 0 if it is no number."""
    key = str(network_id)
    return numbers[key] if key in numbers else parse_integer(network_id) or 0


def _dicts(items: object) -> list[dict[str, Any]]:
    if not isinstance(items, list):
        return []
    return [one for one in items if isinstance(one, dict)]


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
