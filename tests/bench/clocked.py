"""`qqbus` with a clock on its appends: `python -m tests.bench.clocked FILE run`.

FILE gets the moment at which each batch had been appended, as a float of seconds since 1970.
"""

import os
import struct
import sys
import time
from pathlib import Path

from adapter import failpoints
from adapter.cli.main import main
from adapter.failpoints import Failpoint


def clock(file: Path) -> None:
    """Hang in the clock."""
    log = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def hook(step: Failpoint) -> None:
        if step is Failpoint.APPENDED:
            os.write(log, struct.pack("d", time.time()))

    failpoints.handler = hook


def moments(file: Path) -> list[float]:
    """When batches had been appended."""
    data = file.read_bytes()
    return [value for (value,) in struct.iter_unpack("d", data[: len(data) // 8 * 8])]


if __name__ == "__main__":
    clock(Path(sys.argv[1]))
    del sys.argv[1]
    main()
