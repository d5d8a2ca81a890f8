"""The bookmark of a spool: where to go on, what was published last, and what may be offered again."""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple, Self

SIZE = 512  # bytes of the file: one sector, which is written whole or not at all
# Frames are noted so far apart. Together that reaches as far back as the server remembers ids
# (SEEN_WINDOW in streams.py); what is older is never offered again.
NOTED = 12
APART = 2_700


class Position(NamedTuple):
    """Where a frame begins."""

    segment: int
    offset: int


class Published(NamedTuple):
    """A frame on the bus; `seq` is its last event's number, or a lower one."""

    start: Position
    seq: int


class Bookmark:
    """`cursor`: the frame to publish next. `newest`: the one that was published last, of `account`."""

    def __init__(self, cursor: Position) -> None:
        self.cursor = cursor
        self.account = ""
        self.newest: Published | None = None
        self._noted: deque[Published] = deque(maxlen=NOTED)
        self._line = ""

    @classmethod
    def read(cls, data: bytes) -> Self:
        """From the bytes of a file. Raises ValueError where they are no bookmark's."""
        head, *rows = data.decode("ascii").rstrip().split(",")
        segment, offset, account = head.split(" ")
        bookmark = cls(Position(int(segment), int(offset)))
        found = [[int(number) for number in row.split(" ")] for row in rows]
        if found:
            bookmark.account = account
            bookmark.newest, *noted = [Published(Position(a, b), seq) for a, b, seq in found]
            bookmark._note(noted)
        return bookmark

    def __bytes__(self) -> bytes:
        line = f"{self.cursor.segment} {self.cursor.offset} {self.account}"
        if self.newest is not None:
            line += _row(self.newest) + self._line
        return line.ljust(SIZE).encode("ascii")

    def published(self, account: str, seq: int, *, fresh: bool) -> None:
        """The frame at the cursor is on the bus; `fresh`: it was not there before."""
        if account != self.account:
            self.forget()
            self.account = account
        self.newest = Published(self.cursor, seq)
        last = self._noted[-1] if self._noted else None
        # One that the bus had before has an unknown number, lower than `seq`.
        if fresh and (last is None or (seq >= last.seq + APART and self.cursor > last.start)):
            self._note([*self._noted, self.newest])

    def behind(self, seq: int) -> Position | None:
        """From where everything has a higher number than this."""
        return next((one.start for one in self._noted if one.seq > seq), None)

    def cut(self, end: Position) -> None:
        """Nothing is kept from here on."""
        self.cursor = min(self.cursor, end)
        if self.newest is not None and self.newest.start >= end:
            self.newest = None
        self._note([one for one in self._noted if one.start < end])

    def forget(self) -> None:
        """What was published is not ours to offer any more."""
        self.account, self.newest = "", None
        self._note([])

    def _note(self, frames: Iterable[Published]) -> None:
        self._noted.clear()
        self._noted.extend(frames)
        self._line = "".join(map(_row, self._noted))


def _row(frame: Published) -> str:
    return f",{frame.start.segment} {frame.start.offset} {frame.seq}"
