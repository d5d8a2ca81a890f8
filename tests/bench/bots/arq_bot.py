"""arq: a bridge enqueues every event; Retry carries the delay, a killed worker's job is free when its key has gone."""

import json
import os
import time

from arq import Retry, func, run_worker
from arq.connections import RedisSettings
from work import work

TRIES = 5


async def pong(ctx: dict, event: dict[str, str]) -> None:
    if event["type"] != "message.group" or event["self"] != "0" or not event["text"].startswith("#ping"):
        return
    try:
        await work(event["id"], event["text"])
        reply = {"to": event["chat"], "text": "pong", "id": f"pong/{event['id']}", "cause": event["id"]}
        await ctx["redis"].xadd("qq:outbound", reply)
    except Exception as exc:
        if ctx["job_try"] < TRIES:
            raise Retry(defer=0.5 * 2 ** (ctx["job_try"] - 1)) from exc
        letter = {"v": "1", "time": str(time.time()), "reason": "handler.failed", "detail": str(exc)}
        await ctx["redis"].xadd("qq:dead", letter | {"fields": json.dumps(event)})


class WorkerSettings:  # noqa: D101 – as arq has it
    functions = (func(pong, max_tries=TRIES, keep_result=0),)
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])
    job_timeout = 5


if __name__ == "__main__":
    run_worker(WorkerSettings)
