"""Run `qqbus` with faulty services: `python -m tests.chaos.service_fault KIND SERVICE[,SERVICE…] run`.

KIND: exception, hang or cancellation. A SERVICE is the value of a Failpoint that `inject` reaches.
"""

import asyncio
import sys
from collections.abc import Awaitable

import anyio

from adapter import failpoints
from adapter.cli.main import main
from adapter.failpoints import Failpoint
from tests.chaos.fast_timeouts import hurry


def inject(kind: str, services: set[Failpoint]) -> None:
    """Let each of these services fail in this way, whenever it is at work."""

    def fault(step: Failpoint) -> Awaitable[None] | None:
        if step not in services:
            return None
        if kind == "hang":
            return anyio.sleep_forever()
        raise asyncio.CancelledError if kind == "cancellation" else RuntimeError("injected: secret")

    failpoints.handler = fault


if __name__ == "__main__":
    inject(sys.argv[1], {Failpoint(name) for name in sys.argv[2].split(",")})
    hurry()
    del sys.argv[1:3]
    main()
