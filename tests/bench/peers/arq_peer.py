"""arq: a worker with a hundred jobs at a time that asks every 20 ms."""

import asyncio
import contextlib
import logging
import sys

from arq import create_pool, func
from arq.connections import RedisSettings
from arq.worker import Worker
from measured import PAYLOAD, Count, serve

EVENTS = 100
logging.getLogger("arq").setLevel(logging.CRITICAL)


async def measure(count: Count, turn: int) -> None:
    """Publish, then consume."""
    settings = RedisSettings.from_dsn(sys.argv[1])
    queue = f"arq-{turn}"

    async def handle(_: object, body: str) -> None:  # noqa: ARG001 – nothing is done with it
        count.one()

    pool = await create_pool(settings, default_queue_name=queue)
    for start in range(0, count.events, EVENTS):
        number = min(EVENTS, count.events - start)
        await asyncio.gather(*(pool.enqueue_job("handle", PAYLOAD) for _ in range(number)))
    worker = Worker(
        [func(handle, name="handle", keep_result=0)],
        queue_name=queue,
        redis_settings=settings,
        max_jobs=EVENTS,
        poll_delay=0.02,
        handle_signals=False,
    )
    working = asyncio.create_task(worker.async_run())
    await count.done()
    working.cancel()
    await asyncio.wait([working])
    with contextlib.suppress(asyncio.CancelledError):
        await worker.close()
    await pool.aclose()


asyncio.run(serve(measure))
