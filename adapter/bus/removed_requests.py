"""Notice requests that were removed before the adapter read them.

A user that may add requests can trim those of others with `XADD … MAXLEN`: no ACL forbids an argument.
Requests that were read are answered all the same. Unread ones leave no trace but the numbers that Redis 7
keeps, until the next one is read; see `scripts/removed.lua`. So the numbers are compared before the first
read, and every few seconds.
"""

import logging
from typing import Final

from adapter.bus.bus import Bus
from adapter.bus.faults import FaultReporter
from adapter.bus.keys import GROUP
from adapter.bus.lease import Lease

log = logging.getLogger(__name__)

STREAM: Final = "outbound"
KEY: Final = "ids:outbound"
FAULT: Final = "requests.removed"
# Seconds for which the loss is shown: the operator looks for its author.
SHOWN_SECONDS: Final = 3600.0


class RemovedRequests:
    """Counts unread requests that are gone, and reports them."""

    def __init__(self, bus: Bus, lease: Lease, reporter: FaultReporter) -> None:
        self._bus = bus
        self._lease = lease
        self._reporter = reporter

    async def look(self) -> int:
        """Return how many were removed since the last look. Raises Fenced and BusUnavailable."""
        key = self._bus.keys(STREAM)
        names = [self._bus.keys("ids:epoch"), key, self._bus.keys(KEY)]
        removed = int(await self._bus.run_script("removed", names, [*self._lease.fence, GROUP]))
        if removed:
            text = (
                f"{removed} requests were removed from {key} before they were read: they get no result; "
                "a program trims the stream, as XADD with MAXLEN does"
            )
            log.error("%s", text)
            self._reporter.count_dropped(STREAM, removed)
            self._reporter.set_bus_fault(FAULT, text, SHOWN_SECONDS)
        return removed
