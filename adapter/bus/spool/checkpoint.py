"""The bookmark of a spool: where to go on, what was published last, and what may be offered again."""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple, Self

SIZE = 512  # bytes of the file: one sector, which is written whole or not at all
# Frames are noted so far apart. Together that reaches as far back as the server remembers ids
# (SEEN_WINDOW in streams.py); what is older is never offered again.
MAX_MARKS = 11
MARK_INTERVAL = 2_900
NOBODY = "-"


class Position(NamedTuple):
    """Where a frame begins."""

    segment: int
    offset: int


class Published(NamedTuple):
    """A frame on the bus. `total`: events of all accounts there when it had come, or fewer."""

    start: Position
    total: int


class Checkpoint:
    """`cursor`: the first frame that was never published. `newest`: the last one that was, by its place here.

    `latest`: the one that came to the bus last, another one where some were told again. `account` and `seq`:
    whose events were told last, and the number of the newest of them.
    """

    def __init__(self, cursor: Position) -> None:
        self.cursor = cursor
        self.account = ""
        self.seq = 0
        self.newest: Published | None = None
        self.latest: Published | None = None
        self._noted: deque[Published] = deque(maxlen=MAX_MARKS)
        self._line = ""

    @classmethod
    def read(cls, data: bytes) -> Self:
        """From the bytes of a file. Raises ValueError where they are no bookmark's."""
        head, *rows = data.decode("ascii").rstrip().split(",")
        segment, offset, *told = head.split(" ")
        bookmark = cls(Position(int(segment), int(offset)))
        if len(told) == len(("account", "seq")):
            bookmark.account, bookmark.seq = told[0].replace(NOBODY, ""), int(told[1])
        found = [[int(number) for number in row.split(" ")] for row in rows]
        if found:
            frames = [Published(Position(a, b), total) for a, b, total in found]
            bookmark.newest, bookmark.latest, *noted = frames
            bookmark._note(noted)
        return bookmark

    def __bytes__(self) -> bytes:
        line = f"{self.cursor.segment} {self.cursor.offset} {self.account or NOBODY} {self.seq}"
        if self.newest is not None:
            line += _row(self.newest) + _row(self.latest or self.newest) + self._line
        return line.ljust(SIZE).encode("ascii")

    def record(self, start: Position, account: str, seq: int, total: int, *, fresh: bool) -> None:
        """This frame is on the bus; `fresh`: it was not there before."""
        # While something is told again the number is lower than it was, and will be that again.
        self.account, self.seq = account, max(seq, self.seq if account == self.account else 0)
        if not fresh and start < self.cursor:
            return
        if not fresh:
            # Our own, of which the answer was lost: it came some time after the one before it.
            total = 0 if self.newest is None else self.newest.total
        here = Published(start, total)
        if fresh or self.latest is None:  # a copy says nothing of what came before it
            self.latest = here
        if self.newest is None or start >= self.newest.start:  # else it is told again, on the way there
            self.newest = here
        last = self._noted[-1] if self._noted else None
        if last is None or (total >= last.total + MARK_INTERVAL and start > last.start):
            self._note([*self._noted, here])

    def record_handoff(self, last: Position, latest: Position, total: int) -> None:
        """All up to `last` is on the bus by another hand, `latest` came last, after so many events."""
        self.latest = Published(latest, total)
        if self.cursor <= last:
            self._note([*self._noted, Published(self.cursor, total)])
            self.newest = Published(last, total)

    def position_at(self, total: int) -> Position | None:
        """From where nothing had come to the bus when it held so many events."""
        return next((one.start for one in self._noted if one.total > total), None)

    def truncate(self, end: Position, last: Position) -> None:
        """Nothing is kept from here on, and `last` is the last frame. What was told by then stays told."""
        self.cursor = min(self.cursor, end)
        self._note([one for one in self._noted if one.start < end])
        if self.newest is not None and self.newest.start >= end:
            before = self._noted[-1] if self._noted else None
            self.newest = before and Published(max(last, before.start), before.total)
        if self.latest is not None and self.latest.start >= end:
            self.latest = self.newest

    def _note(self, frames: Iterable[Published]) -> None:
        kept = [*frames]
        self._noted.clear()
        self._noted.extend(kept)
        self._line = "".join(map(_row, self._noted))


def _row(frame: Published) -> str:
    return f",{frame.start.segment} {frame.start.offset} {frame.total}"
