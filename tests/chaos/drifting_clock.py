"""Run `qqbus` with a clock that is wrong: `python -m tests.chaos.drifting_clock SECONDS run`."""

import sys
import time

if __name__ == "__main__":
    _true_time, _drift = time.time, float(sys.argv.pop(1))
    time.time = lambda: _true_time() + _drift
    from adapter.cli.main import main

    main()
