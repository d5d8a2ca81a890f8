"""A worker of ours for a benchmark: `python -m tests.bench.listener listen|echo|idle|waiting [lanes]`.

`listen` tells how old each message is when its handler is called, `echo` answers too, `idle` does nothing,
`waiting` waits up to 10 ms.
"""

import asyncio
import json
import random
import sys
import time

from qqbus import Event, Worker, WorkerOptions

worker = Worker("bench", options=WorkerOptions(partitioned="lanes" in sys.argv, claim_after=300.0))
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


async def waiting(_: Event) -> None:
    """As long as a quick answer from somebody takes."""
    await asyncio.sleep(random.random() * 0.01)


if __name__ == "__main__":
    worker.on("message")({"idle": idle, "waiting": waiting}.get(sys.argv[1], listen))
    worker.main()
