"""Check what a handler is registered with, and name the nearest right word. Pure."""

import inspect
import re
from collections.abc import Callable, Collection
from difflib import get_close_matches
from typing import Any, Final

from adapter import EVENT_TYPES, ChatKind, SchemaError, parse_address

# Families first: of two words that are as near, the shorter one is meant.
_WORDS: Final = (*dict.fromkeys(name.partition(".")[0] for name in EVENT_TYPES), *EVENT_TYPES)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_PERIOD: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)", re.ASCII)
_RATE: Final = re.compile(r"([0-9]{1,6})\s*/\s*([0-9.]*[a-z]+)", re.ASCII)
# Seconds of a year.
MAX_PERIOD: Final = 366 * 86_400.0
# Annotations of a first parameter that show a misunderstanding.
_NEVER_GIVEN: Final = frozenset(
    {"Event", "Tick", "Worker", "str", "bytes", "int", "float", "bool", "dict", "list"}
)
_SENDER: Final = re.compile(r"[0-9]{1,20}", re.ASCII)


def check_types(types: Collection[object]) -> None:
    """Raise ValueError for a type that no event has, TypeError for what is no text."""
    for name in types:
        if callable(name):
            raise TypeError("on needs its parentheses: @worker.on() or @worker.on('message')")
        if not isinstance(name, str):
            raise TypeError(f"an event type is a text such as 'message.group', not {name!r}")
        if name not in _WORDS:
            # Of words that end alike, as `group` does, a message is meant.
            near = [word for word in _WORDS if word.endswith(f".{name.lower()}")]
            near = near or get_close_matches(name.lower(), _WORDS, 1)
            hint = f"do you mean {near[0]!r}?" if near else f"give one of {', '.join(_WORDS)}"
            raise ValueError(f"{name!r} is no type of events: {hint}")


def several(value: object, what: str) -> Collection[str]:
    """Return one text or several as a collection of texts. Raises TypeError, ValueError."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Collection) and not isinstance(value, bytes):
        if not value and value != ():
            raise ValueError(f"{what} is an empty list, which no event matches: leave it out to match all")
        found = frozenset(value)
        if all(isinstance(item, str) for item in found):
            return found
    raise TypeError(f"{what} is a text, or several in a list, not {value!r}")


def check_addresses(addresses: Collection[str]) -> None:
    """Raise ValueError for what is no address."""
    for address in addresses:
        check_address(address)


def check_address(address: str) -> None:
    """Raise ValueError for what is no address, with the nearest one."""
    try:
        parse_address(address)
    except SchemaError as exc:
        kind, colon, rest = address.partition(":")
        near = get_close_matches(kind, [one.value for one in ChatKind], 1) if colon else []
        hint = f": do you mean {near[0]}:{rest}?" if near and near[0] != kind else ""
        raise ValueError(f"{exc}{hint}") from exc


def check_senders(senders: Collection[str]) -> None:
    """Raise ValueError for what is no id of a speaker."""
    for sender in senders:
        check_arguments(str, sender=sender)
        if not _SENDER.fullmatch(sender):
            hint = f": do you mean {sender[7:]!r}?" if _SENDER.fullmatch(sender[7:]) else ""
            raise ValueError(f"sender {sender!r} is not an id in digits, as event.sender is{hint}")


def check_arguments(kind: type, **values: object) -> None:
    """Raise TypeError for a value of another type."""
    for name, value in values.items():
        if not isinstance(value, kind):
            what = "text" if kind is str else kind.__name__
            # Without the value: it may be an address with a password.
            raise TypeError(f"{name} is a {what}, not {type(value).__name__}")


def compiled(text: str | re.Pattern[str] | None) -> re.Pattern[str] | None:
    """Return a text filter as a pattern. Raises ValueError, TypeError."""
    if text is None or (isinstance(text, re.Pattern) and isinstance(text.pattern, str)):
        return text
    if not isinstance(text, str):
        raise TypeError(f"text is a regular expression, not {text!r}")
    try:
        return re.compile(text)
    except re.error as exc:
        raise ValueError(f"text {text!r} is no regular expression: {exc}") from exc


def rate(text: str, what: str) -> tuple[int, float]:
    """Read a rate such as `5/1m`; return the number and the seconds. Raises ValueError."""
    match = _RATE.fullmatch(text) if isinstance(text, str) else None
    if match is None or not int(match[1]):
        raise ValueError(f"{what} {text!r} is no rate such as '5/1m': a number and s, m, h or d")
    span = match[2] if match[2][0].isdigit() else f"1{match[2]}"
    return int(match[1]), period(span, what)


def period(text: str | float, what: str) -> float:
    """Read a time span such as `30s`, `1m`, `2h` or `1d`; return seconds. Raises ValueError."""
    if isinstance(text, str) and (match := _PERIOD.fullmatch(text.strip())):
        seconds = float(match[1]) * _UNITS[match[2]]
    elif isinstance(text, int | float) and not isinstance(text, bool):
        seconds = float(text)
    else:
        raise ValueError(f"{what} {text!r} is no time span such as '30s', '1m', '2h' or '1d'")
    if not 0 < seconds <= MAX_PERIOD:
        raise ValueError(f"{what} {text!r} is not above 0 and at most a year")
    return seconds


def check_handler(handler: Callable[..., Any], arguments: int = 1, given: str = "Event") -> None:
    """Raise TypeError for what cannot be called with this number of arguments, the first one `given`."""
    name = handler_name(handler)
    if not callable(handler):
        raise TypeError(f"a handler is a function, not {handler!r}")
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise TypeError(f"the handler {name} yields: send its messages with event.reply")
    try:
        signature = inspect.signature(handler)
    except ValueError:  # a builtin without a signature
        return
    try:
        signature.bind(*range(arguments))
    except TypeError as exc:
        what = f"one argument, the {given}" if arguments == 1 else "no argument"
        raise TypeError(f"the handler {name} must take {what}: {exc}") from exc
    if arguments:
        check_first(name, signature, given)


def check_first(name: str, signature: inspect.Signature, given: str) -> None:
    """Raise TypeError where the first parameter is annotated as something that no handler is given."""
    annotation = next(iter(signature.parameters.values())).annotation
    said = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    if said in _NEVER_GIVEN - {given}:
        raise TypeError(f"the handler {name} is given the {given} first, not {said}")


def handler_name(handler: object) -> str:
    """Return what logs and errors call a handler."""
    return str(getattr(handler, "__name__", None) or repr(handler))
