"""`qqbus` for which two minutes are half a second: `python -m tests.chaos.night run` is left alone at night."""

from dataclasses import replace
from functools import partial

from adapter import app
from adapter.cli.main import main
from adapter.networks.smartqq import upstream as network
from adapter.ops.alerts import delivery_monitor, disk_monitor
from tests.support.smartqq_harness import FAST

# Three codes one after the other, then one in each "twenty minutes": the proportions of the real limits.
NIGHT = replace(FAST, qr_lifetime=0.3, qr_attempts=3, qr_slow_interval=3.0, members_timeout=5.0)
GRACE = 0.5


def fall() -> None:
    """Shorten the waits, and nothing else."""
    network.SmartQQUpstream = partial(network.SmartQQUpstream, limits=NIGHT)  # type: ignore[assignment,misc]
    app.Watchdog = partial(app.Watchdog, interval=0.1)  # type: ignore[assignment,misc]
    for state in delivery_monitor.GRACE:
        delivery_monitor.GRACE[state] = GRACE  # type: ignore[index]
    disk_monitor.DiskMonitor.grace = disk_monitor.DiskMonitor.calm = GRACE  # type: ignore[misc]


if __name__ == "__main__":
    fall()
    main()
