"""Run `qqbus` with little memory, as in a small container: `python -m tests.chaos.limited_memory MB run`.

The limit is RLIMIT_DATA: Linux counts all private memory that may be written, also that of threads, and gives no
more. What it refuses raises MemoryError, where a container would kill.
"""

import resource
import sys

from adapter.cli.main import main

MB = 1024 * 1024


if __name__ == "__main__":
    limit = int(sys.argv[1]) * MB
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    del sys.argv[1]
    main()
