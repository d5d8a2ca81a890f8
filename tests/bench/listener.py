"""A worker of ours for a benchmark: `python -m tests.bench.listener listen|echo|idle [lanes]`.

`listen` tells how old each message is when its handler is called, `echo` answers too, `idle` does nothing.
"""

import json
import sys
import time

from consumers.worker import Event, Plan, Worker

worker = Worker("bench", plan=Plan(lanes="lanes" in sys.argv, claim_after=300.0))
seconds: list[float] = []


async def listen(event: Event) -> None:
    """Note how old it is; the last one of a series has them all told."""
    now = time.time_ns()
    stamp, _, rest = event.text.partition(" ")
    seconds.append((now - int(stamp)) / 1e9)
    if "echo" in sys.argv:
        await event.reply(event.text)
    if rest == "last":
        print(json.dumps(seconds), flush=True)
        seconds.clear()


async def idle(_: Event) -> None:
    """Nothing."""


if __name__ == "__main__":
    worker.on("message")(idle if "idle" in sys.argv else listen)
    worker.main()
