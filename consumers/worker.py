"""Import the worker runtime under its first name; new code imports `qqbus`."""

from consumers.runtime.worker import *  # noqa: F403
