"""How long it takes until the one that stands by polls: `python -m tests.chaos.takeover --times 12`."""

import argparse
import signal
import tempfile
import time
from pathlib import Path

import anyio

from adapter.bus.connection import connect
from tests.chaos.cluster import LEASE, Role, Stage, staged
from tests.chaos.smartqq import SmartQQ

ONLINE = 30.0


async def active(stage: Stage) -> Role:
    """Return the adapter that holds the lease and is online."""
    client = connect(stage.url)
    try:
        with anyio.fail_after(ONLINE):
            while True:
                state, holder = await client.hmget("qq:status", "state", "holder")
                for role in stage.adapters:
                    if state == b"online" and f":{role.pid}:".encode() in (holder or b""):
                        await stage.network.wait_online(ONLINE)
                        return role
                await anyio.sleep(0.01)
    finally:
        await client.aclose()


async def run(times: int, folder: Path) -> list[float]:
    """Measure the seconds from each kill -9 to the other one's poll."""
    found = []
    async with SmartQQ() as network, staged(folder, network, workers=0) as stage:
        role = await active(stage)
        for _ in range(times):
            began = time.monotonic()
            await stage.replace(role, signal.SIGKILL)
            role = await active(stage)
            found.append(time.monotonic() - began)
            await anyio.sleep(1.0)  # let the new one stand by
    return sorted(found)


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=12)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qqbus-takeover-") as name:
        found = anyio.run(run, arguments.times, Path(name))
    p50, p95 = found[len(found) // 2], found[min(len(found) - 1, len(found) * 95 // 100)]
    print(
        f"{len(found)} takeovers, lease {LEASE} s: p50 {p50:.2f} s, p95 {p95:.2f} s, longest {found[-1]:.2f} s"
    )


if __name__ == "__main__":
    main()
