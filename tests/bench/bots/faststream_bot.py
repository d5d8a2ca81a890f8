"""FastStream on the stream itself: one subscriber for what is new, one that claims what was left.

On Redis 8.4 `claim_min_idle_time` lets one do both; Valkey and older servers do not know it.
"""

import asyncio
import json
import os
import time

from faststream import AckPolicy, FastStream
from faststream.redis import RedisBroker, StreamSub
from faststream.redis.annotations import RedisStreamMessage
from redis.asyncio import Redis
from work import work

TRIES = 5
me = f"pong-{os.getpid()}"
redis = Redis.from_url(os.environ["REDIS_URL"])


async def text_only(message, parse):  # noqa: ANN001, ANN201 – as its documentation has it
    """`body` is msgpack: the parser turns entries into JSON and fails at it."""
    message["data"].pop(b"body", None)
    return await parse(message)


broker = RedisBroker(os.environ["REDIS_URL"], parser=text_only, ack_policy=AckPolicy.NACK_ON_ERROR)
new = StreamSub("qq:inbound", group="pong", consumer=me)
left = StreamSub("qq:inbound", group="pong", consumer=me, min_idle_time=5_000)


@broker.subscriber(stream=new)
@broker.subscriber(stream=left)
async def pong(event: dict[str, str], message: RedisStreamMessage) -> None:
    if event["type"] != "message.group" or event["self"] != "0" or not event["text"].startswith("#ping"):
        return
    try:
        await work(event["id"], event["text"])
        reply = {"to": event["chat"], "text": "pong", "id": f"pong/{event['id']}", "cause": event["id"]}
        await redis.xadd("qq:outbound", reply)
    except Exception as exc:
        entry = message.raw_message["message_ids"][0]
        (row,) = await redis.xpending_range("qq:inbound", "pong", entry, entry, 1)
        if row["times_delivered"] < TRIES:
            raise
        letter = {"v": "1", "time": str(time.time()), "reason": "handler.failed", "detail": str(exc)}
        await redis.xadd("qq:dead", letter | {"fields": json.dumps(event)})


asyncio.run(FastStream(broker).run())
