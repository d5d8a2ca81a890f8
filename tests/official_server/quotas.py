"""How often the API may be called and messages sent without an anchor."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .options import Options

_MINUTE = 60.0
_DAY = 86_400.0
# Days after a user's last word: one wake-up message in each period.
_PERIODS = (1, 3, 7, 30)


@dataclass(frozen=True)
class Quota:
    """At most `count` in `seconds`, counted under `key`."""

    key: str
    count: int
    seconds: float


class Quotas:
    """Sliding windows."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._uses: dict[str, deque[float]] = {}

    def allow(self, *quotas: Quota) -> bool:
        """Count a use of all quotas, or of none if one is exhausted."""
        now = self._clock()
        for quota in quotas:
            uses = self._uses.setdefault(f"{quota.key}/{quota.seconds:g}", deque())
            while uses and now - uses[0] >= quota.seconds:
                uses.popleft()
            if len(uses) >= quota.count:
                return False
        for quota in quotas:
            self._uses[f"{quota.key}/{quota.seconds:g}"].append(now)
        return True


def proactive(chat: str, options: Options) -> tuple[Quota, ...]:
    """Return the quotas of one message without an anchor."""
    each = (Quota(chat, 20, _MINUTE), Quota(chat, 1000, _DAY))
    if chat.startswith("friend:"):
        if options.verified:
            return (Quota("c2c", 10, 1.0), *each)
        return (Quota("c2c", 5, 1.0), Quota("c2c", 30, _MINUTE), *each)
    return (Quota("groups", 60 if options.verified else 30, _MINUTE), *each)


def calls(endpoint: str, options: Options) -> tuple[Quota, ...]:
    """Return the quota of calls of one endpoint."""
    limit = {"upload": 50, "recall": 10}.get(endpoint, options.api_qps)
    return (Quota(f"calls of {endpoint}", limit, 1.0),) if options.api_qps else ()


def period(seconds: float) -> int:
    """Return which wake-up period lies `seconds` after the last word, -1 if none."""
    days = seconds / _DAY
    return next((index for index, end in enumerate(_PERIODS) if days < end), -1)
