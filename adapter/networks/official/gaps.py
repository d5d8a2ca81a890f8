"""Gaps: between which times events may be missing. Pure.

The gateway keeps the events of a session for a client that is away, and Resume brings them: such an outage is
no gap. Only a new session after an earlier one is, and exactly one.

An event may have been under way for long, and others behind it are lost with the session. Its own time says
when it left; the gateway's clock is compared with this one's by the quickest event of the connection.
"""

import math
from typing import Final

from adapter.events import Gap

# Seconds by which all times are taken earlier: times of events are in whole seconds, and another event may be
# behind an event or a sign of life.
_MARGIN: Final = 1.0


def describe_gap(since: float, until: float, reason: str) -> Gap:
    """Return a gap that is one event though it is yielded again."""
    return Gap(since, until, reason, f"{int(since * 1000)}.{int(until * 1000)}-0")


class GapTracker:
    """Follows one session after the other. All times are in seconds of the wall clock.

    `heard` is what a former process left: up to then nothing is missing; None if there was none.
    """

    def __init__(self, heard: float | None) -> None:
        # Up to this time nothing is missing.
        self.heard = heard
        self._is_open = False
        self._offset = math.inf
        self._reason = "the adapter was not running"

    def observe(self, received: float, event_time: float | None) -> None:
        """Note an event. One without a time proves nothing."""
        if not self._is_open or event_time is None:
            return
        self._offset = min(self._offset, received - event_time)
        self._advance(min(received, event_time + self._offset) - _MARGIN)

    def observe_idle(self, at: float) -> None:
        """Note a sign of life while all that came is stored."""
        if self._is_open:
            self._advance(at - _MARGIN)

    def _advance(self, to: float) -> None:
        self.heard = to if self.heard is None else max(self.heard, to)

    def break_off(self, reason: str) -> None:
        """Note that the connection is gone. The first reason of an outage counts."""
        if self._is_open:
            self._is_open, self._reason = False, reason

    def resume(self, at: float) -> None:
        """Note that the session goes on: what was missing has come."""
        self._is_open, self._offset = True, math.inf
        self._advance(at - _MARGIN)

    def begin(self, at: float) -> Gap | None:
        """Note that another session has begun; returns the gap, None for the first session of all."""
        since, self.heard, self._is_open = self.heard, at - _MARGIN, True
        self._offset = math.inf
        return None if since is None else describe_gap(min(since, at), at, self._reason)
