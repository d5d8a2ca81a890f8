"""Read addresses and the chats of event ids. Pure."""

import re

from adapter.errors import SchemaError
from adapter.events import Address, ChatKind, EventRef
from adapter.i18n import N_

# Decimal digits of an id: twenty hold any 64-bit number, and a uin may exceed 2^53.
_ID = r"(0|[1-9]\d{0,19})"
_PLAIN = re.compile(rf"(friend|group|discuss):{_ID}", re.ASCII)
_TEMP = re.compile(rf"temp:{_ID}@(group|discuss):{_ID}", re.ASCII)
_TOKEN = re.compile(rf"(?P<kind>[fgdt]){_ID}(?:(?P<via>[gd]){_ID})?", re.ASCII)
_LETTERS = {"f": ChatKind.FRIEND, "g": ChatKind.GROUP, "d": ChatKind.DISCUSS, "t": ChatKind.TEMP}

# The forms that an error text names.
_FORMS = "friend:<id>, group:<id>, discuss:<id>, temp:<id>@group:<id>, temp:<id>@discuss:<id>"
# The word of an event without a chat.
NO_CHAT = "-"
# Digits of a time in seconds or milliseconds.
_STAMP_DIGITS = 15
# Characters of an unreadable address or event id that an error text quotes.
_SHOWN = 64


def parse_address(text: str) -> Address:
    """Read an address of the contract. Raises SchemaError."""
    if match := _PLAIN.fullmatch(text):
        return Address(ChatKind(match[1]), match[2])
    if match := _TEMP.fullmatch(text):
        return Address(ChatKind.TEMP, match[1], Address(ChatKind(match[2]), match[3]))
    raise SchemaError(N_("address {address!r} is not one of {forms}"), address=text[:_SHOWN], forms=_FORMS)


def chat_token(chat: Address | None) -> str:
    """Write a chat as one word of an event id: `f1`, `g2`, `d3`, `t4g2`; `-` for none."""
    if chat is None:
        return NO_CHAT
    via = "" if chat.via is None else chat.via.kind[0] + chat.via.id
    return chat.kind[0] + chat.id + via


def chat_from_event_id(event_id: str) -> Address:
    """Return the chat that an event id names. Raises SchemaError.

    Event ids carry stable ids, so an old event can be answered after any number of logins.
    """
    parts = event_id.split(".")
    chat = _chat(parts[1]) if len(parts) > 1 else None
    if chat is None:
        raise SchemaError(N_("event id {event!r} names no chat to reply to"), event=event_id[:_SHOWN])
    return chat


def _chat(token: str) -> Address | None:
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    kind, via = _LETTERS[match["kind"]], match["via"]
    if (kind is ChatKind.TEMP) != (via is not None):
        return None
    return Address(kind, match[2], None if via is None else Address(_LETTERS[via], match[4]))


def parse_event_id(event_id: str) -> EventRef:
    """Read what an event id says about its event. Raises SchemaError."""
    match event_id.split("."):
        case [_, word, sender, message_id, stamp, _] if (chat := _chat(word)) or word == NO_CHAT:
            number, mark, _ = stamp.partition("-")
            if number.isascii() and number.isdecimal() and len(number) <= _STAMP_DIGITS:
                # Events without a time of upstream bear the adapter's, in milliseconds.
                seconds = int(number) / 1000 if mark else float(number)
                return EventRef(event_id, chat, "" if sender == "0" else sender, message_id, seconds)
    raise SchemaError(f"{event_id[:_SHOWN]!r} is not the id of a message, notice or request")
