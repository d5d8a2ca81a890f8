"""`qqbus` with a stopwatch on the one window that SmartQQ leaves: `python -m tests.chaos.watched FILE run`.

FILE gets the length of each window as two floats, in seconds from an answer that begins to come: until its
messages are written, and outlive the process, and until they are on disk, and outlive the power.
"""

import os
import struct
import sys
import time
from pathlib import Path

from adapter import steps
from adapter.bus import retention
from adapter.ops.cli import main
from adapter.steps import Step

PAIR = struct.Struct("dd")


def watch(file: Path) -> None:
    """Hang in the stopwatch."""
    # Everything is to be checked in the end: nothing of it may have been trimmed by then.
    retention.KEPT.update(dict.fromkeys(retention.KEPT, 10_000_000))
    log = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    began = written = 0.0

    def hook(step: Step) -> None:
        nonlocal began, written
        if step is Step.ARRIVED:
            began, written = time.perf_counter(), 0.0
        elif step is Step.SPOOLED and began:
            written = time.perf_counter() - began
        elif step is Step.SYNCED and written:
            os.write(log, PAIR.pack(written, time.perf_counter() - began))
            began = written = 0.0

    steps.hook = hook


def windows(file: Path) -> list[tuple[float, float]]:
    """How long the windows were."""
    data = file.read_bytes() if file.exists() else b""
    return list(PAIR.iter_unpack(data[: len(data) // PAIR.size * PAIR.size]))


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
    del sys.argv[1]
    main()
