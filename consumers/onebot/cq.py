"""Write CQ strings, the text form of messages. Pure. `adapter.decode_cq` reads them."""

from collections.abc import Iterable, Mapping
from typing import Any


def encode_cq(segments: Iterable[Mapping[str, Any]]) -> str:
    """Return segments of OneBot as a CQ string; text can never be read as a code."""
    return "".join([_encode(segment) for segment in segments])


def escape_text(text: str) -> str:
    """Escape text that stands between codes."""
    return text.replace("&", "&amp;").replace("[", "&#91;").replace("]", "&#93;")


def _encode(segment: Mapping[str, Any]) -> str:
    data = segment["data"]
    if segment["type"] == "text":
        return escape_text(data["text"])
    values = [f",{key}={_escape_value(value)}" for key, value in data.items() if value is not None]
    return f"[CQ:{segment['type']}{''.join(values)}]"


def _escape_value(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return escape_text(str(value)).replace(",", "&#44;")
