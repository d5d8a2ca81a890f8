"""Frames of the gateway: what each one is, and the frames that the adapter writes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from adapter.errors import ProtocolError
from adapter.networks.official.protocol.values import NOTHING, Object, mapping, parse_int, parse_text

# Seconds between two heartbeats where Hello names none, and the least that is accepted.
_USUAL_INTERVAL: Final = 41.25
_LEAST_INTERVAL: Final = 0.05


class Op(IntEnum):
    """What a frame is."""

    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    RESUME = 6
    RECONNECT = 7
    INVALID_SESSION = 9
    HELLO = 10
    ACK = 11


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `s`: its number within the session, None where it has none; `event_id`: its outer id."""

    op: int
    s: int | None = None
    event: str = ""
    event_id: str = ""
    data: object = None

    @property
    def object(self) -> Object:
        """The data, if it is an object."""
        return mapping(self.data)


@dataclass(frozen=True, slots=True)
class GatewaySession:
    """A session that can be resumed: its id, and the s of the last event that was taken from it."""

    id: str
    seq: int


def parse_frame(content: bytes) -> Frame:
    """Return a frame. Raises ProtocolError for anything that has no op."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise ProtocolError(f"a frame of {len(content)} bytes is no JSON: {type(exc).__name__}") from exc
    op = parse_int(mapping(value).get("op"))
    if op is None:
        raise ProtocolError(f"a frame of {len(content)} bytes has no op")
    return Frame(
        op, parse_int(value.get("s")), parse_text(value.get("t")), parse_text(value.get("id")), value.get("d")
    )


def heartbeat_seconds(hello: Frame) -> float:
    """Return the seconds between two heartbeats that Hello announces."""
    interval = parse_int(hello.object.get("heartbeat_interval")) or 0
    return max(interval / 1000, _LEAST_INTERVAL) if interval > 0 else _USUAL_INTERVAL


def session_of(ready: Frame) -> GatewaySession:
    """Return the session that READY opens; its id is empty if the frame names none."""
    return GatewaySession(parse_text(ready.object.get("session_id")), ready.s or 0)


def bot_name(ready: Frame) -> str:
    """Return the name of the bot in READY."""
    return parse_text(mapping(ready.object.get("user")).get("username"))


def encode_identify(token: str, intents: int) -> str:
    """Return the frame that opens a session, with one shard."""
    return _encode(
        Op.IDENTIFY, {"token": f"QQBot {token}", "intents": intents, "shard": [0, 1], "properties": NOTHING}
    )


def encode_resume(token: str, session: GatewaySession) -> str:
    """Return the frame that continues a session behind the last event that was taken."""
    return _encode(Op.RESUME, {"token": f"QQBot {token}", "session_id": session.id, "seq": session.seq})


def encode_heartbeat(seq: int | None) -> str:
    """Return a heartbeat with the s of the last event that is stored."""
    return _encode(Op.HEARTBEAT, seq)


def _encode(op: Op, data: Mapping[str, object] | int | None) -> str:
    return json.dumps({"op": int(op), "d": data})
