"""`qqbus`, to be killed at a step: `python -m tests.chaos.crash STEP N run`.

After SIGUSR1 it dies by SIGKILL when STEP is reached for the Nth time; with `armed` before `run`, from its
start on. The steps of a batch that was received before the signal do not count: it may be on its way still.
Its waits are short, and it asks who speaks as often as it likes.
"""

import os
import signal
import sys
from dataclasses import replace
from types import FrameType

from adapter import failpoints
from adapter.cli.main import main
from adapter.failpoints import Failpoint
from tests.chaos.fast_timeouts import HASTY, hurry

# The steps of a batch behind `received`.
STEPS_OF_BATCH = (
    *(Failpoint.SPOOLED, Failpoint.SYNCED),
    *(Failpoint.APPENDED, Failpoint.ADVANCED, Failpoint.DRAINED),
)


def kill_at(step: Failpoint, count: int, *, armed: bool = False) -> None:
    """Be ready to be armed."""
    left, has_received = count, armed

    def hook(reached: Failpoint) -> None:
        nonlocal left, has_received
        has_received |= reached is Failpoint.RECEIVED
        left -= reached is step and (has_received or step not in STEPS_OF_BATCH)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def arm(_number: int, _frame: FrameType | None) -> None:
        failpoints.handler = hook
        print("armed", flush=True)

    signal.signal(signal.SIGUSR1, arm)
    if armed:
        arm(0, None)


if __name__ == "__main__":
    at_once = sys.argv[3] == "armed"
    kill_at(Failpoint(sys.argv[1]), int(sys.argv[2]), armed=at_once)
    hurry(replace(HASTY, lookup_interval=0.0))  # every stranger is asked about
    del sys.argv[1 : 4 if at_once else 3]
    main()
