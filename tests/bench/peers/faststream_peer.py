"""FastStream: a group's subscriber that reads a hundred at a time and acknowledges."""

import asyncio
import logging
import sys

from faststream.redis import RedisBroker, StreamSub
from measured import PAYLOAD, Count, serve

EVENTS = 100


async def measure(count: Count, turn: int) -> None:
    """Publish, then consume with a broker of its own."""
    stream = f"faststream-{turn}"
    broker = RedisBroker(sys.argv[1], logger=None, log_level=logging.CRITICAL)
    source = StreamSub(
        stream, group="bench", consumer="one", max_records=EVENTS, polling_interval=10, last_id=">"
    )

    @broker.subscriber(stream=source)
    async def handle(body: str) -> None:  # noqa: ARG001 – nothing is done with it
        count.one()

    async with RedisBroker(sys.argv[1], logger=None) as sender:
        await sender._connection.xgroup_create(stream, "bench", "0", mkstream=True)  # noqa: SLF001
        for start in range(0, count.events, EVENTS):
            number = min(EVENTS, count.events - start)
            await asyncio.gather(
                *(sender.publish(PAYLOAD, stream=stream, maxlen=None) for _ in range(number))
            )
    async with broker:
        await broker.start()
        await count.done()


asyncio.run(serve(measure))
