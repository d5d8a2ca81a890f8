"""Frames of the gateway: op codes, close codes, and what a client may send."""

import json
from typing import Any

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11

WRONG_OP, WRONG_PAYLOAD, WRONG_TOKEN = 4001, 4002, 4004
WRONG_SEQ, TOO_FAST, EXPIRED = 4007, 4008, 4009
WRONG_SHARD, WRONG_INTENTS, DENIED_INTENTS = 4010, 4013, 4014
BANNED = 4915
ABNORMAL = 1006

_KNOWN_INTENTS = sum(1 << bit for bit in (0, 1, 9, 10, 12, 18, 19, 23, 24, 25, 26, 27, 28, 29, 30))


class CloseConnection(Exception):  # noqa: N818 – not an error of the server
    """The connection is to be closed with a code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def parse_frame(data: str) -> dict[str, Any]:
    """Return the frame of a client; raise CloseConnection if none."""
    try:
        frame = json.loads(data)
    except ValueError as exc:
        raise CloseConnection(WRONG_PAYLOAD, "not JSON") from exc
    if not isinstance(frame, dict) or not isinstance(frame.get("op"), int):
        raise CloseConnection(WRONG_PAYLOAD, "no op")
    return frame


def read_intents(d: dict[str, Any], granted: int) -> int:
    """Return the intents of Identify; raise CloseConnection if unfit."""
    intents = d.get("intents")
    if not isinstance(intents, int) or intents & ~_KNOWN_INTENTS:
        raise CloseConnection(WRONG_INTENTS, "intents invalid")
    if intents & ~granted:
        raise CloseConnection(DENIED_INTENTS, "intents not allowed")
    return intents


def read_shard(d: dict[str, Any]) -> tuple[int, int]:
    """Return the shard of Identify; raise CloseConnection if unfit."""
    shard = d.get("shard", [0, 1])
    if isinstance(shard, list) and len(shard) == 2 and all(isinstance(one, int) for one in shard):
        index, count = shard
        if 0 <= index < count:
            return index, count
    raise CloseConnection(WRONG_SHARD, "shard invalid")
