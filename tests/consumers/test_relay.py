"""The bridge between two chats, which carries nothing it has carried itself."""

import msgpack
import pytest

from adapter import read_segment, render
from adapter.content import Face, Image, Text
from tests.support.bus_events import Desk, desk_at, message, program
from tests.support.helpers import wait_until

pytestmark = pytest.mark.anyio

LINE = ("-m", "consumers.relay", "group:1", "group:2", "--ignore", "66")


async def _carried(desk: Desk) -> list[tuple[str, str]]:
    rows = await desk.rows("outbound")
    segments = [msgpack.unpackb(row["body"])["segments"] for row in rows]
    texts = [render(tuple(read_segment(each) for each in pieces)) for pieces in segments]
    return [(row["to"].decode(), text) for row, text in zip(rows, texts, strict=True)]


async def test_each_side_hears_the_other_and_nobody_else(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk, program(desk, *LINE):
        await wait_until(lambda: desk.has_group("relay"), "the group")
        one = message((Text("hi "), Face(14, "微笑"), Image("cface")), "group:1")
        await desk.publish(one, message("back", "group:2"), message("elsewhere", "group:3"))
        await wait_until(lambda: desk.all_done("relay"), "all acknowledged")
        assert sorted(await _carried(desk)) == [
            ("group:1", "the sender: back"),
            ("group:2", "the sender: hi [微笑][图片]"),
        ]
        first = next(row for row in await desk.rows("outbound") if row["to"] == b"group:2")
        assert (first["id"].decode(), first["cause"].decode()) == (f"relay/{one.id}", one.id)
        assert msgpack.unpackb(first["body"])["segments"][2] == {
            "type": "face",
            "data": {"id": 14, "name": "微笑"},
        }


async def test_nothing_goes_round_in_circles(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk, program(desk, *LINE):
        await wait_until(lambda: desk.has_group("relay"), "the group")
        await desk.publish(message("hello", "group:1"))
        await wait_until(lambda: desk.all_done("relay"), "carried")
        assert await _carried(desk) == [("group:2", "the sender: hello")]
        await desk.publish(
            message("the sender: hello", "group:2", own=True),  # the echo, marked
            message("the sender:  hello ", "group:2"),  # not marked, and with other blanks
            message("I am the account", "group:2", "10001"),
            message("I am another bot", "group:2", "66"),
        )
        await wait_until(lambda: desk.all_done("relay"), "all acknowledged")
        assert len(await _carried(desk)) == 1
        await desk.publish(message("the sender: hello", "group:1"))
        await wait_until(lambda: desk.all_done("relay"), "all acknowledged")
        assert (await _carried(desk))[1] == ("group:2", "the sender: the sender: hello")


async def test_a_bridge_needs_two_chats(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        for line in (("group:1", "group:1"), ("group:1", "room:2"), ("group:1",)):
            async with program(desk, "-m", "consumers.relay", *line) as relay:
                assert await relay.ended() == 2
