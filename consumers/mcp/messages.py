"""Show messages to agents: as structured content, and as lines of text. Pure."""

import unicodedata
from typing import Any, Final

from adapter import Received, ReceivedMessage, ReceivedSession, timestamp

Shown = dict[str, Any]

# Categories of characters that change how text looks without being seen: controls, formats (bidi marks,
# zero-width joiners), line and paragraph separators, surrogates, private use.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co"})


def show_message(message: ReceivedMessage) -> Shown:
    """Return a message as agents get it."""
    shown: Shown = {
        "id": message.id,
        "entry": message.entry,
        "time": timestamp(message.time),
        "chat": message.chat,
        "sender": message.sender,
        "name": message.sender_name,
        "text": message.text,
        "self": message.own,
    }
    items = message.body.get("segments")
    segments = [one for one in items if isinstance(one, dict)] if isinstance(items, list) else []
    images = [str(url) for one in segments if one.get("type") == "image" and (url := _data(one).get("url"))]
    replies = [str(_data(one).get("id", "")) for one in segments if one.get("type") == "reply"]
    if images:
        shown["images"] = images
    if replies:
        shown["reply_to"] = replies[0]
    return shown


def show_gap(event: Received) -> Shown:
    """Return a gap in the messages."""
    body = event.body if isinstance(event, ReceivedSession) else {}
    return {name: str(body.get(name, "")) for name in ("since", "until", "reason")}


def message_line(message: ReceivedMessage) -> str:
    """Return a message as one line in which nothing is hidden."""
    who = "me" if message.own else f"{message.sender_name} ({message.sender})"
    return f"{timestamp(message.time)} {message.entry} {make_visible(who)}: {make_visible(message.text)}"


def make_visible(text: str) -> str:
    """Return text on one line: what would hide, break the line or turn its direction stands as its number."""
    return "".join(_visible(one) for one in text)


def _visible(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if unicodedata.category(character) in _HIDDEN:
        return f"\\u{{{ord(character):04x}}}"
    return character


def _data(segment: Shown) -> Shown:
    data = segment.get("data")
    return data if isinstance(data, dict) else {}
