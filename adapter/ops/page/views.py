"""Entries as the page shows them: plain values for JSON, long texts clipped, nothing secret. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgpack

from adapter.bus.admin import GroupInfo
from adapter.codec.address import parse_address
from adapter.codec.dead_letters import original_fields, restored_fields
from adapter.codec.outbound import decode_request
from adapter.codec.reader import read_event
from adapter.errors import SchemaError
from adapter.events import ChatKind, ListKind, SessionState, render
from adapter.ops.wording import entry_time

# What a feed shows of a text; the rest comes when somebody asks for it.
CLIP: Final = 600
NAME: Final = 80
# A worker's content beyond this is not taken apart for a feed.
LONG_BODY: Final = 32 * 1024
# The whole of a text that is asked for.
WHOLE: Final = 1024 * 1024

ENTRY: Final = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)
PICTURED: Final = frozenset({SessionState.QR.value, SessionState.CAPTCHA.value})
LISTS: Final = {
    ListKind.FRIENDS.value: ChatKind.FRIEND,
    ListKind.GROUPS.value: ChatKind.GROUP,
    ListKind.DISCUSSES.value: ChatKind.DISCUSS,
}
_SEARCHED: Final = ("address", "name", "nick", "mark", "card", "qq", "category")

Fields = Mapping[bytes, bytes]
View = dict[str, Any]


def words(value: bytes | None) -> str:
    """Text of a field, whatever is in it."""
    return (value or b"").decode("utf-8", "replace")


def clipped(text: str, most: int = CLIP) -> View:
    """`text`, and `length` where that is not all of it."""
    return {"text": text} if len(text) <= most else {"text": text[:most], "length": len(text)}


def event_view(entry: str, fields: Fields) -> View:
    """An event of `qq:inbound`."""
    view: View = {
        "entry": entry,
        "kind": "event",
        "type": words(fields.get(b"type"))[:NAME],
        "time": words(fields.get(b"time")),
        "chat": words(fields.get(b"chat")),
        "self": fields.get(b"self") == b"1",
        **clipped(words(fields.get(b"text"))),
    }
    try:
        event = read_event(entry, fields)
    except SchemaError as exc:
        return view | {"note": str(exc)}
    return view | {
        "id": event.id,
        "seq": event.seq,
        "chat_name": event.chat_name[:NAME],
        "sender": event.sender,
        "sender_name": event.sender_name[:NAME],
    }


def request_view(entry: str, fields: Fields, prefix: str) -> View:
    """A request of `qq:outbound`."""
    view: View = {
        "entry": entry,
        "kind": "request",
        "at": entry_time(entry),
        "chat": words(fields.get(b"to")),
    }
    if len(fields.get(b"body", b"")) > LONG_BODY:
        return view | {"id": words(fields.get(b"id"))[:NAME], "note": "long content", "text": ""}
    try:
        request = decode_request(entry, fields, prefix)
    except SchemaError as exc:
        return view | {
            "id": words(fields.get(b"id"))[:NAME],
            "note": str(exc),
            **clipped(words(fields.get(b"text"))),
        }
    text = render(request.segments)
    return view | {"id": request.id, "chat": str(request.to), "cause": request.cause[:NAME], **clipped(text)}


def result_view(entry: str, fields: Fields) -> View:
    """A result of `qq:results`; `entry` is the request's."""
    names = ("entry", "id", "to", "status", "code", "detail", "attempts", "parts", "time")
    return {"kind": "result", "result": entry} | {name: words(fields.get(name.encode())) for name in names}


def session_view(entry: str, fields: Fields) -> View:
    """A change of the session, without the picture: that is fetched by `entry` when it is to be shown."""
    names = ("state", "reason", "detail", "time", "expires")
    view: View = {name: words(fields.get(name.encode())) for name in names}
    return view | {"entry": entry, "picture": bool(fields.get(b"png")) and view["state"] in PICTURED}


def group_view(stream: str, group: GroupInfo, now: float) -> View:
    """A consumer group; `oldest` is the age in seconds of what it has not finished."""
    return {
        "stream": stream,
        "name": group.name,
        "consumers": group.consumers,
        "pending": group.pending,
        "lag": group.lag,
        "oldest": max(0.0, now - entry_time(group.oldest)) if group.oldest else 0.0,
    }


def letter_view(entry: str, fields: Fields) -> View:
    """A dead letter and what it once was."""
    original = {name: words(value) for name, value in original_fields(fields).items() if name != "body"}
    names = ("stream", "group", "reason", "detail", "attempts", "time")
    view: View = {name: words(fields.get(name.encode())) for name in names}
    view["chat"] = original.get("to") or original.get("chat", "")
    return {"entry": entry} | view | {"id": original.get("id", "")} | clipped(original.get("text", ""))


def letter_fields(fields: Fields) -> list[str | bytes]:
    """What to append again of a dead letter, name after value; empty where it cannot be read."""
    return [item for pair in restored_fields(fields).items() for item in pair]


def contact_views(kind: str, rows: Mapping[str, bytes], chat: str = "") -> list[View]:
    """A list of contacts with the addresses to write to."""
    found = []
    for stable, packed in rows.items():
        address = f"temp:{stable}@{chat}" if chat else f"{LISTS[kind]}:{stable}"
        found.append({"kind": kind, "address": address} | _contact(packed))
    return found


def fits(view: View, search: str) -> bool:
    """Whether a contact is what somebody looks for."""
    return search.casefold() in "\n".join(str(view.get(name, "")) for name in _SEARCHED).casefold()


def by_name(view: View) -> tuple[bool, str]:
    """The order of a list: those with a name first."""
    name = str(view.get("name", ""))
    return (not name, name.casefold())


def has_members(chat: str) -> bool:
    """Whether a chat is one with a list of members."""
    try:
        return parse_address(chat).kind in {ChatKind.GROUP, ChatKind.DISCUSS}
    except SchemaError:
        return False


def _contact(packed: bytes) -> View:
    try:
        row = msgpack.unpackb(packed)
    except (ValueError, msgpack.UnpackException):
        return {}
    shown = ("name", "nick", "mark", "card", "qq", "identity", "status", "category")
    return {name: str(row[name])[:NAME] for name in shown if row.get(name)} if isinstance(row, dict) else {}


def media_type(picture: bytes) -> str:
    """What kind of picture upstream gave."""
    if picture.startswith(b"\x89PNG\r\n"):
        return "image/png"
    if picture.startswith(b"\xff\xd8"):
        return "image/jpeg"
    return "image/gif" if picture.startswith(b"GIF8") else "application/octet-stream"
