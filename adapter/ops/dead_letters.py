"""Dead letters: what they once were, for whoever lists or redrives them. Pure."""

from collections.abc import Mapping

import msgpack


def unpacked(fields: Mapping[bytes, bytes]) -> dict[str, bytes]:
    """The original fields of a dead letter; empty where they cannot be read."""
    try:
        original = msgpack.unpackb(fields.get(b"fields", b""))
    except (ValueError, msgpack.UnpackException):
        return {}
    if not isinstance(original, dict):
        return {}
    return {
        str(name): value if isinstance(value, bytes) else str(value).encode()
        for name, value in original.items()
    }


def restored_fields(fields: Mapping[bytes, bytes]) -> dict[str, bytes]:
    """The original fields with the id that the request had, also where that was only its entry's."""
    original = unpacked(fields)
    if original and fields.get(b"stream", b"").endswith(b":outbound") and not original.get("id"):
        original["id"] = b"entry:" + fields.get(b"entry", b"")
    return original
