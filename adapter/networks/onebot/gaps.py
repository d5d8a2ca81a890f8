"""Gaps: between which times events may be missing.

OneBot keeps nothing for a client that is away. The gap of an outage begins with the last frame that is safe
on disk, and ends with the proof of the next connection. A frame may have been under way for long: its own
time says when it left, the implementation's clock being compared with this one's by the quickest frame.

Events bear whole seconds: the quickest frame seems late by the part of a second after which it left. Where
frames come all over the second little of that is left. `_uncertainty` is what may be left: the longest part
of a second in which no frame has come yet. A gap begins earlier by it. Frames that have waited, in a burst or
before a paused process, say nothing about it.

Another adapter that holds the lease publishes what it hears, and tells its own gaps. A standby therefore
keeps its gaps to itself. When it takes over, `clip_gap` cuts off what the former holder has heard.
"""

import math
import os
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Final

from adapter.events import Coverage, Gap

# Seconds that a frame seems late because events bear whole seconds, and because of the uncertainty.
_MAX_LAG: Final = 2.5
# Parts of a second in which frames are noted.
_PHASES: Final = 16
# Seconds without a frame after which the next one has hardly waited.
_IDLE: Final = 0.02
# Seconds by which all frames of a connection were later than those before it: a clock was set back.
_CLOCK_CHANGED: Final = 5.0
# The beginning of a gap that is not known: another adapter may have heard what came before.
UNKNOWN: Final = 0.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What another adapter has heard, in seconds of the wall clock.

    Up to `complete` it lacks nothing for certain. At `connected` it was connected, so that its gaps up to
    then are its own to tell.
    """

    complete: float
    connected: float


def clip_gap(gap: Gap, heard: Heard | None) -> Gap | None:
    """Return what is left of a gap beside what another adapter has heard; None if nothing is.

    `heard` is None if no other adapter has said what it heard.
    """
    if heard is None:
        return None if gap.since == UNKNOWN else gap
    if max(heard.complete, heard.connected) >= gap.until:
        return None
    return Gap(max(gap.since, heard.complete), gap.until, gap.reason)


@lru_cache(maxsize=1024)  # of 65,536 patterns few occur
def _uncertainty(phases: int) -> float:
    """Return the longest part of a second in which no frame has come, in seconds; `phases` is a bit mask."""
    bits = f"{phases:0{_PHASES}b}" * 2
    longest = max((len(list(run)) for bit, run in groupby(bits) if bit == "0"), default=0)
    return min(longest + 1, _PHASES) / _PHASES


class GapTracker:
    """Follows one connection after the other. All times are in seconds of the wall clock.

    `heard` is what a former process left: up to then nothing is missing; None if there was none.
    """

    def __init__(self, heard: float | None) -> None:
        # Up to this time nothing is missing.
        self._complete = heard
        self._missing_since = heard
        self._reason = "the adapter was not running"
        self._is_broken = True
        # The quickest frame of all, and of this connection: seconds from its own time to its arrival.
        self._offset = self._quickest = math.inf
        # The parts of a second in which frames have come, and when the last one came.
        self._phases = 0
        self._received = 0.0
        self._proved = 0.0
        # How long the last frame was under way, beyond the quickest one.
        self._lag = 0.0

    def coverage(self, now: float) -> Coverage | None:
        """Return what was heard by now; None if nothing ever was."""
        if (complete := self.complete_until) is None:
            return None
        age = max(0.0, now - complete)
        is_connected = not self._is_broken and self._lag <= _MAX_LAG
        return Coverage(age, 0.0 if is_connected else age)

    @property
    def complete_until(self) -> float | None:
        """The time up to which nothing is missing; None if nothing was ever received."""
        return self._missing_since if self._is_broken else self._complete

    def observe(self, received: float, event_time: float | None) -> None:
        """Note a frame. While the connection is not proved it proves nothing about the time before it."""
        if self._is_broken:
            return
        if event_time is None:
            return
        self._quickest = min(self._quickest, received - event_time)
        self._offset = min(self._offset, self._quickest)
        has_waited = received - self._received < _IDLE or received - event_time > self._offset + 1.0
        self._received = received
        if not has_waited:
            self._phases |= 1 << int(received % 1.0 * _PHASES)
        left = event_time + self._offset - _uncertainty(self._phases)
        self._complete = max(self._proved, min(received, left))
        self._lag = received - left

    def observe_idle(self, received: float) -> None:
        """Note a sign of life while all that came is on disk."""
        if not self._is_broken:
            self._complete = received
            self._lag = 0.0

    def break_off(self, reason: str) -> None:
        """Note that the connection, or QQ behind it, is gone. The first reason of an outage counts."""
        if not self._is_broken:
            self._is_broken = True
            self._missing_since = self._complete
            self._reason = reason

    def resume(self, proved: float) -> Gap | None:
        """Note that events come again; returns the gap, None without an outage.

        The gap begins at UNKNOWN if nothing was ever received before.
        """
        if not self._is_broken:
            return None
        since = self._missing_since
        self._is_broken = False
        self._complete = self._proved = proved
        if self._quickest - self._offset > _CLOCK_CHANGED and math.isfinite(self._quickest):
            self._offset, self._phases = self._quickest, 0
        self._quickest, self._lag = math.inf, 0.0
        return Gap(UNKNOWN if since is None else min(since, proved), proved, self._reason)


class HeardFile:
    """Keeps, across processes, the time up to which nothing is missing: the file's own time.

    Setting it costs one system call. After a power cut it may be older than the truth, never newer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: float | None = None

    def read(self) -> float | None:
        """Return the time that was kept; None on the first start."""
        try:
            return self._path.stat().st_mtime
        except FileNotFoundError:
            return None

    def write(self, time: float | None) -> None:
        """Keep a time. Raises OSError."""
        if time is None or time == self._written:
            return
        try:
            os.utime(self._path, (time, time))
        except FileNotFoundError:
            self._path.touch(mode=0o600)
            os.utime(self._path, (time, time))
        self._written = time
