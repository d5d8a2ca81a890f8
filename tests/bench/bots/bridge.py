# ruff: noqa: PLC0415 – each runs where the other two are not installed
"""What a job queue needs before its bot: `bridge.py NAME` enqueues every event of the stream, and is never killed."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from redis.asyncio import Redis

Put = Callable[[dict[str, str]], Awaitable[object]]


async def opened(name: str, stack: AsyncExitStack) -> Put:
    """How an event is enqueued."""
    if name == "arq":
        import arq_bot
        from arq import create_pool

        pool = await create_pool(arq_bot.WorkerSettings.redis_settings)
        return lambda event: pool.enqueue_job("pong", event, _job_id=event["id"])
    if name == "taskiq_redis":
        import taskiq_redis_bot

        await taskiq_redis_bot.broker.startup()
        return taskiq_redis_bot.pong.kiq
    import docket_bot

    docket_bot.docket.register(docket_bot.pong)
    docket = await stack.enter_async_context(docket_bot.docket)
    return lambda event: docket.add(docket_bot.pong, key=event["id"])(event)


async def main(name: str) -> None:
    """Read from the beginning, for ever."""
    last = "0"
    async with AsyncExitStack() as stack, Redis.from_url(os.environ["REDIS_URL"]) as redis:
        put = await opened(name, stack)
        while True:
            for _, entries in await redis.xread({"qq:inbound": last}, count=100, block=1_000):
                for entry, fields in entries:
                    last = entry
                    text = {key.decode(): value.decode() for key, value in fields.items() if key != b"body"}
                    await put(text)


asyncio.run(main(sys.argv[1]))
