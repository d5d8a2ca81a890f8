"""Checkpoint of a spool: where to go on, what was published last, what may be offered again."""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple, Self

# Bytes of the file: one disk sector, which is written whole or not at all.
SIZE = 512
# Records are marked every MARK_INTERVAL events. All marks together reach as far back as Redis remembers
# ids (SEEN_WINDOW in bus.py): what is older is never offered again.
MAX_MARKS = 11
MARK_INTERVAL = 2_900
_NO_ACCOUNT = "-"


class Position(NamedTuple):
    """Where a record begins."""

    segment: int
    offset: int


class Mark(NamedTuple):
    """A published record, and how many events of all accounts Redis had by then, or fewer."""

    start: Position
    total: int


class Checkpoint:
    """Publication state of a spool.

    `cursor`: the first record that was never published. `newest`: the last published record by its place in
    the spool. `latest`: the record that was published last in time; another one after a replay. `seq` and
    `live`: what Redis had confirmed of `account`, see `Counts` in bus.py.
    """

    def __init__(self, cursor: Position) -> None:
        self.cursor = cursor
        self.account = ""
        self.seq = 0
        self.live = 0
        self.newest: Mark | None = None
        self.latest: Mark | None = None
        self._marks: deque[Mark] = deque(maxlen=MAX_MARKS)
        self._packed_marks = ""

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Parse the file. Raises ValueError if the bytes are no checkpoint."""
        head, *rows = data.decode("ascii").rstrip().split(",")
        segment, offset, *confirmed = head.split()
        checkpoint = cls(Position(int(segment), int(offset)))
        if len(confirmed) > 1:
            # The previous release wrote no live count, and had no late appends.
            account, seq, live = [*confirmed, confirmed[-1]][:3]
            checkpoint.account = account.replace(_NO_ACCOUNT, "")
            checkpoint.seq, checkpoint.live = int(seq), int(live)
        marks = [Mark(Position(a, b), total) for a, b, total in (map(int, row.split(" ")) for row in rows)]
        if marks:
            checkpoint.newest, checkpoint.latest, *older = marks
            checkpoint._set_marks(older)
        return checkpoint

    def __bytes__(self) -> bytes:
        line = (
            f"{self.cursor.segment} {self.cursor.offset} {self.account or _NO_ACCOUNT} {self.seq} {self.live}"
        )
        if self.newest is not None:
            line += _row(self.newest) + _row(self.latest or self.newest) + self._packed_marks
        return line.ljust(SIZE).encode("ascii")

    def record(self, start: Position, account: str, seq: int, live: int, total: int, *, fresh: bool) -> None:
        """Record that Redis has this record; `fresh`: it did not have it before."""
        if account != self.account:
            self.account, self.seq, self.live = account, 0, 0
        # During a replay the counts are lower than they were, and will reach that again.
        self.seq, self.live = max(seq, self.seq), max(live, self.live)
        if not fresh and start < self.cursor:
            return
        if not fresh:
            # The answer to the first append was lost: it came some time after the record before it.
            total = 0 if self.newest is None else self.newest.total
        mark = Mark(start, total)
        if fresh or self.latest is None:  # a copy says nothing of what came before it
            self.latest = mark
        if self.newest is None or start >= self.newest.start:  # else a replay is on its way there
            self.newest = mark
        last = self._marks[-1] if self._marks else None
        if last is None or (total >= last.total + MARK_INTERVAL and start > last.start):
            self._set_marks([*self._marks, mark])

    def position_at(self, total: int) -> Position | None:
        """Return from where on no record had come when Redis had `total` events."""
        return next((mark.start for mark in self._marks if mark.total > total), None)

    def total_at(self, start: Position) -> int:
        """Return how many events Redis had when this published record came, or fewer."""
        return max((mark.total for mark in self._marks if mark.start <= start), default=0)

    def truncate(self, end: Position, last: Position) -> None:
        """Forget what the spool lost behind `end`; `last` is its last record. The counts stay."""
        self.cursor = min(self.cursor, end)
        self._set_marks([mark for mark in self._marks if mark.start < end])
        if self.newest is not None and self.newest.start >= end:
            before = self._marks[-1] if self._marks else None
            self.newest = before and Mark(max(last, before.start), before.total)
        if self.latest is not None and self.latest.start >= end:
            self.latest = self.newest

    def _set_marks(self, marks: Iterable[Mark]) -> None:
        self._marks = deque(marks, maxlen=MAX_MARKS)
        self._packed_marks = "".join(map(_row, self._marks))


def _row(mark: Mark) -> str:
    return f",{mark.start.segment} {mark.start.offset} {mark.total}"
