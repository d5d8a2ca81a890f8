"""Echo, as a real process on a real server."""

import msgpack
import pytest

from adapter.content import Face, Image, Text
from tests.support.bus_events import desk_at, message, program
from tests.support.helpers import wait_until

pytestmark = pytest.mark.anyio


async def test_what_is_said_comes_back_piece_by_piece_under_a_stable_id(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk, program(desk, "-m", "consumers.echo") as echo:
        said = message((Text("hi 😀 [not a face]"), Face(14, "微笑"), Image("cface")))
        await desk.publish(said, message("me again", own=True))
        await wait_until(lambda: desk.all_done("echo"), "both acknowledged")
        (row,) = await desk.rows("outbound")
        assert row["to"] == b"group:2"
        assert row["id"].decode() == f"echo/{said.id}"
        assert row["cause"].decode() == said.id
        assert msgpack.unpackb(row["body"])["segments"] == [
            {"type": "text", "data": {"text": "hi 😀 [not a face]"}},
            {"type": "face", "data": {"id": 14, "name": "微笑"}},
            {"type": "text", "data": {"text": "[图片]"}},
        ]
        echo.terminate()
        assert await echo.ended() == 0
