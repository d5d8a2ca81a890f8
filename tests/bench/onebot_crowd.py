"""An implementation of OneBot whose people talk by command: `python -m tests.bench.onebot_crowd`.

One JSON object a line, as of `tests.bench.traffic`.
"""

import asyncio
import json
import sys
import time
from typing import Any

from tests.onebot_server import OneBotServer

FRIEND = "friend:10001"
GROUP = "group:30001"
TEXT = "明天下午三点在老地方见面, please bring the figures"
# Messages with a picture are prepared in portions: the server resets a client that is far behind.
PORTION = 5_000
# Seconds that a command waits.
PATIENCE = 90.0


class Crowd:
    """The commands."""

    def __init__(self, server: OneBotServer) -> None:
        self._server = server
        self._heard = 0

    async def do(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out one command."""
        match command:
            case {"do": "flood", "count": count}:
                self._server.people.flood(GROUP, count, TEXT)
            case {"do": "fill", "count": count}:
                await self._fill(count)
            case {"do": "talk", "count": count, "rate": rate}:
                await self._talk(count, rate)
            case {"do": "heard", "count": count}:
                return {"seconds": await self._answers(count)}
            case {"do": "polled"}:
                await self._server.wait_actions("get_login_info", 1, PATIENCE)
                return {"time": time.time()}
        return {"ok": True}

    async def _fill(self, count: int) -> None:
        """Write messages, every fourth one with a picture, no faster than they are read."""
        for number in range(count):
            text = {"type": "text", "data": {"text": f"{TEXT} {number}"}}
            picture = {"type": "image", "data": {"file": f"{number % 1_000}.png", "url": self._url(number)}}
            with_picture = number % 4 == 0
            self._server.say(
                GROUP if number % 3 else FRIEND, message=[text, picture] if with_picture else [text]
            )
            if number % PORTION == PORTION - 1:
                await self._drain()

    def _url(self, number: int) -> str:
        return f"https://multimedia.nt.qq.com.cn/download?appid=1406&fileid=f{number}&rkey={'k' * 80}{number}"

    async def _drain(self) -> None:
        while any(one.unsent for one in self._server.hub.connections.values()):  # noqa: ASYNC110 – sockets tell no such event
            await asyncio.sleep(0.01)

    async def _talk(self, count: int, rate: float) -> None:
        start = time.monotonic()
        for number in range(count):
            await asyncio.sleep(start + number / rate - time.monotonic())
            last = number == count - 1
            self._server.say(FRIEND, f"{time.time_ns()} {'last' if last else 'more'}")

    async def _answers(self, count: int) -> list[float]:
        await self._server.wait_received(self._heard + count, PATIENCE)
        fresh = self._server.record.received.after(self._heard, count)
        self._heard += count
        return [one.time - int(one.text.partition(" ")[0]) / 1e9 for one in fresh]


async def main() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with OneBotServer("napcat") as server:
        crowd = Crowd(server)
        print(json.dumps({"origin": server.url}), flush=True)
        while line := await reader.readline():
            print(json.dumps(await crowd.do(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
