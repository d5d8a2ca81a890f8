"""docket: a worker of concurrency 100."""

import asyncio
import logging
import sys

from docket import Docket, Worker
from measured import PAYLOAD, Count, serve

EVENTS = 100
logging.disable(logging.CRITICAL)


async def measure(count: Count, turn: int) -> None:
    """Publish, then consume."""

    async def handle(body: str) -> None:  # noqa: ARG001 – nothing is done with it
        count.one()

    async with Docket(name=f"docket-{turn}", url=sys.argv[1]) as docket:
        docket.register(handle)
        for start in range(0, count.events, EVENTS):
            number = min(EVENTS, count.events - start)
            await asyncio.gather(*(docket.add(handle)(PAYLOAD) for _ in range(number)))
        async with Worker(docket, concurrency=EVENTS) as worker:
            working = asyncio.create_task(worker.run_until_finished())
            await count.done()
            working.cancel()
            await asyncio.wait([working])


asyncio.run(serve(measure))
