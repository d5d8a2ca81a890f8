"""Errors of the server: mistakes in a control request, and actions that fail."""

from enum import Enum


class ControlError(ValueError):
    """A control request or an option makes no sense; the text says what to change."""


class Failure(Enum):
    """How an action fails; each dialect has its own return code for each of them."""

    BAD_PARAMS = "bad_params"
    UNKNOWN_ACTION = "unknown_action"
    REFUSED = "refused"
    TIMEOUT = "timeout"


class ActionError(Exception):
    """An action that is answered with `status: failed`."""

    def __init__(self, failure: Failure, wording: str, code: str = "") -> None:
        super().__init__(wording)
        self.failure = failure
        self.wording = wording
        # go-cqhttp alone answers a short code beside the wording.
        self.code = code or failure.value.upper()


def bad_params(wording: str) -> ActionError:
    """Return the error of an action whose parameters are missing or of the wrong type."""
    return ActionError(Failure.BAD_PARAMS, wording, "BAD_PARAM")


def refused(wording: str, code: str = "") -> ActionError:
    """Return the error of an action that QQ or the implementation refuses."""
    return ActionError(Failure.REFUSED, wording, code or "REFUSED")
