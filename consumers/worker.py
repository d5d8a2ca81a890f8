"""Import the worker runtime under its first names; new code imports `qqbus`.

The names of release 0.1, `Plan` and `Refused`, raise a DeprecationWarning and go in the next release.
"""

import warnings
from typing import Any, Final

from consumers.runtime.connection import Settings
from consumers.runtime.event import Event, Reject
from consumers.runtime.requests import Content, Request
from consumers.runtime.runtime import WorkerOptions
from consumers.runtime.worker import Worker

__all__ = ["Content", "Event", "Plan", "Refused", "Reject", "Request", "Settings", "Worker", "WorkerOptions"]

_OPTIONS: Final = {
    "deliveries": "max_deliveries",
    "retry_first": "retry_delay",
    "grace": "shutdown_timeout",
    "lanes": "partitioned",
    "lease": "session_timeout",
}


def Plan(*args: Any, **options: Any) -> WorkerOptions:  # noqa: N802 – it was a class
    """Make WorkerOptions from their former names."""
    warnings.warn("Plan is now qqbus.WorkerOptions", DeprecationWarning, stacklevel=2)
    return WorkerOptions(*args, **{_OPTIONS.get(name, name): value for name, value in options.items()})


class Refused(Reject):
    """The former name of Reject."""

    def __init__(self, *args: object) -> None:
        warnings.warn("Refused is now qqbus.Reject", DeprecationWarning, stacklevel=2)
        super().__init__(*args)
