"""Errors of the command line. `qqbus` prints their text and ends with exit code 1."""

from adapter.errors import QQBusError


class CommandError(QQBusError):
    """A command cannot do what was asked; the text names what to change."""


class OutputError(QQBusError):
    """Standard output takes no bytes, as a full disk."""
