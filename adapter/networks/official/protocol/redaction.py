"""Redaction: what the network signs for this client alone stays out of events, logs and errors.

`rkey` opens a picture, `auth_token` stands beside a message like a credential. Both differ in each copy.
"""

import re
from collections.abc import Mapping
from typing import Final

_NAMES: Final = r"(?:rkey|auth_token)"
_PARAMETER: Final = re.compile(rf"([?&]){_NAMES}=[^&#\s\"'<>]*(&?)", re.IGNORECASE)
_BARE: Final = re.compile(rf"{_NAMES}(?:=|%3D)[^&#\s\"'<>]*", re.IGNORECASE)
_KEY: Final = re.compile(_NAMES, re.IGNORECASE)
# Levels of nesting in a value that is kept; deeper ones are cut.
_MAX_DEPTH: Final = 40


def redact_text(text: str) -> str:
    """Return a text or an address without signatures."""
    lower = text.lower()
    if "rkey" not in lower and "auth_token" not in lower:
        return text
    return _BARE.sub("", _PARAMETER.sub(_join, text))


def _join(found: re.Match[str]) -> str:
    return found[1] if found[2] else ""


def redact(value: object, depth: int = _MAX_DEPTH) -> object:
    """Return a copy of a JSON value without signatures, and without the fields that hold one."""
    if depth == 0:
        return "…"
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            redact_text(str(name)): redact(one, depth - 1)
            for name, one in value.items()
            if not _KEY.fullmatch(str(name))
        }
    if isinstance(value, list):
        return [redact(one, depth - 1) for one in value if not _is_signature(one)]
    return value


def _is_signature(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("auth_token=", "rkey="))
