"""taskiq-redis: a bridge kicks every event; delays need a scheduler beside the receiver."""

import asyncio
import json
import os
import time
from datetime import timedelta

from redis.asyncio import Redis
from taskiq import Context, SmartRetryMiddleware, TaskiqDepends, TaskiqScheduler
from taskiq.api import run_receiver_task, run_scheduler_task
from taskiq_redis import ListRedisScheduleSource, RedisStreamBroker
from work import work

TRIES = 5
url = os.environ["REDIS_URL"]
redis = Redis.from_url(url)
source = ListRedisScheduleSource(url)
retry = SmartRetryMiddleware(TRIES, default_delay=0.5, use_delay_exponent=True, schedule_source=source)
broker = RedisStreamBroker(
    url, consumer_id="0", idle_timeout=5_000, unacknowledged_lock_timeout=5.0
).with_middlewares(retry)


@broker.task(task_name="pong", retry_on_error=True)
async def pong(event: dict[str, str], context: Context = TaskiqDepends()) -> None:  # noqa: B008 – as taskiq has it
    if event["type"] != "message.group" or event["self"] != "0" or not event["text"].startswith("#ping"):
        return
    try:
        await work(event["id"], event["text"])
        reply = {"to": event["chat"], "text": "pong", "id": f"pong/{event['id']}", "cause": event["id"]}
        await redis.xadd("qq:outbound", reply)
    except Exception as exc:
        if int(context.message.labels.get("_retries", 0)) + 1 < TRIES:
            raise
        letter = {"v": "1", "time": str(time.time()), "reason": "handler.failed", "detail": str(exc)}
        await redis.xadd("qq:dead", letter | {"fields": json.dumps(event)})


async def main() -> None:
    broker.is_worker_process = True
    await broker.startup()
    scheduler = run_scheduler_task(TaskiqScheduler(broker, [source]), interval=timedelta(seconds=1))
    await asyncio.gather(run_receiver_task(broker), scheduler)


if __name__ == "__main__":
    asyncio.run(main())
