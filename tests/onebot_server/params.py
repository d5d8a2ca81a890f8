"""Parameters of actions, read leniently as the implementations do: numbers may be text."""

import re
from typing import Any

from .errors import bad_params

Params = dict[str, Any]


def integer(params: Params, name: str, default: int | None = None) -> int:
    """Return an integer parameter; raise the bad-params error if it is missing without a default."""
    value = params.get(name)
    if value is None or value == "":
        if default is None:
            raise bad_params(f"{name} is required")
        return default
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not re.fullmatch(r"-?\d+", str(value)):
        raise bad_params(f"{name} must be a number")
    return int(value)


def words(params: Params, name: str, default: str = "") -> str:
    """Return a text parameter."""
    value = params.get(name)
    return default if value is None else str(value)


def boolean(params: Params, name: str, *, default: bool) -> bool:
    """Return a boolean parameter."""
    value = params.get(name)
    if value is None:
        return default
    return value if isinstance(value, bool) else str(value).lower() not in {"false", "0", "no", ""}
