"""A bare bot at a gateway: `python -m tests.bench.gateway_bot URL`; it reads frames and does nothing with them.

One JSON value a line on standard input is a number of events. It tells when it has had them.
"""

import asyncio
import json
import sys

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

MAX_FRAME = 16 * 1024 * 1024


async def count(socket: ClientConnection, number: int) -> None:
    """Read until this number of events has come; heartbeats are none."""
    while number:
        frame = await socket.recv(decode=False)
        number -= b'"post_type":"message"' in frame


async def connected(url: str) -> ClientConnection:
    """Connect once the gateway listens."""
    while True:
        try:
            return await connect(url, max_size=MAX_FRAME, compression=None, proxy=None)
        except (OSError, InvalidStatus):
            await asyncio.sleep(0.1)


async def main(url: str) -> None:
    """Serve until standard input ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with await connected(url) as socket:
        await socket.recv()
        print(json.dumps({"ready": True}), flush=True)
        while line := await reader.readline():
            await count(socket, json.loads(line))
            print(json.dumps({"ok": True}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
