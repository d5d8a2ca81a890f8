"""`qqbus` whose sentry lives ten minutes in a second: `python -m tests.chaos.fast_watchdog run`.

Only its clock is another one; what it is used to at this hour, and all its limits, are the real ones.
"""

import time
from functools import partial
from typing import Any

from adapter import app
from adapter.cli.main import main
from adapter.ops.alerts.watchdog import Watchdog
from tests.support.smartqq_harness import FAST

TIMES = 600.0
EVERY = 0.05  # half a minute of its time
_BEGAN = time.time()


def hours() -> float:
    """Seconds since 1970, running ahead."""
    return _BEGAN + TIMES * (time.time() - _BEGAN)


def hasten() -> None:
    """Give the sentry this clock, and upstream's waits a length to match."""

    def sentry(*rooms: Any, **given: Any) -> Watchdog:
        return Watchdog(*rooms, **given | {"wall": hours, "every": EVERY})

    app.Watchdog = sentry  # type: ignore[assignment,misc]
    app.SmartQQUpstream = partial(app.SmartQQUpstream, limits=FAST)  # type: ignore[assignment,misc]


if __name__ == "__main__":
    hasten()
    main()
