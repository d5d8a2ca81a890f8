"""What an action can fail with, as OneBot numbers it."""

from typing import Final

BAD_REQUEST: Final = 1400
FORBIDDEN: Final = 1403
UNKNOWN_ACTION: Final = 1404
EXPIRED: Final = 1408
TOO_MANY: Final = 1429
FAILED: Final = 1200
REDIS_AWAY: Final = 1500


class ActionError(Exception):
    """An action that was not done. The text is for the bot's owner; `retcode` says the kind."""

    retcode = FAILED


class BadRequest(ActionError):  # noqa: N818 – the name of the status
    """Parameters that make no sense."""

    retcode = BAD_REQUEST


class UnknownAction(ActionError):  # noqa: N818 – likewise
    """An action that neither the gateway nor the network has."""

    retcode = UNKNOWN_ACTION


class BusAway(ActionError):  # noqa: N818 – likewise
    """Redis does not serve, and nothing was written."""

    retcode = REDIS_AWAY
