"""docket: a bridge adds every event; retries are a dependency of the task."""

import asyncio
import json
import os
import time
from datetime import timedelta

from docket import Docket, ExponentialRetry, Worker
from redis.asyncio import Redis
from work import work

redis = Redis.from_url(os.environ["REDIS_URL"])
docket = Docket(name="pong", url=os.environ["REDIS_URL"])
RETRY = ExponentialRetry(attempts=5, minimum_delay=timedelta(seconds=0.5))


async def pong(event: dict[str, str], retry: ExponentialRetry = RETRY) -> None:
    if event["type"] != "message.group" or event["self"] != "0" or not event["text"].startswith("#ping"):
        return
    try:
        await work(event["id"], event["text"])
        reply = {"to": event["chat"], "text": "pong", "id": f"pong/{event['id']}", "cause": event["id"]}
        await redis.xadd("qq:outbound", reply)
    except Exception as exc:
        if retry.attempt < RETRY.attempts:
            raise
        letter = {"v": "1", "time": str(time.time()), "reason": "handler.failed", "detail": str(exc)}
        await redis.xadd("qq:dead", letter | {"fields": json.dumps(event)})


async def main() -> None:
    docket.register(pong)
    async with docket, Worker(docket, redelivery_timeout=timedelta(seconds=5)) as worker:
        await worker.run_forever()


if __name__ == "__main__":
    asyncio.run(main())
