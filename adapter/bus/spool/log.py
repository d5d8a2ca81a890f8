"""Write-ahead log on disk: records wait here until Redis has them.

Mechanism. Segments `0000000001.spool`, … hold records `magic, length, CRC-32, payload`, in order. The file
`cursor` holds the checkpoint: the first record that was never published, and marks of published ones. The
publisher takes a record by `peek` and passes it by `advance`. Published records stay for a while: `rewind`
offers them again to a Redis that came back without its last events.

Invariants.
- After `write` the operating system has the record: the end of this process loses nothing. After `sync` the
  disk has it: a power cut loses nothing.
- `peek` gives records in the order of `write`, and each until `advance`.
- The checkpoint may be older than Redis, never newer. Records that are offered twice are dropped in Redis,
  which knows their ids.
- Unpublished records are never deleted. They take LIMIT bytes at most: `write` raises SpoolError beyond.

What breaks them.
- Two processes in one folder: the lock refuses the second one.
- A torn end or a flipped bit: the CRC finds it, `corrupt_records` counts it, the publisher reports a gap.
- A failed fsync: the kernel may drop the pages and report success next time. `sync` writes them again first.
- A full disk: `write` gives up published records first, then raises SpoolError with all others intact.
"""

import fcntl
import os
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO, Self

from adapter.bus.spool.checkpoint import Checkpoint, Position
from adapter.errors import ConfigError, SpoolError

MAGIC = b"QQ\x01\xb5"
HEADER = struct.Struct(">4sII")
# Bytes after which a segment is closed. One segment is kept behind the cursor's: 10,000 messages and more.
SEGMENT = 4 * 1024 * 1024
KEPT_SEGMENTS = 1
# Bytes that may wait for Redis: about 500,000 messages.
LIMIT = 256 * 1024 * 1024
# Records that were just written are read from memory; older ones come from the disk.
MEMORY = 64


# The disk: tests put one in its place that fails.
_write: Callable[[int, bytes, int], int] = os.pwrite
_sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class Spool:
    """One writer and one reader in one folder. Not thread-safe."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._recent: deque[tuple[Position, Position, bytes]] = deque(maxlen=MEMORY)
        self._file: BinaryIO | None = None
        self._lock: BinaryIO | None = None
        self._checkpoint_file = -1
        self._end = Position(1, 0)
        self._synced = Position(1, 0)
        self.checkpoint = Checkpoint(Position(1, 0))
        # What is read next: the checkpoint's cursor, or a place before it during a replay.
        self._cursor = Position(1, 0)
        self._unsynced: list[tuple[int, bytes]] = []
        self._fsync_failed = False
        self.corrupt_records = 0
        self.unpublished = 0

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = (self._folder / "lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._lock.close()
            raise ConfigError(
                "another adapter uses {parent}: give each its own QQBUS_STATE_DIR",
                parent=self._folder.parent,
            ) from exc
        self.checkpoint = self._read_checkpoint()
        segments = self._segments()
        last = max(segments, default=1)
        size = self._path(last).stat().st_size if segments else 0
        newest, length = self._intact_until(last) if segments else (0, 0)
        self._end = self._synced = Position(last, length)
        self.checkpoint.truncate(self._end, Position(last, newest))
        self._cursor = self.checkpoint.cursor
        self._file = self._open(last)
        self._file.truncate(self._end.offset)
        self._checkpoint_file = os.open(self._folder / "cursor", os.O_WRONLY | os.O_CREAT, 0o600)
        self._save_checkpoint()  # a power cut may have kept it and not the records before it
        self.corrupt_records = int(size > self._end.offset)
        self.unpublished = sum(1 for _ in self._records(self._cursor, count_corrupt=True))
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            os.close(self._checkpoint_file)
        if self._lock is not None:
            self._lock.close()

    def write(self, payload: bytes) -> None:
        """Append a record. Raises SpoolError: then nothing was written."""
        if self.unsent_bytes() + len(payload) > self._limit:
            raise SpoolError(f"the spool holds its {self._limit} bytes: Redis has been away for too long")
        if self._end.offset >= SEGMENT:
            self.sync()
            self._rotate()
        record = HEADER.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload
        try:
            self._append(record)
        except SpoolError:
            if not self._free_space():
                raise
            self._append(record)
        start = self._end
        self._end = _end_of(start, payload)
        self._unsynced.append((start.offset, record))
        self._recent.append((start, self._end, payload))
        self.unpublished += 1

    def sync(self) -> bool:
        """Fsync what was written; returns whether there was anything.

        Raises SpoolError: the records are still in the spool, and on disk after a later `sync` succeeds.
        """
        if self._synced == self._end:
            return False
        assert self._file is not None  # noqa: S101 – entered
        try:
            if self._fsync_failed:
                for offset, record in self._unsynced:
                    self._put(record, offset)
            _sync(self._file.fileno())
        except OSError as exc:
            self._fsync_failed = True
            raise _spool_error(exc) from exc
        self._mark_synced()
        return True

    def _mark_synced(self) -> None:
        self._synced, self._fsync_failed = self._end, False
        self._unsynced.clear()

    @property
    def end(self) -> Position:
        """The place behind all that was written."""
        return self._end

    def peek(self, until: Position | None = None) -> bytes | None:
        """Return the next record to publish, None if there is none. `until`: none from this place on."""
        found = self._next() if until is None or self._cursor < until else None
        return None if found is None else found[1]

    def _next(self) -> tuple[Position, bytes] | None:
        """Return the end and the payload of the next record; corrupt ones before it are passed."""
        if self._cursor == self._end:
            return None
        for start, end, recent in reversed(self._recent):
            if start == self._cursor:
                return end, recent
        if (payload := self.read(self._cursor)) is not None:
            return _end_of(self._cursor, payload), payload
        for start, payload in self._records(self._cursor, count_corrupt=True):
            self._cursor = start
            return _end_of(start, payload), payload
        self._cursor, self.unpublished = self._end, 0
        return None

    def advance(
        self, account: str = "", seq: int = 0, live: int = 0, total: int = 0, *, fresh: bool = True
    ) -> None:
        """Pass the record that `peek` gave: Redis has it.

        `seq` and `live` as in `Counts`, `total` as in `Appended`; `fresh`: Redis did not have it before.
        Without a total the checkpoint's marks stay. Not fsynced: after a power cut it is offered again.
        """
        found = self._next()
        if found is None:
            return
        cursor, (after, _) = self._cursor, found
        if after.offset >= SEGMENT and after.segment < self._end.segment:
            after = Position(after.segment + 1, 0)
        if after.segment > cursor.segment:
            self._drop_segments(after.segment - KEPT_SEGMENTS)
        if total:
            self.checkpoint.record(cursor, account, seq, live, total, fresh=fresh)
        self._cursor = after
        self.checkpoint.cursor = max(self.checkpoint.cursor, after)
        self.unpublished = max(0, self.unpublished - 1)
        self._save_checkpoint()

    def last_published(self) -> bytes | None:
        """Return the last published record, while it is kept."""
        return None if self.checkpoint.newest is None else self.read(self.checkpoint.newest.start)

    def rewind(self, total: int) -> None:
        """Offer again, as far as it is kept, what came after Redis had `total` events.

        Until it is published again or `resume` is called.
        """
        if (start := self.checkpoint.position_at(total)) is not None:
            kept = Position(min(self._segments(), default=self._end.segment), 0)
            self._seek(min(max(start, kept), self._cursor))

    def resume(self) -> None:
        """Offer only what was never published."""
        self._seek(self.checkpoint.cursor)

    def _seek(self, to: Position) -> None:
        self._cursor = to
        self.unpublished = sum(1 for _ in self._records(to))

    def rewound(self) -> Iterator[bytes]:
        """Iterate over the published records that are offered again, oldest first."""
        offered = self._records(self._cursor)
        for _, payload in takewhile(lambda record: record[0] < self.checkpoint.cursor, offered):
            yield payload

    def published_total(self) -> int | None:
        """Return how many events Redis had when the next record came, or fewer; None if it never came."""
        replayed = self._cursor < self.checkpoint.cursor
        return self.checkpoint.total_at(self._cursor) if replayed else None

    def _save_checkpoint(self) -> None:
        with suppress(OSError):  # a full disk: an older checkpoint is as good, see `advance`
            os.pwrite(self._checkpoint_file, bytes(self.checkpoint), 0)

    def unsent_bytes(self) -> int:
        """Return how many bytes wait to be published."""
        behind = self._end.segment - self._cursor.segment
        return behind * SEGMENT + self._end.offset - self._cursor.offset

    def _append(self, record: bytes) -> None:
        assert self._file is not None  # noqa: S101 – entered
        try:
            self._put(record, self._end.offset)
        except OSError as exc:
            with suppress(OSError):  # the next record is written over what stands there
                self._file.truncate(self._end.offset)
            raise _spool_error(exc) from exc

    def _put(self, record: bytes, offset: int) -> None:
        assert self._file is not None  # noqa: S101 – entered
        done = 0
        while done < len(record):  # a disk that is nearly full takes a part and reports no error
            done += _write(self._file.fileno(), record[done:], offset + done)

    def _rotate(self) -> None:
        assert self._file is not None  # noqa: S101 – entered
        segment = self._end.segment + 1
        try:
            opened = self._open(segment)
        except OSError as exc:
            raise _spool_error(exc) from exc
        self._file.close()
        self._file = opened
        if self._cursor == self._end:
            self._cursor = Position(segment, 0)
        self._end = Position(segment, 0)
        self._mark_synced()
        self._drop_segments(self._cursor.segment - KEPT_SEGMENTS)

    def _drop_segments(self, segment: int) -> bool:
        """Delete all segments before this one; returns whether there were any."""
        old = [number for number in self._segments() if number < segment]
        for number in old:
            self._path(number).unlink(missing_ok=True)
        return bool(old)

    def _free_space(self) -> bool:
        """Delete published records: on a full disk new ones matter more."""
        if self._cursor == self._end and self._end.offset:
            with suppress(SpoolError):
                self._rotate()
        return self._drop_segments(self._cursor.segment)

    def _open(self, segment: int) -> BinaryIO:
        # Not in append mode: each record has its place, whatever a failed write has left there.
        path = self._path(segment)
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb", buffering=0)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # so that the new name survives a power cut
        finally:
            os.close(folder)
        return file

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:010d}.spool"

    def _segments(self) -> list[int]:
        return sorted(int(path.stem) for path in self._folder.glob("*.spool") if path.stem.isdecimal())

    def _records(self, start: Position, *, count_corrupt: bool = False) -> Iterator[tuple[Position, bytes]]:
        """Iterate over the intact records from a place on. Corrupt ones that were published are no loss."""
        for segment in self._segments():
            if segment < start.segment:
                continue
            data = self._path(segment).read_bytes()
            for offset, payload in _parse(data, start.offset if segment == start.segment else 0):
                at = Position(segment, offset)
                if payload is not None:
                    yield at, payload
                elif count_corrupt and at >= self.checkpoint.cursor:
                    self.corrupt_records += 1

    def read(self, at: Position) -> bytes | None:
        """Return the record at a place, None if it is gone or corrupt."""
        with suppress(OSError), self._path(at.segment).open("rb") as file:
            file.seek(at.offset)
            head = file.read(HEADER.size)
            if len(head) == HEADER.size:
                magic, length, check = HEADER.unpack(head)
                payload = file.read(length) if magic == MAGIC and length <= self._limit else b""
                if len(payload) == length and magic == MAGIC and zlib.crc32(payload) == check:
                    return payload
        return None

    def _intact_until(self, segment: int) -> tuple[int, int]:
        """Return where the last intact record of a segment begins, and where it ends."""
        last = end = 0
        for offset, payload in _parse(self._path(segment).read_bytes(), 0):
            if payload is not None:
                last, end = offset, offset + HEADER.size + len(payload)
        return last, end

    def _read_checkpoint(self) -> Checkpoint:
        try:
            return Checkpoint.read((self._folder / "cursor").read_bytes())
        except (OSError, ValueError):
            # Never written, or torn: all records are offered again.
            return Checkpoint(Position(min(self._segments(), default=1), 0))


def _parse(data: bytes, offset: int) -> Iterator[tuple[int, bytes | None]]:
    """Iterate over the records of a segment; None stands for bytes that are corrupt."""
    while (found := data.find(MAGIC, offset)) >= 0:
        if found > offset:
            yield offset, None
        body = found + HEADER.size
        if body > len(data):
            return
        _, length, check = HEADER.unpack_from(data, found)
        payload = data[body : body + length]
        if len(payload) == length and zlib.crc32(payload) == check:
            yield found, payload
            offset = body + length
        else:
            # Corrupt, or the torn end: look for the next record.
            yield found, None
            offset = found + 1


def _end_of(start: Position, payload: bytes) -> Position:
    return Position(start.segment, start.offset + HEADER.size + len(payload))


def _spool_error(exc: OSError) -> SpoolError:
    return SpoolError(f"the spool cannot be written: {exc.strerror}")
