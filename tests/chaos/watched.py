"""`qqbus` with a stopwatch on the one window that SmartQQ leaves: `python -m tests.chaos.watched FILE run`.

FILE gets one byte, 1 while an answer has come whose messages are not on disk yet, and behind it the length
of each such window as a float of seconds. It survives kill -9.
"""

import mmap
import os
import struct
import sys
import time
from pathlib import Path

from adapter import steps
from adapter.ops.cli import main
from adapter.steps import Step


def watch(file: Path) -> None:
    """Hang in the stopwatch."""
    if not file.exists():
        file.write_bytes(b"\0")
    handle = os.open(file, os.O_RDWR)
    flag = mmap.mmap(handle, 1)
    log = os.open(file, os.O_WRONLY | os.O_APPEND)
    began = 0.0

    def hook(step: Step) -> None:
        nonlocal began
        if step is Step.ARRIVED:
            began = time.perf_counter()
            flag[0] = 1
        elif step is Step.SPOOLED and flag[0]:
            flag[0] = 0
            os.write(log, struct.pack("d", time.perf_counter() - began))

    flag[0] = 0
    steps.hook = hook


def windows(file: Path) -> tuple[bool, list[float]]:
    """Whether the process died inside a window, and how long the windows were."""
    data = file.read_bytes() if file.exists() else b"\0"
    rest = data[1 : 1 + (len(data) - 1) // 8 * 8]
    return bool(data[:1] == b"\1"), [value for (value,) in struct.iter_unpack("d", rest)]


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
    del sys.argv[1]
    main()
