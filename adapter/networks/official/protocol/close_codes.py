"""Close codes of the gateway, and what follows each of them."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class NextStep(Enum):
    """What follows the end of a connection."""

    RESUME = auto()  # connect and continue the session
    IDENTIFY = auto()  # the session is over: open another one
    RENEW = auto()  # get a new token, then continue the session
    SLOW = auto()  # wait a minute, then continue the session
    STOP = auto()  # only a person can help
    KICKED = auto()  # the bot is banned


# The connection has reached its age: the gateway closes each one after 30 to 65 minutes.
EXPIRED: Final = 4009
_STEPS: Final[Mapping[int, NextStep]] = {
    4001: NextStep.STOP,  # wrong op
    4002: NextStep.STOP,  # wrong payload
    4004: NextStep.RENEW,  # wrong token
    4006: NextStep.IDENTIFY,  # session invalid
    4007: NextStep.IDENTIFY,  # seq wrong
    4008: NextStep.SLOW,  # sent too fast
    EXPIRED: NextStep.RESUME,
    4010: NextStep.STOP,  # shard
    4011: NextStep.STOP,  # more shards needed
    4012: NextStep.STOP,  # version
    4013: NextStep.STOP,  # intents
    4014: NextStep.STOP,  # intents that were not granted
    4914: NextStep.STOP,  # the bot may connect to the sandbox only
    4915: NextStep.KICKED,  # the bot is banned
}
# Errors of the gateway itself. Keeping the session after them can loop for ever.
_INTERNAL: Final = range(4900, 4914)
_WORDS: Final[Mapping[int, str]] = {
    4010: "the gateway refuses the shard",
    4013: "the gateway does not know these intents: correct QQBUS_OFFICIAL_INTENTS",
    4014: "the bot was not granted these intents: take bits out of QQBUS_OFFICIAL_INTENTS, or ask for "
    "them in the console of q.qq.com",
    4914: "the bot may connect to the sandbox only: publish it in the console of q.qq.com",
    4915: "the bot is banned: see the console of q.qq.com",
}


def next_step(code: int) -> NextStep:
    """Return what follows a close code; a code that is not known is a broken line."""
    return NextStep.IDENTIFY if code in _INTERNAL else _STEPS.get(code, NextStep.RESUME)


def explain(code: int, words: str) -> str:
    """Return what a person reads about a close code."""
    return _WORDS.get(code) or words
