"""Unwrap requests that a FastStream application publishes. Pure.

FastStream puts a whole message into one field `__data__`. Its binary format, version 1 (FastStream 0.6
and 0.7), is big-endian: eight bytes of identity, a 16-bit version, 32-bit offsets of headers and data. At
the first offset stands a 16-bit count of headers, then as many pairs of texts with 16-bit lengths. The
data goes from the second offset to the end. Older versions write JSON, `{"data": text, "headers": {…}}`.
"""

import json
import struct
from collections.abc import Mapping

from adapter.errors import SchemaError

FRAME = b"__data__"
IDENTITY = b"\x89BIN\r\n\x1a\n"
VERSION = 1
# The fields of a request. Anything else in a message or its headers is FastStream's own.
FIELDS = ("to", "text", "body", "id", "expires", "at", "cause", "delivery", "priority", "results")
# Those of an operation. Without `op` they are words of the application, such as its own message id.
OPERATION_FIELDS = ("op", "event", "message_id")

_HEAD = struct.Struct(">8sHII")
_TYPE, _PLAIN = "content-type", "text/plain"
_SHORT = struct.Struct(">H")

Fields = Mapping[bytes, bytes]


def unwrap(fields: Fields) -> Fields:
    """Return the fields of a request, framed or not. Raises SchemaError if the frame is broken.

    The message is a map with the request's fields, or plain text with `to` among the headers. Fields of
    the message win over headers, and fields beside the frame win over both.
    """
    if FRAME not in fields:
        return fields
    data, headers = _open_frame(fields[FRAME])
    # Plain text stays text even if it looks like JSON: quoted words must not choose their addressee.
    inside = _message_of_text(data) if headers.get(_TYPE) == _PLAIN else _message_of_json(data)
    values = _known(headers) | inside
    unwrapped = {name.encode(): _encode(name, value) for name, value in values.items() if value is not None}
    return unwrapped | {name: value for name, value in fields.items() if name != FRAME}


def _known(values: Mapping[str, object]) -> dict[str, object]:
    names = FIELDS + OPERATION_FIELDS if "op" in values else FIELDS
    return {name: values[name] for name in names if name in values}


def _open_frame(frame: bytes) -> tuple[bytes, dict[str, object]]:
    if frame.startswith(IDENTITY):
        return _open_binary(frame)
    try:
        envelope = json.loads(frame)
    except (ValueError, RecursionError):
        return frame, {}
    match envelope:
        case {"data": str(data), "headers": dict(headers)}:
            return data.encode("utf-8", "replace"), headers
        case _:
            return frame, {}


def _open_binary(frame: bytes) -> tuple[bytes, dict[str, object]]:
    try:
        _, version, headers_at, data_at = _HEAD.unpack_from(frame)
        if version != VERSION:
            raise SchemaError(f"__data__ is a FastStream frame of version {version}: version 1 is supported")
        if not _HEAD.size <= headers_at <= data_at <= len(frame):
            raise SchemaError("__data__ is a FastStream frame with wrong offsets")
        (count,) = _SHORT.unpack_from(frame, headers_at)
    except struct.error as exc:
        raise SchemaError("__data__ is a FastStream frame that ends too early") from exc
    return frame[data_at:], _read_headers(frame[:data_at], headers_at + _SHORT.size, count)


def _read_headers(frame: bytes, at: int, count: int) -> dict[str, object]:
    headers: dict[str, object] = {}
    try:
        for _ in range(count):
            key, at = _read_text(frame, at)
            value, at = _read_text(frame, at)
            headers[key] = value
    except (struct.error, UnicodeDecodeError):
        # FastStream counts characters, not bytes: no header can be found behind one that is not ASCII.
        if _TYPE not in headers:
            raise SchemaError("__data__ is a FastStream frame whose headers cannot be read") from None
    return headers


def _read_text(frame: bytes, at: int) -> tuple[str, int]:
    (size,) = _SHORT.unpack_from(frame, at)
    start = at + _SHORT.size
    return frame[start : start + size].decode(), start + size


def _message_of_json(data: bytes) -> dict[str, object]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return _known(value)
    return {"text": value} if isinstance(value, str) else _message_of_text(data)


def _message_of_text(data: bytes) -> dict[str, object]:
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError as exc:
        raise SchemaError("__data__ holds neither a JSON object nor text") from exc


def _encode(name: str, value: object) -> bytes:
    try:
        match value:
            case bool():
                pass
            case str():
                return value.encode()
            case int() | float():
                return str(value).encode()
            case dict() | list() if name == "body":
                return json.dumps(value if isinstance(value, dict) else {"segments": value}).encode()
    except UnicodeEncodeError as exc:
        raise SchemaError(f"{name} is not valid Unicode") from exc
    except RecursionError as exc:
        raise SchemaError(f"{name} is nested too deeply") from exc
    raise SchemaError(f"{name} in __data__ is neither text nor a number")
