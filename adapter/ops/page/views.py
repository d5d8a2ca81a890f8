"""Turn entries into what the page shows: plain values for JSON, clipped, without secrets. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from adapter.bus.admin import GroupInfo
from adapter.codec.dead_letters import original_fields
from adapter.codec.outbound import decode_request
from adapter.codec.reader import ReceivedMessage, ReceivedSession, read_event
from adapter.codec.request_body import LARGEST_LIMITS
from adapter.content import Image, render
from adapter.errors import SchemaError
from adapter.events import AnswerRequest, CallAction, Operation, SessionState
from adapter.ops.contact_search import contact_rows
from adapter.ops.state_text import StateText
from adapter.ops.wording import entry_time, event_words

# Characters of a text in the feed; the page asks for the rest on demand.
MAX_TEXT: Final = 600
# Characters of a name or an id.
MAX_NAME: Final = 80
# Bytes of a worker's content that is still decoded for the feed.
MAX_DECODED: Final = 32 * 1024
# Pictures of a message that the page shows: as many as QQ sends in one.
MAX_PICTURES: Final = 20
# Bytes of a text that the page asked for.
MAX_WHOLE_TEXT: Final = 1024 * 1024

ENTRY: Final = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)
WITH_PICTURE: Final = frozenset({SessionState.QR.value, SessionState.CAPTCHA.value})

Fields = Mapping[bytes, bytes]
View = dict[str, Any]


def decode(value: bytes | None) -> str:
    """Decode a field, whatever is in it."""
    return (value or b"").decode("utf-8", "replace")


def clip(text: str, limit: int = MAX_TEXT) -> View:
    """Return `text`, and its `length` if it was clipped."""
    return {"text": text} if len(text) <= limit else {"text": text[:limit], "length": len(text)}


def event_view(entry: str, fields: Fields) -> View:
    """Show an event of `qq:inbound`."""
    view: View = {
        "entry": entry,
        "kind": "event",
        "type": decode(fields.get(b"type"))[:MAX_NAME],
        "time": decode(fields.get(b"time")),
        "chat": decode(fields.get(b"chat")),
        "self": fields.get(b"self") == b"1",
        **clip(decode(fields.get(b"text"))),
    }
    try:
        event = read_event(entry, fields)
    except SchemaError as exc:
        return view | {"note": str(exc)}
    if isinstance(event, ReceivedSession):
        view["words"] = event_words(event.type, event.reason)
    if isinstance(event, ReceivedMessage):
        view |= {"pictures": pictures} if (pictures := _pictures(event)) else {}
        view |= {"request": event.request_entry[:MAX_NAME]} if event.request_entry else {}
    return view | {
        "id": event.id,
        "seq": event.seq,
        "chat_name": event.chat_name[:MAX_NAME],
        "sender": event.sender,
        "sender_name": event.sender_name[:MAX_NAME],
    }


def _pictures(event: ReceivedMessage) -> list[int]:
    """Return the numbers of the pictures that the adapter can ask for, counted from 1."""
    images = [segment for segment in event.segments if isinstance(segment, Image)]
    return [number for number, image in enumerate(images[:MAX_PICTURES], 1) if image.kind != "missing"]


def request_view(entry: str, fields: Fields, prefix: str) -> View:
    """Show a request of `qq:outbound`."""
    view: View = {
        "entry": entry,
        "kind": "request",
        "at": entry_time(entry),
        "chat": decode(fields.get(b"to"))[:MAX_NAME],
    }
    if len(fields.get(b"body", b"")) > MAX_DECODED:
        return view | {"id": decode(fields.get(b"id"))[:MAX_NAME], "note": "long content", "text": ""}
    try:
        request = decode_request(entry, fields, prefix, LARGEST_LIMITS)
    except SchemaError as exc:
        return view | {
            "id": decode(fields.get(b"id"))[:MAX_NAME],
            "note": str(exc),
            **clip(decode(fields.get(b"text"))),
        }
    text = render(request.segments)
    if request.operation is not None:
        view |= _operation(request.operation)
        text = decode(fields.get(b"text"))
    return view | {
        "id": request.id,
        "chat": "" if request.to is None else str(request.to),
        "cause": request.cause[:MAX_NAME],
        **clip(text),
    }


def _operation(operation: Operation) -> View:
    """Show an operation: `op`, the request event that it answers, or the action that it calls."""
    if isinstance(operation, AnswerRequest):
        return {"op": "approve" if operation.is_approved else "deny", "event": operation.request.id}
    if isinstance(operation, CallAction):
        return {"op": "call", "action": operation.action[:MAX_NAME]}
    return {"op": "recall"}


def result_view(entry: str, fields: Fields) -> View:
    """Show a result of `qq:results`; `entry` is the request's."""
    names = ("entry", "id", "to", "status", "code", "detail", "attempts", "parts", "time")
    return {"kind": "result", "result": entry} | {name: decode(fields.get(name.encode())) for name in names}


def session_view(entry: str, fields: Fields) -> View:
    """Show a change of the session; the page fetches its picture by `entry`."""
    names = ("state", "reason", "detail", "time", "expires")
    view: View = {name: decode(fields.get(name.encode())) for name in names}
    return view | {"entry": entry, "picture": bool(fields.get(b"png")) and view["state"] in WITH_PICTURE}


def summary_view(text: StateText) -> View:
    """Show how the adapter is, and what to do about it."""
    return {"level": text.level.value, "headline": text.headline, "hint": text.page_hint}


def group_view(stream: str, group: GroupInfo, now: float) -> View:
    """Show a consumer group; `oldest` is the age in seconds of its oldest pending entry."""
    return {
        "stream": stream,
        "name": group.name,
        "consumers": group.consumers,
        "gone": group.gone,
        "pending": group.pending,
        "lag": group.lag,
        "oldest": max(0.0, now - entry_time(group.oldest)) if group.oldest else 0.0,
    }


def letter_view(entry: str, fields: Fields, *, is_own: bool = False) -> View:
    """Show a dead letter and the entry that it was; `is_own`: the adapter wrote it."""
    original = {name: decode(value) for name, value in original_fields(fields).items() if name != "body"}
    names = ("stream", "group", "reason", "detail", "attempts", "time")
    view: View = {name: decode(fields.get(name.encode()))[:MAX_TEXT] for name in names}
    view["by"] = "adapter" if is_own else "worker"
    view["chat"] = (original.get("to") or original.get("chat", ""))[:MAX_NAME]
    return (
        {"entry": entry} | view | {"id": original.get("id", "")[:MAX_NAME]} | clip(original.get("text", ""))
    )


def contact_views(kind: str, rows: Mapping[str, bytes], chat: str = "") -> list[View]:
    """Show a list of contacts with the addresses to write to."""
    shown = ("name", "nick", "mark", "card", "qq", "identity", "status", "category")
    return [
        {"kind": kind, "address": row["address"]}
        | {name: str(row[name])[:MAX_NAME] for name in shown if row.get(name)}
        for row in contact_rows(kind, rows, chat)
    ]


def media_type(picture: bytes) -> str:
    """Return the media type of a picture by its first bytes."""
    if picture.startswith(b"\x89PNG\r\n"):
        return "image/png"
    if picture.startswith(b"\xff\xd8"):
        return "image/jpeg"
    if picture.startswith(b"GIF8"):
        return "image/gif"
    if picture.startswith(b"RIFF") and picture[8:12] == b"WEBP":
        return "image/webp"
    return "image/bmp" if picture.startswith(b"BM") else "application/octet-stream"
