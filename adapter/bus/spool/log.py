"""Batches on disk, in order: written and fsynced before upstream may forget them, kept until published.

What has been published stays for a while, so that a server which comes back without its tail can be
given it again, as far back as it would recognise what it has.

Append-only segments of frames, each `magic, length, CRC-32, payload`, and a bookmark.
"""

import fcntl
import os
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

from adapter.bus.spool.checkpoint import Checkpoint, Position
from adapter.bus.spool.staging import StagingFile
from adapter.errors import ConfigError, SpoolError

MAGIC = b"QQ\x01\xb5"
HEADER = struct.Struct(">4sII")
# One segment is kept behind the cursor's: ten thousand messages and more.
SEGMENT = 4 * 1024 * 1024
KEPT_SEGMENTS = 1
LIMIT = 256 * 1024 * 1024
# Frames that were just written are handed on from memory; more than this come from the disk.
MEMORY = 64


# The disk: tests put one in its place that fails.
_write: Callable[[int, bytes, int], int] = os.pwrite
_sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class Spool:
    """One writer, one reader, in one folder. Not for threads."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._recent: deque[tuple[Position, Position, bytes]] = deque(maxlen=MEMORY)
        self._file: BinaryIO | None = None
        self._lock: BinaryIO | None = None
        self._marks = -1
        self._end = Position(1, 0)
        self._synced = Position(1, 0)
        self.checkpoint = Checkpoint(Position(1, 0))
        # What is read next: the bookmark's place, or one before it while something is offered again.
        self._cursor = Position(1, 0)
        self._unsynced: list[tuple[int, bytes]] = []
        self._doubted = False
        self._hold = StagingFile(folder / "held")
        # What was held by somebody who ended, and is not behind the others yet.
        self._orphans: list[bytes] = []
        self._adopting = False
        self.damaged = 0
        self.unpublished = 0

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = (self._folder / "lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._lock.close()
            raise ConfigError(
                f"another adapter uses {self._folder.parent}: give each its own QQBUS_STATE_DIR"
            ) from exc
        self.checkpoint = self._read_bookmark()
        segments = self._segments()
        last = max(segments, default=1)
        size = self._path(last).stat().st_size if segments else 0
        newest, length = self._sound_part(last) if segments else (0, 0)
        self._end = self._synced = Position(last, length)
        self.checkpoint.truncate(self._end, Position(last, newest))
        self._cursor = self.checkpoint.cursor
        self.damaged = int(size > self._end.offset)  # of what is published a copy was all that was lost
        self._hold.__enter__()
        self._file = self._open(last)
        self._file.truncate(self._end.offset)
        self._marks = os.open(self._folder / "cursor", os.O_WRONLY | os.O_CREAT, 0o600)
        self._mark()  # a power cut may have kept a position and not what it stood behind
        self.unpublished = sum(1 for _ in self.remaining())
        self.recover_staged()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            os.close(self._marks)
            self._hold.__exit__()
        if self._lock is not None:
            self._lock.close()

    def write(self, payload: bytes) -> None:
        """Put a batch behind all others. Raises SpoolError.

        When this returns, the system has it: the end of this process loses nothing. That the machine's end
        does not either takes a `sync`.
        """
        self.admit_recovered()
        self._admit(payload)

    def stage(self, payloads: Sequence[bytes]) -> None:
        """Keep batches beside the others, in place of those held before, on disk. Raises SpoolError.

        `adopt` puts them behind the others, unless they are released.
        """
        self.admit_recovered()
        try:
            self._hold.write(payloads)
        except SpoolError:
            if not self._free_space():
                raise
            self._hold.write(payloads)

    def discard_staged(self) -> None:
        """What is held has been written."""
        self._hold.clear()

    def recover_staged(self) -> None:
        """Take over what is held: whoever was to write it has ended. Where the disk is full, a bit later."""
        self._orphans = self._hold.read()
        self._adopting = True
        with suppress(SpoolError):
            self.admit_recovered()

    def admit_recovered(self) -> None:
        """Put what was adopted behind the others, if there was no room for it before. Raises SpoolError."""
        while self._orphans:
            self._admit(self._orphans[0])
            del self._orphans[0]
        if self._adopting:
            self.sync()
            self._hold.clear()  # whoever is killed before this admits them twice; that is recognised
            self._adopting = False

    def _admit(self, payload: bytes) -> None:
        if self.unsent_bytes() + len(payload) > self._limit:
            raise SpoolError(f"the spool holds its {self._limit} bytes: Redis has been away for too long")
        if self._end.offset >= SEGMENT:
            self.sync()
            self._rotate()
        frame = HEADER.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload
        try:
            self._append(frame)
        except SpoolError:
            if not self._free_space():
                raise
            self._append(frame)
        start = self._end
        self._end = Position(start.segment, start.offset + len(frame))
        self._unsynced.append((start.offset, frame))
        self._recent.append((start, self._end, payload))
        self.unpublished += 1

    def sync(self) -> bool:
        """Wait until the disk has all that was written; whether there was something to wait for.

        Raises SpoolError: what was written is still in the spool, and on disk when a later `sync` succeeds.
        """
        if self._synced == self._end:
            return False
        assert self._file is not None  # noqa: S101 – entered
        try:
            if self._doubted:
                # What a disk refused once the system may have dropped: a sync that works proves nothing then.
                for offset, frame in self._unsynced:
                    self._put(frame, offset)
            _sync(self._file.fileno())
        except OSError as exc:
            self._doubted = True
            raise _failed(exc) from exc
        self._all_synced()
        return True

    def _all_synced(self) -> None:
        self._synced, self._doubted = self._end, False
        self._unsynced.clear()

    def peek(self) -> bytes | None:
        """The oldest batch that has not been published."""
        if self._cursor == self._end:
            return None
        for start, _, recent in self._recent:
            if start == self._cursor:
                return recent
        if (payload := self.read(self._cursor)) is not None:
            return payload
        for start, payload in self._frames(self._cursor):
            self._cursor = start  # damaged frames before it are passed over
            return payload
        self._cursor, self.unpublished = self._end, 0
        return None

    def advance(self, account: str = "", seq: int = 0, total: int = 0, *, fresh: bool = True) -> None:
        """The batch that `peek` gave is on the bus: `seq` of its last event, so many events there in `total`.

        Not fsynced: should this be forgotten, the batch is offered again and recognised.
        """
        cursor = self._cursor
        after = next((end for start, end, _ in self._recent if start == cursor), None)
        if after is None:
            payload = self.peek()
            cursor = self._cursor
            after = cursor if payload is None else self._end_of(cursor, payload)
        if after.offset >= SEGMENT and after.segment < self._end.segment:
            after = Position(after.segment + 1, 0)
        if after.segment > cursor.segment:
            self._drop_segments(after.segment - KEPT_SEGMENTS)
        if seq:
            self.checkpoint.record(cursor, account, seq, total, fresh=fresh)
        self._move(after)
        self.unpublished = max(0, self.unpublished - 1)
        self._mark()

    def _move(self, to: Position) -> None:
        self._cursor = to
        self.checkpoint.cursor = max(self.checkpoint.cursor, to)

    def last_published(self) -> bytes | None:
        """The last batch that was published, while it is kept."""
        return None if self.checkpoint.newest is None else self.read(self.checkpoint.newest.start)

    def rewind(self, total: int) -> None:
        """Offer again what had not come when the bus held so many events, as far as that is kept.

        Until it is published or `resume` is called: later, the server might not recognise it any more.
        """
        if (start := self.checkpoint.position_at(total)) is not None:
            kept = Position(min(self._segments(), default=self._end.segment), 0)
            self._seek(min(max(start, kept), self._cursor))

    def resume(self) -> None:
        """Offer what has never been published, and that alone."""
        self._seek(self.checkpoint.cursor)

    def _seek(self, to: Position) -> None:
        corrupt_records = self.damaged  # what was published and cannot be read any more is not lost
        self._cursor = to
        self.unpublished = sum(1 for _ in self.remaining())
        self.damaged = corrupt_records

    def remaining(self) -> Iterator[tuple[Position, bytes]]:
        """All batches that wait, oldest first, with their places."""
        return self._frames(self._cursor)

    def mark_published(self, latest: Position, total: int) -> None:
        """What waits came to the bus by another hand, `latest` as the last of it, after so many events."""
        places = [start for start, _ in self.remaining()]
        if places:
            self.checkpoint.record_handoff(places[-1], latest, total)
        self._move(self._end)
        self.unpublished = 0
        self._mark()

    def _mark(self) -> None:
        with suppress(OSError):  # a full disk: an older bookmark is as good, see `advance`
            os.pwrite(self._marks, bytes(self.checkpoint), 0)

    def unsent_bytes(self) -> int:
        """How much is waiting to be published."""
        behind = self._end.segment - self._cursor.segment
        return behind * SEGMENT + self._end.offset - self._cursor.offset

    def _append(self, frame: bytes) -> None:
        assert self._file is not None  # noqa: S101 – entered
        try:
            self._put(frame, self._end.offset)
        except OSError as exc:
            with suppress(OSError):  # the next frame is written over what stands there
                self._file.truncate(self._end.offset)
            raise _failed(exc) from exc

    def _put(self, frame: bytes, offset: int) -> None:
        assert self._file is not None  # noqa: S101 – entered
        done = 0
        while done < len(frame):  # a disk that is nearly full takes a part without a word
            done += _write(self._file.fileno(), frame[done:], offset + done)

    def _rotate(self) -> None:
        assert self._file is not None  # noqa: S101 – entered
        segment = self._end.segment + 1
        try:
            fresh = self._open(segment)
        except OSError as exc:
            raise _failed(exc) from exc
        self._file.close()
        self._file = fresh
        if self._cursor == self._end:
            self._cursor = Position(segment, 0)
        self._end = Position(segment, 0)
        self._all_synced()
        self._drop_segments(self._cursor.segment - KEPT_SEGMENTS)

    def _drop_segments(self, segment: int) -> bool:
        """Delete all segments before this one; whether there were any."""
        old = [number for number in self._segments() if number < segment]
        for number in old:
            self._path(number).unlink(missing_ok=True)
        return bool(old)

    def _free_space(self) -> bool:
        """On a full disk what is published is kept no longer: what is new matters more."""
        if self._cursor == self._end and self._end.offset:
            with suppress(SpoolError):
                self._rotate()
        return self._drop_segments(self._cursor.segment)

    def _open(self, segment: int) -> BinaryIO:
        # Not for appending: each frame has its place, whatever a failed write has left there.
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
        return sorted(int(path.stem) for path in self._folder.glob("*.spool"))

    def _frames(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        for segment in self._segments():
            if segment >= start.segment:
                data = self._path(segment).read_bytes()
                offset = start.offset if segment == start.segment else 0
                for at, payload in self._parse(data, offset):
                    yield Position(segment, at), payload

    def read(self, at: Position) -> bytes | None:
        """The batch at a place, if it is whole."""
        with suppress(OSError), self._path(at.segment).open("rb") as file:
            file.seek(at.offset)
            head = file.read(HEADER.size)
            if len(head) == HEADER.size:
                magic, length, check = HEADER.unpack(head)
                payload = file.read(length) if magic == MAGIC and length <= self._limit else b""
                if len(payload) == length and magic == MAGIC and zlib.crc32(payload) == check:
                    return payload
        return None

    def _parse(self, data: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
        while (found := data.find(MAGIC, offset)) >= 0:
            self.damaged += found > offset
            offset = found
            body = offset + HEADER.size
            if body > len(data):
                return
            _, length, check = HEADER.unpack_from(data, offset)
            payload = data[body : body + length]
            if len(payload) == length and zlib.crc32(payload) == check:
                yield offset, payload
                offset = body + length
            else:
                # Damaged, or the torn end: look for the next frame.
                self.damaged += 1
                offset += 1

    def _sound_part(self, segment: int) -> tuple[int, int]:
        """Where the last whole frame of a segment begins, and where it ends."""
        data, last, end = self._path(segment).read_bytes(), 0, 0
        for last, payload in self._parse(data, 0):
            end = last + HEADER.size + len(payload)
        return last, end

    def _end_of(self, start: Position, payload: bytes) -> Position:
        return Position(start.segment, start.offset + HEADER.size + len(payload))

    def _read_bookmark(self) -> Checkpoint:
        try:
            return Checkpoint.read((self._folder / "cursor").read_bytes())
        except (OSError, ValueError):
            # Never written, or torn: from the oldest on.
            return Checkpoint(Position(min(self._segments(), default=1), 0))


def _failed(exc: OSError) -> SpoolError:
    return SpoolError(f"the spool cannot be written: {exc.strerror}")
