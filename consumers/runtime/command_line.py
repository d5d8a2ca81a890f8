"""Commands of a bot: their names, arguments by the handler's signature, and the usage answer. Pure."""

import contextlib
import enum
import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from consumers.runtime.checks import check_first

_TRUE: Final = frozenset({"true", "yes", "on", "1", "是"})
_FALSE: Final = frozenset({"false", "no", "off", "0", "否"})
_WHAT: Final[Mapping[object, str]] = {
    int: "a whole number",
    float: "a number",
    bool: "yes or no",
    date: "a date as 2026-11-30",
    datetime: "a time as 2026-11-30T20:00",
    time: "a time as 20:00",
}
# They read words in the form of ISO 8601.
_DATES: Final = (date, time)
_NAME: Final = re.compile(r"\S+")
# What would take a word apart.
_CONTAINERS: Final = frozenset(
    {list, tuple, set, frozenset, dict, bytes, bytearray, range, type, type(None), timedelta}
)
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.KEYWORD_ONLY)


class UsageError(ValueError):
    """The words behind a command do not fit; the text says why."""


def check_names(names: Sequence[object]) -> None:
    """Raise TypeError or ValueError for what cannot name a command."""
    if any(callable(name) for name in names):
        raise TypeError("command needs its parentheses and a name: @worker.command('weather')")
    if not names or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise ValueError("a command has a name, or several, without blanks: @worker.command('weather')")


class CommandLine:
    """One command. The parameters behind the event are its arguments.

    `*words` takes all that is left word by word, a keyword-only `text` takes the rest of the line as it is.
    """

    def __init__(self, names: Sequence[str], handler: Callable[..., Any]) -> None:
        check_names(names)
        self.names = tuple(names)
        signature = inspect.signature(handler)
        parameters = list(signature.parameters.values())
        if not parameters:
            raise TypeError(f"the handler of the command {names[0]} must take the event first")
        check_first(f"of the command {names[0]}", signature, "Event")
        self._parameters = parameters[1:]
        _check_shape(self._parameters)
        try:
            hints = typing.get_type_hints(handler)
        except NameError as exc:
            raise TypeError(
                f"the annotations of the command {names[0]} cannot be read: {exc}; import it at run time"
            ) from exc
        self._kinds = {one.name: _kind(one, hints) for one in self._parameters}

    def pattern(self) -> re.Pattern[str]:
        """Return what finds the command at the start of a text, behind a mention and a slash."""
        names = "|".join(map(re.escape, sorted(self.names, key=len, reverse=True)))
        return re.compile(
            rf"^\s*(?:@\S+\s+)?/?(?:{names})(?:\s+(?P<rest>.*))?\s*$", re.IGNORECASE | re.DOTALL
        )

    def usage(self) -> str:
        """Return the usage in one line."""
        return " ".join([self.names[0], *map(_shown, self._parameters)])

    def parse(self, rest: str) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments for the handler behind the event. Raises UsageError."""
        args: list[Any] = []
        for one in self._parameters:
            if one.kind is inspect.Parameter.VAR_POSITIONAL:
                return [*args, *(self._convert(one, word) for word in _words(rest))], {}
            if one.kind is inspect.Parameter.KEYWORD_ONLY:
                if rest.strip() or one.default is inspect.Parameter.empty:
                    return args, {one.name: self._convert(one, _required(one, rest.strip()))}
                return args, {}
            word, rest = _next_word(rest)
            if word is None:
                if one.default is inspect.Parameter.empty:
                    raise UsageError(f"{one.name} is missing")
                args.append(one.default)
            else:
                args.append(self._convert(one, word))
        if rest.strip():
            raise UsageError(f"{rest.strip()[:40]!r} is too much")
        return args, {}

    def _convert(self, one: inspect.Parameter, word: str) -> Any:
        kind = self._kinds[one.name]
        try:
            return _read(kind, word)
        except (ValueError, ArithmeticError) as exc:
            what = " or ".join(map(_describe, kind if isinstance(kind, tuple) else (kind,)))
            raise UsageError(f"{one.name} is {what}, not {word[:40]!r}") from exc


def _check_shape(parameters: Sequence[inspect.Parameter]) -> None:
    """Raise TypeError for parameters that no words can fill."""
    for number, one in enumerate(parameters, 1):
        if one.kind is inspect.Parameter.VAR_KEYWORD:
            raise TypeError(f"**{one.name} cannot be read from words")
        if one.kind in _VARIADIC and number < len(parameters):
            raise TypeError(f"{one.name} takes all that is left: no parameter can follow it")


def _kind(one: inspect.Parameter, hints: Mapping[str, Any]) -> Any:
    """Return what an argument is read as: one type, or those of a union in a tuple, without None."""
    kind = hints.get(one.name, str)
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        kinds = tuple(_single(one, each) for each in typing.get_args(kind) if each is not type(None))
        return kinds[0] if len(kinds) == 1 else kinds
    return _single(one, kind)


def _single(one: inspect.Parameter, kind: Any) -> Any:
    """Return the type that a word is read as. Raises TypeError for what takes no word."""
    while hasattr(kind, "__supertype__"):  # typing.NewType
        kind = kind.__supertype__
    if kind is Any or kind is object:
        return str
    is_single = typing.get_origin(kind) is None and callable(kind) and kind not in _CONTAINERS
    if is_single or typing.get_origin(kind) is typing.Literal:
        return kind
    raise TypeError(f"{one.name}: {kind!r} is no type that a word can be read as; *{one.name} takes several")


def _describe(kind: Any) -> str:
    return _WHAT.get(kind) or _choices(kind) or str(getattr(kind, "__name__", kind))


def _read(kind: Any, word: str) -> Any:
    if isinstance(kind, tuple):
        return _read_first(kind, word)
    if isinstance(kind, type) and issubclass(kind, _DATES):
        return kind.fromisoformat(word)
    if kind is bool:
        if word.lower() in _TRUE | _FALSE:
            return word.lower() in _TRUE
        raise ValueError(word)
    if typing.get_origin(kind) is typing.Literal:
        return _first(word, (each for each in typing.get_args(kind) if str(each) == word))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _first(word, (each for each in kind if word in {each.name, str(each.value)}))
    if kind is float and not math.isfinite(float(word)):
        raise ValueError(word)
    return kind(word)


def _first(word: str, found: Iterable[Any]) -> Any:
    """Return the first value, which may be false. Raises ValueError if there is none."""
    for each in found:
        return each
    raise ValueError(word)


def _read_first(kinds: tuple[Any, ...], word: str) -> Any:
    """Read a word as the first type of a union that takes it."""
    for kind in kinds[:-1]:
        with contextlib.suppress(ValueError, ArithmeticError):
            return _read(kind, word)
    return _read(kinds[-1], word)


def _choices(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return "one of " + ", ".join(map(str, typing.get_args(kind)))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "one of " + ", ".join(str(each.value) for each in kind)
    return ""


def _words(text: str) -> list[str]:
    words: list[str] = []
    while True:
        word, text = _next_word(text)
        if word is None:
            return words
        words.append(word)


def _next_word(text: str) -> tuple[str | None, str]:
    """Return the first word and the rest; quotes hold words together."""
    text = text.strip()
    if not text:
        return None, ""
    if quoted := re.match(r"\"([^\"]*)\"|“([^”]*)”|'([^']*)'(?=\s|$)", text):
        return next(part for part in quoted.groups() if part is not None), text[quoted.end() :]
    word, *rest = text.split(None, 1)
    return word, rest[0] if rest else ""


def _required(one: inspect.Parameter, text: str) -> str:
    if not text:
        raise UsageError(f"{one.name} is missing")
    return text


def _shown(one: inspect.Parameter) -> str:
    name = one.name.upper()
    if one.kind is inspect.Parameter.VAR_POSITIONAL:
        return f"[{name} …]"
    if one.kind in _VARIADIC:
        name += "…"
    return name if one.default is inspect.Parameter.empty else f"[{name}]"
