"""`qqbus` whose watchdog lives a minute in a second: `python -m tests.chaos.fast_watchdog run`.

Only its clock is another one; its limits are the real ones.
"""

import time
from functools import partial
from typing import Any

from adapter import app
from adapter.cli.main import main
from adapter.networks.smartqq import upstream as network
from adapter.ops.alerts.watchdog import Watchdog
from tests.support.smartqq_harness import FAST

TIMES = 60.0
INTERVAL = 0.05  # three seconds of its time
_BEGAN = time.time()


def fast_clock() -> float:
    """Seconds since 1970, running ahead."""
    return _BEGAN + TIMES * (time.time() - _BEGAN)


def accelerate() -> None:
    """Give the watchdog this clock, and the waits of upstream a length to match."""

    def watchdog(*given: Any, **options: Any) -> Watchdog:
        return Watchdog(*given, **options | {"wall": fast_clock, "interval": INTERVAL})

    app.Watchdog = watchdog  # type: ignore[assignment,misc]
    network.SmartQQUpstream = partial(network.SmartQQUpstream, limits=FAST)  # type: ignore[assignment,misc]


if __name__ == "__main__":
    accelerate()
    main()
