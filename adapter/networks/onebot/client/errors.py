"""Why a connection could not be opened or has ended, and calls that were not answered."""

from enum import StrEnum

from adapter.errors import TransportError


class Reason(StrEnum):
    """The reason of a lost or refused connection, as `qq:session` shows it."""

    TOKEN = "token"  # noqa: S105 – the name of a reason, no secret
    PATH = "path"
    LOGIN = "login"
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    CLOSED = "closed"

    @property
    def needs_person(self) -> bool:
        """Whether trying again soon is useless: a setting is wrong."""
        return self in {Reason.TOKEN, Reason.PATH}


class ConnectionFailedError(TransportError):
    """The connection could not be opened or proved; no message was sent on it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail, may_have_sent=False)
        self.reason = reason


class CallTimeoutError(TransportError):
    """A call was written and not answered in time."""

    def __init__(self, action: str, seconds: float) -> None:
        super().__init__(f"no answer to {action} in {seconds:g} s", may_have_sent=True)
