"""taskiq-redis: a stream broker and a receiver in this process."""

import asyncio
import sys

from measured import PAYLOAD, Count, serve
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

EVENTS = 100


async def measure(count: Count, turn: int) -> None:
    """Publish, then consume."""
    broker = RedisStreamBroker(sys.argv[1], queue_name=f"taskiq-{turn}", consumer_group_name="bench")

    @broker.task(task_name="handle")
    async def handle(body: str) -> None:  # noqa: ARG001 – nothing is done with it
        count.one()

    await broker.startup()
    for start in range(0, count.events, EVENTS):
        await asyncio.gather(*(handle.kiq(PAYLOAD) for _ in range(min(EVENTS, count.events - start))))
    receiver = asyncio.create_task(run_receiver_task(broker, run_startup=False, max_async_tasks=100))
    await count.done()
    receiver.cancel()
    await asyncio.wait([receiver], timeout=0.2)  # it does not end while it reads


asyncio.run(serve(measure))
