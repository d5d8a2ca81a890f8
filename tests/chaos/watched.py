"""`qqbus` with a stopwatch on the one window that SmartQQ leaves: `python -m tests.chaos.watched FILE run`.

FILE gets the length of each window, from an answer that begins to come to its messages on disk, as a float
of seconds.
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


def watch(file: Path) -> None:
    """Hang in the stopwatch."""
    # Everything is to be checked in the end: nothing of it may have been trimmed by then.
    retention.KEPT.update(dict.fromkeys(retention.KEPT, 10_000_000))
    log = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    began = 0.0

    def hook(step: Step) -> None:
        nonlocal began
        if step is Step.ARRIVED:
            began = time.perf_counter()
        elif step is Step.SYNCED and began:
            os.write(log, struct.pack("d", time.perf_counter() - began))
            began = 0.0

    steps.hook = hook


def windows(file: Path) -> list[float]:
    """How long the windows were, in seconds."""
    data = file.read_bytes() if file.exists() else b""
    return [value for (value,) in struct.iter_unpack("d", data[: len(data) // 8 * 8])]


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
    del sys.argv[1]
    main()
