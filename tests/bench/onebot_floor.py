"""The floor of OneBot: what a user would write by hand who promises nothing. `python -m tests.bench.onebot_floor …`.

`flood` carries events to a stream in pipelines of up to 100, `bridge` carries single events there and answers
back, `read` is the worker behind it. No disk, no ids, no lease, no ledger, no retries.
"""

import asyncio
import json
import sys
import time
from collections import deque
from typing import Any

import msgpack
import redis.asyncio as redis
from websockets.asyncio.client import ClientConnection, connect

COUNT, BLOCK_MS = 100, 500
MAX_FRAME = 64 * 1024 * 1024


def entry(raw: bytes) -> dict[str, Any] | None:
    """Return the twelve fields of an event; None for what is no message."""
    event = json.loads(raw)
    if event.get("post_type") != "message":
        return None
    chat = f"group:{event['group_id']}" if "group_id" in event else f"friend:{event['user_id']}"
    segments = event["message"]
    text = "".join(one["data"]["text"] for one in segments if one["type"] == "text")
    body = {"segments": segments, "sender": event["sender"], "message_id": str(event["message_id"])}
    return {
        "v": "1",
        "id": f"{event['self_id']}.{chat}.{event['message_id']}",
        "type": f"message.{event['message_type']}",
        "ts": str(event["time"]),
        "account": str(event["self_id"]),
        "epoch": "1",
        "seq": "0",
        "chat": chat,
        "sender": str(event["user_id"]),
        "self": "0",
        "text": text,
        "body": msgpack.packb(body),
    }


async def flood(client: "redis.Redis", prefix: str, socket: ClientConnection) -> None:
    """Carry events to the stream, as many at once as have come."""
    waiting: deque[dict[str, Any]] = deque()
    filled = asyncio.Event()

    async def receive() -> None:
        async for raw in socket:
            if (fields := entry(raw if isinstance(raw, bytes) else raw.encode())) is not None:
                waiting.append(fields)
                filled.set()

    receiving = asyncio.ensure_future(receive())
    while not receiving.done():
        await filled.wait()
        filled.clear()
        while waiting:
            async with client.pipeline(transaction=False) as pipe:
                for _ in range(min(COUNT, len(waiting))):
                    pipe.xadd(f"{prefix}:inbound", waiting.popleft())
                await pipe.execute()


async def bridge(client: "redis.Redis", prefix: str, socket: ClientConnection, url: str) -> None:
    """Carry events to one stream and answers from another."""
    # Its own connection: a blocked reader would hold up the writer.
    other = redis.Redis.from_url(url, socket_timeout=10.0, retry=None)

    async def answer() -> None:
        last: Any = "$"
        number = 0
        while True:
            found: Any = await other.xread({f"{prefix}:outbound": last}, count=COUNT, block=BLOCK_MS)
            for last, fields in found[0][1] if found else []:  # noqa: B007 – where to read on
                number += 1
                message = [{"type": "text", "data": {"text": fields[b"text"].decode()}}]
                params = {"user_id": int(fields[b"to"]), "message": message}
                frame = {"action": "send_private_msg", "params": params, "echo": str(number)}
                await socket.send(json.dumps(frame))

    answering = asyncio.ensure_future(answer())
    async for raw in socket:
        if (fields := entry(raw if isinstance(raw, bytes) else raw.encode())) is not None:
            await client.xadd(f"{prefix}:inbound", fields)
    answering.cancel()


async def read(client: "redis.Redis", prefix: str) -> None:
    """Read events, note how old each message is, and answer."""
    stream, seconds = f"{prefix}:inbound", list[float]()
    await client.xgroup_create(stream, "bare", "0", mkstream=True)
    while True:
        answer: Any = await client.xreadgroup("bare", "1", {stream: ">"}, count=COUNT, block=BLOCK_MS)
        entries = answer[0][1] if answer else []
        for _, fields in entries:
            text = fields[b"text"].decode()
            stamp, _, rest = text.partition(" ")
            seconds.append(time.time() - int(stamp) / 1e9)
            await client.xadd(f"{prefix}:outbound", {"to": fields[b"sender"], "text": text})
            if rest == "last":
                print(json.dumps(seconds), flush=True)
                seconds = []
        if entries:
            await client.xack(stream, "bare", *[one for one, _ in entries])


async def main(what: str, url: str, prefix: str, address: str) -> None:
    """Do one of the three until killed."""
    client = redis.Redis.from_url(url, socket_timeout=10.0, retry=None)
    if what == "read":
        await read(client, prefix)
        return
    async with connect(address, max_size=MAX_FRAME, compression=None, proxy=None) as socket:
        await socket.send('{"action":"get_login_info","params":{},"echo":"login"}')
        await (bridge(client, prefix, socket, url) if what == "bridge" else flood(client, prefix, socket))


if __name__ == "__main__":
    what, url, prefix, address = (*sys.argv[1:], "")[:4]
    asyncio.run(main(what, url, prefix, address))
