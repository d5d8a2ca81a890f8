"""Batches that are not ready for the spool yet, on disk beside it: told as they are if the process dies."""

import os
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import msgpack

from adapter.errors import SpoolError

HEADER: Final = struct.Struct(">II")

# The disk: a test puts one in its place that is full.
_write = os.pwrite
_sync = os.fsync


class StagingFile:
    """One file, of which the last whole record counts: each takes the place of all before it.

    A record is `length, CRC-32, payloads packed`. It is appended, so that a kill in the middle of the
    writing leaves the record before it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._end = 0
        self._last = b""

    def __enter__(self) -> Self:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def write(self, payloads: Sequence[bytes]) -> None:
        """Keep these alone, on disk when this returns. Raises SpoolError: then what was kept still is."""
        packed = msgpack.packb(payloads)
        if packed == self._last:  # whoever waits for room comes again and again
            return
        record = HEADER.pack(len(packed), zlib.crc32(packed)) + packed
        done = 0
        try:
            while done < len(record):
                done += _write(self._file, record[done:], self._end + done)
            _sync(self._file)
        except OSError as exc:
            with suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise SpoolError(f"the spool cannot be written: {exc.strerror}") from exc
        self._end += len(record)
        self._last = packed

    def read(self) -> list[bytes]:
        """What is kept; nothing where it never was, or is torn."""
        data, at, last = self._path.read_bytes(), 0, b"\x90"
        while at + HEADER.size <= len(data):
            length, check = HEADER.unpack_from(data, at)
            at += HEADER.size
            packed = data[at : at + length]
            if not length or len(packed) != length or zlib.crc32(packed) != check:
                break
            at, last = at + length, packed
        payloads: list[bytes] = msgpack.unpackb(last)
        return payloads

    def clear(self) -> None:
        """Keep nothing. What a disk refuses to let go is in the spool too, and will be recognised."""
        with suppress(OSError):
            os.ftruncate(self._file, 0)
            self._end, self._last = 0, b""
