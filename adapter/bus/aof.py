"""Repair the end of an append-only file after a power cut.

The size of the file can reach the disk before its last block does: NULs, or what the block held before, then
follow the last whole command, and the server refuses to start. Invariants: only what follows the last whole
command is cut, after a copy of the file was made; a file with whole commands behind the damage is left alone,
because data would be lost that another tool can save.
"""

import mmap
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = "appendonlydir"
COPIES: Final = "damaged-*.aof"
# Bytes of a line with a number: more is no line of the protocol.
_MAX_LINE: Final = 24
# Arguments of one command, and bytes of one argument (512 MB), at most.
_MAX_ARGUMENTS: Final = 2**20
_MAX_ARGUMENT: Final = 2**29
_NUMBER: Final = re.compile(rb"[0-9]{1,10}")


class DamagedFileError(Exception):
    """An append-only file cannot be repaired without loss; the text names it."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What was cut: the file, the bytes, and where a copy of the whole file is."""

    file: Path
    cut_bytes: int
    copy: Path


def newest_file(folder: Path) -> Path | None:
    """Return the file of a data folder that the server appends to; None if there is none."""
    files = [(int(path.suffixes[-3][1:]), path) for path in (folder / FOLDER).glob("*.[0-9]*.incr.aof")]
    return max(files)[1] if files else None


def ends_within_a_command(file: Path) -> bool:
    """Return whether a file does not end as a whole command does."""
    with file.open("rb") as opened:
        size = opened.seek(0, 2)
        opened.seek(max(0, size - 2))
        return size > 0 and opened.read() != b"\r\n"


def repair_tail(folder: Path) -> Repair | None:
    """Cut what follows the last whole command; None if all is whole. Raises DamagedFileError and OSError."""
    file = newest_file(folder)
    if file is None or not (size := file.stat().st_size):
        return None
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = _skip_whole_commands(data)
        if end == size:
            return None
        if _has_whole_command(data, end):
            raise DamagedFileError(
                f"{file} is damaged at byte {end} of {size}, with whole commands behind it: restore a backup "
                f"of {folder}, or move that folder away (the spool's events are published again)"
            )
    copy = folder / f"damaged-{int(time.time())}.aof"
    shutil.copy2(file, copy)
    with file.open("r+b") as writable:
        writable.truncate(end)
    return Repair(file, size - end, copy)


def _skip_whole_commands(data: mmap.mmap) -> int:
    at = 0
    while (end := _command_end(data, at)) is not None:
        at = end
    return at


def _has_whole_command(data: mmap.mmap, start: int) -> bool:
    at = start
    while (at := data.find(b"*", at + 1)) >= 0:
        if _command_end(data, at) is not None:
            return True
    return False


def _command_end(data: mmap.mmap, at: int) -> int | None:
    """Return where the command ends that begins at `at`; None if it is not whole."""
    if data[at : at + 1] == b"#":  # an annotation: one line
        end = data.find(b"\n", at, at + _MAX_LINE)
        return end + 1 if end >= 0 else None
    counted = _number(data, at, b"*", _MAX_ARGUMENTS)
    if counted is None or not counted[0]:
        return None
    count, at = counted
    for _ in range(count):
        sized = _number(data, at, b"$", _MAX_ARGUMENT)
        if sized is None:
            return None
        at = sum(sized)
        if data[at : at + 2] != b"\r\n":
            return None
        at += 2
    return at


def _number(data: mmap.mmap, at: int, mark: bytes, most: int) -> tuple[int, int] | None:
    """Return the number in a line and where the next line begins."""
    end = data.find(b"\r\n", at, at + _MAX_LINE)
    line = data[at:end] if end >= 0 else b""
    if line[:1] != mark or not _NUMBER.fullmatch(line[1:]) or int(line[1:]) > most:
        return None
    return int(line[1:]), end + 2
