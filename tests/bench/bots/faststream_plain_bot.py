"""FastStream without its claiming subscriber: a group alone, or with PONG_NO_GROUP just the stream."""

import asyncio
import os

from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub
from redis.asyncio import Redis
from work import work

redis = Redis.from_url(os.environ["REDIS_URL"])


async def text_only(message, parse):  # noqa: ANN001, ANN201 – as its documentation has it
    message["data"].pop(b"body", None)
    return await parse(message)


broker = RedisBroker(os.environ["REDIS_URL"], parser=text_only)
group = StreamSub("qq:inbound", group="pong", consumer="pong")


@broker.subscriber(stream="qq:inbound" if "PONG_NO_GROUP" in os.environ else group)
async def pong(event: dict[str, str]) -> None:
    if event["type"] == "message.group" and event["self"] == "0" and event["text"].startswith("#ping"):
        await work(event["id"], event["text"])
        reply = {"to": event["chat"], "text": "pong", "id": f"pong/{event['id']}", "cause": event["id"]}
        await redis.xadd("qq:outbound", reply)


asyncio.run(FastStream(broker).run())
