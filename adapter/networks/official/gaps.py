"""Gaps: between which times events may be missing. Pure.

The gateway keeps the events of a session for a client that is away, and Resume brings them: such an outage is
no gap. Only a new session after an earlier one is, and exactly one.
"""

from adapter.events import Gap


class GapTracker:
    """Follows one session after the other. All times are in seconds of the wall clock.

    `heard` is what a former process left: up to then nothing is missing; None if there was none.
    """

    def __init__(self, heard: float | None) -> None:
        # Up to this time nothing is missing.
        self.heard = heard
        self._is_open = False
        self._reason = "the adapter was not running"

    def observe(self, at: float) -> None:
        """Note an event, or a sign of life while all that came is stored."""
        if self._is_open:
            self.heard = at

    def break_off(self, reason: str) -> None:
        """Note that the connection is gone. The first reason of an outage counts."""
        if self._is_open:
            self._is_open, self._reason = False, reason

    def resume(self, at: float) -> None:
        """Note that the session goes on: what was missing has come."""
        self._is_open, self.heard = True, at

    def begin(self, at: float) -> Gap | None:
        """Note that another session has begun; returns the gap, None for the first session of all."""
        since, self.heard, self._is_open = self.heard, at, True
        return None if since is None else Gap(min(since, at), at, self._reason)
