"""Errors of the command line. `qqbus` prints their text and ends with exit code 1."""

from collections.abc import Mapping

from adapter.errors import QQBusError
from adapter.i18n import Text, _


class CommandError(QQBusError):
    """A command cannot do what was asked; the text names what to change."""


class OutputError(QQBusError):
    """Standard output takes no bytes, as a full disk."""


def translate(text: str, values: Mapping[str, object]) -> str:
    """Return the text of an error in the chosen language, with its values."""
    return (
        _(text).format(**{name: _translate_value(value) for name, value in values.items()})
        if values
        else _(text)
    )


def translate_error(error: QQBusError) -> str:
    """Return an error in the chosen language."""
    return translate(error.text, error.values)


def _translate_value(value: object) -> object:
    if isinstance(value, QQBusError):
        return translate_error(value)
    return _(value) if isinstance(value, Text) else value
