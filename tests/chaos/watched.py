"""`qqbus` with a stopwatch on the one window that SmartQQ leaves: `python -m tests.chaos.watched FILE run`.

FILE gets a mark when the process begins, and each time an answer begins to come, is written – from then on it outlives the process –, and
is on disk, where it outlives the power: which of these, and when, in seconds since 1970. It asks who speaks
as often as it likes, so that there is something to hold.
"""

import os
import struct
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from adapter import steps
from adapter.bus import retention
from adapter.ops.cli import main
from adapter.smartqq.limits import Limits
from adapter.steps import Step
from tests.chaos.hasty import hurry

MARK = struct.Struct("cd")
BEGAN, ARRIVED, WRITTEN, SAFE = b"b", b"a", b"w", b"s"
MARKS: Final = {
    Step.ARRIVED: ARRIVED,
    Step.HELD: WRITTEN + SAFE,
    Step.SPOOLED: WRITTEN,
    Step.SYNCED: SAFE,
}


def watch(file: Path) -> None:
    """Hang in the stopwatch."""
    # Everything is to be checked in the end: nothing of it may have been trimmed by then.
    retention.KEPT.update(dict.fromkeys(retention.KEPT, 10_000_000))
    log = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, MARK.pack(BEGAN, time.time()))
    waiting = b""

    def hook(step: Step) -> None:
        nonlocal waiting
        marks = MARKS.get(step, b"")
        waiting = WRITTEN + SAFE if marks == ARRIVED else waiting
        for mark in map(bytes, zip(marks)):
            if mark == ARRIVED or mark in waiting:
                waiting = waiting.replace(mark, b"")
                os.write(log, MARK.pack(mark, time.time()))

    steps.hook = hook


@dataclass(frozen=True)
class Death:
    """A kill -9, and how far its process was with the last answer it got: times in seconds since 1970.

    `arrived`: when that began to come, and `before`: when the one before it did, 0 where there was none.
    """

    time: float
    before: float = 0.0
    arrived: float = 0.0
    written: bool = True


def marks(file: Path) -> list[tuple[bytes, float]]:
    """All that was noted."""
    data = file.read_bytes() if file.exists() else b""
    return list(MARK.iter_unpack(data[: len(data) // MARK.size * MARK.size]))


def windows(file: Path) -> list[tuple[float, float]]:
    """How long each answer that brought something was in memory only, and how long until it was on disk."""
    found, began, written = [], 0.0, 0.0
    for mark, moment in marks(file):
        if mark == ARRIVED:
            began = moment
        elif mark == WRITTEN:
            written = moment
        elif mark == SAFE and written >= began:
            found.append((written - began, moment - began))
    return found


def death(file: Path, kill: float) -> Death:
    """What a process that was killed then had noted."""
    noted = [(mark, time) for mark, time in marks(file) if time <= kill]
    began = max((time for mark, time in noted if mark == BEGAN), default=0.0)
    before, arrived = [0.0, 0.0, *(time for mark, time in noted if mark == ARRIVED and time >= began)][-2:]
    written = any(mark == WRITTEN and time >= arrived for mark, time in noted)
    return Death(kill, before, arrived, written)


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
    hurry(replace(Limits(), relearn=0.0))
    del sys.argv[1]
    main()
