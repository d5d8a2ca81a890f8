"""Why the bot cannot connect."""

from enum import StrEnum

from adapter.errors import UpstreamError


class Reason(StrEnum):
    """The reason of a lost or refused connection, as `qq:session` shows it."""

    CREDENTIALS = "credentials"
    IP = "ip"
    BANNED = "banned"
    REFUSED = "refused"
    NETWORK = "network"
    CLOSED = "closed"


class AccessRefusedError(UpstreamError):
    """The API refuses the bot: only a person can help. The text quotes no secret."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
