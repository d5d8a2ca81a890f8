"""Gaps: between which times events may be missing.

OneBot keeps nothing for a client that is away. The gap of an outage begins with the last frame that is safe
on disk, and ends with the proof of the next connection. A frame may have been under way for long: its own
time says when it left, the implementation's clock being compared with this one's by the quickest frame of
the connection.
"""

import math
import os
from pathlib import Path

from adapter.events import Gap


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
        self._offset = math.inf

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
        self._offset = min(self._offset, received - event_time)
        self._complete = min(received, event_time + self._offset)

    def observe_idle(self, received: float) -> None:
        """Note a sign of life while all that came is on disk."""
        if not self._is_broken:
            self._complete = received

    def break_off(self, reason: str) -> None:
        """Note that the connection, or QQ behind it, is gone. The first reason of an outage counts."""
        if not self._is_broken:
            self._is_broken = True
            self._missing_since = self._complete
            self._reason = reason

    def resume(self, proved: float) -> Gap | None:
        """Note that events come again; returns the gap, None if nothing was ever received before."""
        if not self._is_broken:
            return None
        since = self._missing_since
        self._is_broken = False
        self._complete = proved
        self._offset = math.inf
        return None if since is None else Gap(min(since, proved), proved, self._reason)


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
