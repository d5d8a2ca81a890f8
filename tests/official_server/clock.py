"""The clock of the server, which a test moves forward instead of waiting."""

import time
from datetime import datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8))


class Clock:
    """Seconds since 1970 plus what a test has added."""

    def __init__(self) -> None:
        self._offset = 0.0

    def __call__(self) -> float:
        """Return the server's time in seconds since 1970."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds`."""
        if seconds < 0:
            raise ValueError(f"seconds must not be negative, not {seconds!r}")
        self._offset += seconds

    def stamp(self) -> str:
        """Return the time as events and answers spell it, in China."""
        return datetime.fromtimestamp(int(self()), CHINA).isoformat()
