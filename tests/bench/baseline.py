"""The floor: what somebody would write by hand who promises nothing. `python -m tests.bench.baseline …`.

`poll` carries polls to a stream, `read` takes them off it, `bridge` does both ways of the adapter, `consume`
is a worker that acknowledges in batches. No spool, no seen ids, no lease, no ledger, no retries.
"""

import asyncio
import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import msgpack
import redis.asyncio as redis

from adapter.events import Address, ChatKind
from adapter.networks.smartqq.client import endpoints
from adapter.networks.smartqq.client.transport import FORM
from adapter.networks.smartqq.protocol.http import Request
from adapter.networks.smartqq.session.credentials import Credentials
from adapter.networks.smartqq.session.store import SessionStore

COUNT, BLOCK_MS = 100, 500
CONSUME = 500  # as many as our own worker reads at a time


def headers(tokens: Credentials, request: Request) -> dict[str, str]:
    """Return the parameters that the poll of upstream needs."""
    return {
        "Host": request.url.split("/")[2],
        "Referer": request.referer,
        "Origin": request.origin,
        "Cookie": tokens.jar.header(request.url, time.time()),
        "Content-Type": FORM,
    }


async def poll(client: "redis.Redis", prefix: str, http: httpx.AsyncClient, tokens: Credentials) -> None:
    """Long polls into a stream, for ever."""
    request = endpoints.poll(tokens)
    head, body = headers(tokens, request), request.body
    stream = f"{prefix}:inbound"
    while True:
        answer = await http.post("/channel/poll2", content=body, headers=head)
        items = answer.json().get("result") or ()
        entries = [{"type": item["poll_type"], "body": json.dumps(item["value"])} for item in items]
        if len(entries) == 1:
            await client.xadd(stream, entries[0])
        elif entries:
            async with client.pipeline(transaction=False) as pipe:
                for entry in entries:
                    pipe.xadd(stream, entry)
                await pipe.execute()


async def read(client: "redis.Redis", prefix: str) -> None:
    """Read events, note how old each message is, and answer where asked to."""
    stream, seconds = f"{prefix}:inbound", list[float]()
    echo = "echo" in sys.argv
    await client.xgroup_create(stream, "bare", "0", mkstream=True)
    while True:
        answer: Any = await client.xreadgroup("bare", "1", {stream: ">"}, count=COUNT, block=BLOCK_MS)
        entries = answer[0][1] if answer else []
        for _, fields in entries:
            now = time.time_ns()
            value = json.loads(fields[b"body"])
            stamp, _, rest = value["content"][1].partition(" ")
            seconds.append((now - int(stamp)) / 1e9)
            if echo:
                reply = {"to": value["from_uin"], "text": value["content"][1]}
                await client.xadd(f"{prefix}:outbound", reply)
            if rest == "last":
                print(json.dumps(seconds), flush=True)
                seconds = []
        if entries:
            await client.xack(stream, "bare", *[entry for entry, _ in entries])


async def outbound(client: "redis.Redis", prefix: str, http: httpx.AsyncClient, tokens: Credentials) -> None:
    """Send requests from a stream to upstream, for ever."""
    numbers = itertools.count(1)
    last: Any = "0"
    while True:
        answer: Any = await client.xread({f"{prefix}:outbound": last}, count=COUNT, block=BLOCK_MS)
        for last, fields in answer[0][1] if answer else []:
            await post(http, tokens, fields[b"to"].decode(), fields[b"text"].decode(), next(numbers))
            await client.xadd(f"{prefix}:results", {"entry": last, "status": "sent"})


async def post(http: httpx.AsyncClient, tokens: Credentials, to: str, text: str, number: int) -> None:
    """One message to a friend's momentary number."""
    font = ["font", {"name": "宋体", "size": 10, "style": [0, 0, 0], "color": "000000"}]
    content = json.dumps([text, font], ensure_ascii=False)
    request = endpoints.send(tokens, Address(ChatKind.FRIEND, to), content, number)
    answer = await http.post(
        request.url.partition("qq.com")[2], content=request.body, headers=headers(tokens, request)
    )
    assert answer.json()["errCode"] == 0, answer.text


async def consume(client: "redis.Redis", prefix: str) -> None:
    """Unpack entries, do nothing with them, and acknowledge with the next trip."""
    stream, done = f"{prefix}:inbound", list[bytes]()
    name = f"bare-{os.getpid()}"
    while True:
        if done:
            async with client.pipeline(transaction=False) as pipe:
                pipe.xack(stream, "bench", *done)
                pipe.xreadgroup("bench", name, {stream: ">"}, count=CONSUME)
                _, answer = await pipe.execute()
        else:
            answer = await client.xreadgroup("bench", name, {stream: ">"}, count=CONSUME, block=BLOCK_MS)
        entries = answer[0][1] if answer else []
        for _, fields in entries:
            await nothing({**fields, b"body": msgpack.unpackb(fields[b"body"])})
        done = [entry for entry, _ in entries]


async def nothing(_: object) -> None:
    """Handle nothing."""


def session(folder: Path) -> Credentials:
    """Return the login that an adapter left in its folder."""
    return SessionStore(folder).load(time.time())


def web(origin: str) -> httpx.AsyncClient:
    """Open a bare client of one origin."""
    return httpx.AsyncClient(base_url=origin, timeout=120.0)


async def main(what: str, url: str, prefix: str, origin: str, folder: Path) -> None:
    """One of the four, until killed."""
    client = redis.Redis.from_url(url, socket_timeout=10.0, retry=None)
    if what == "read":
        await read(client, prefix)
    elif what == "consume":
        await consume(client, prefix)
    else:
        async with web(origin) as http, asyncio.TaskGroup() as tasks:
            tasks.create_task(poll(client, prefix, http, session(folder)))
            if what == "bridge":
                # Its own connection: a blocked reader would hold up whoever shares it.
                other = redis.Redis.from_url(url, socket_timeout=10.0, retry=None)
                tasks.create_task(outbound(other, prefix, http, session(folder)))


if __name__ == "__main__":
    what, url, prefix, origin, folder = (*sys.argv[1:], "", "", "")[:5]
    asyncio.run(main(what, url, prefix, origin, Path(folder)))
