"""Frames of the WebSocket: what each one is, and the event that it carries.

Most frames are events, and those wait as bytes until the bus takes them. `is_urgent` finds, without decoding,
the frames that the connection itself must see at once: answers, heartbeats, and the end of QQ's session.
"""

import json
from dataclasses import dataclass
from typing import Final

import msgspec

from adapter.errors import ProtocolError
from adapter.events import Message, Notice, SessionChange, SessionState
from adapter.networks.onebot.protocol.messages import decode_message
from adapter.networks.onebot.protocol.notices import decode_notice, decode_other
from adapter.networks.onebot.protocol.values import Object, mapping, parse_int, parse_text, parse_time

# Characters of a frame that is no JSON object which the event about it keeps.
_MAX_QUOTED: Final = 4_096
# Within a text of JSON a quotation mark is escaped: these stand in keys and whole values alone.


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life. `is_online`: whether QQ is, None if not said; `interval` in seconds, 0 if not said.

    `time`: when it was sent, in seconds by the implementation's clock; None if not said.
    """

    is_online: bool | None
    interval: float
    time: float | None = None


def is_urgent(frame: bytes) -> bool:
    """Whether the connection has to see a frame before the bus does."""
    # Written out: three times as quick as a generator, and every frame comes by.
    return b'"retcode"' in frame or b'"meta_event"' in frame or b'"bot_offline"' in frame


def parse_frame(frame: bytes) -> Object:
    """Return the object of a frame. Raises ProtocolError for anything else."""
    try:
        value = _load(frame)
    except (ValueError, RecursionError) as exc:
        raise ProtocolError(f"a frame of {len(frame)} bytes is no JSON: {type(exc).__name__}") from exc
    if not isinstance(value, dict):
        raise ProtocolError(f"a frame of {len(frame)} bytes is JSON, but no object")
    return value


def _load(frame: bytes) -> object:
    """Return a value of JSON, and of what Python takes for it: half a surrogate, NaN, a byte order mark."""
    try:
        return _decoder.decode(frame)
    except msgspec.MsgspecError:
        return json.loads(frame)


# A third of the standard library's time.
_decoder: Final = msgspec.json.Decoder()


def is_answer(frame: Object) -> bool:
    """Whether a frame answers a call, of this client or of none."""
    return "post_type" not in frame and "retcode" in frame


def is_meta_event(frame: Object) -> bool:
    """Whether a frame is about the connection and not for the bus."""
    return frame.get("post_type") == "meta_event"


def decode_heartbeat(frame: Object) -> Heartbeat | None:
    """Return a heartbeat; None for any other frame."""
    if not is_meta_event(frame) or frame.get("meta_event_type") != "heartbeat":
        return None
    online = mapping(frame.get("status")).get("online")
    interval = parse_int(frame.get("interval")) or 0
    is_online = online if isinstance(online, bool) else None
    return Heartbeat(is_online, max(0, interval) / 1000, frame_time(frame))


def decode_offline(frame: Object) -> SessionChange | None:
    """Return the change of the session that NapCat reports when QQ was thrown out; None for other frames."""
    if frame.get("post_type") != "notice" or frame.get("notice_type") != "bot_offline":
        return None
    words = (parse_text(frame.get("tag")), parse_text(frame.get("message")))
    return SessionChange(SessionState.KICKED, "kicked", "：".join(filter(None, words)))


def frame_time(frame: Object) -> float | None:
    """Return the time of an event in seconds, by the implementation's clock."""
    return parse_time(frame.get("time"))


def decode_frame(frame: bytes, now: float, *, keep_raw: bool = False) -> Message | Notice:
    """Return the event of a frame; what cannot be read becomes an `other` with what came."""
    try:
        value = parse_frame(frame)
    except ProtocolError as exc:
        return decode_other({"text": frame[:_MAX_QUOTED].decode("utf-8", "replace")}, str(exc))
    return decode_event(value, now, keep_raw=keep_raw)


def decode_event(frame: Object, now: float, *, keep_raw: bool = False) -> Message | Notice:
    """Return a message, notice or request; anything else becomes an `other`."""
    try:
        if frame.get("post_type") in {"message", "message_sent"}:
            return decode_message(frame, now, keep_raw=keep_raw)
        return decode_notice(frame, keep_raw=keep_raw)
    except (ProtocolError, TypeError, RecursionError) as exc:
        # TypeError: a type of event or message that is a list or an object.
        reason = str(exc) if isinstance(exc, ProtocolError) else type(exc).__name__
        return decode_other(frame, reason)
