"""Read the parameters of actions: ids as numbers or as decimal text. Pure."""

from collections.abc import Mapping
from typing import Any

from consumers.onebot.errors import BadRequest
from consumers.onebot.numbers import EntryRef, number_entry, parse_integer

Params = Mapping[str, Any]

_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off", ""}


def required_id(params: Params, name: str) -> str:
    """Return an id as decimal text. Raises BadRequest."""
    found = optional_id(params, name)
    if not found:
        raise BadRequest(f"{name} is missing")
    return found


def optional_id(params: Params, name: str) -> str:
    """Return an id as decimal text, empty if it is absent or 0. Raises BadRequest."""
    value = params.get(name)
    if value is None or value == "":
        return ""
    number = parse_integer(value)
    if number is None or number < 0:
        raise BadRequest(f"{name} is not the number of a contact")
    return str(number) if number else ""


def message_ref(params: Params, name: str = "message_id") -> EntryRef:
    """Return the entry of a message. Raises BadRequest."""
    number = parse_integer(params.get(name))
    if number is None:
        raise BadRequest(f"{name} is missing or no number")
    ref = number_entry(number)
    if ref is None:
        raise BadRequest(f"{name} {number} names no message")
    return ref


def boolean(params: Params, name: str, *, default: bool) -> bool:
    """Return a switch. Raises BadRequest."""
    value = params.get(name)
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise BadRequest(f"{name} is neither true nor false")


def text(params: Params, name: str) -> str:
    """Return a text, empty if it is absent. Raises BadRequest."""
    value = params.get(name)
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        raise BadRequest(f"{name} is no text")
    return str(value)


def count(params: Params, name: str, *, default: int, most: int) -> int:
    """Return a number from 1 to `most`. Raises BadRequest."""
    value = params.get(name)
    if value is None or value == "":
        return default
    number = parse_integer(value)
    if number is None or number < 1:
        raise BadRequest(f"{name} is not a number from 1 up")
    return min(number, most)
