"""Prove messages/media.py: pictures of messages, fetched on request."""

from pathlib import Path
from typing import Any

import pytest

from adapter.content import Image
from adapter.errors import ProtocolError
from adapter.events import Message
from tests.simulator import PICTURE, Simulator
from tests.simulator import Answer as Scripted
from tests.support.smartqq_harness import Listener, online

pytestmark = pytest.mark.anyio


async def received(
    sim: Simulator, listener: Listener, chat: str, element: list[Any]
) -> tuple[Image, Message]:
    sim.say(chat, content=[element])
    message = await listener.first(Message)
    (image,) = [segment for segment in message.segments if isinstance(segment, Image)]
    return image, message


@pytest.mark.parametrize("chat", ["friend:10001", "group:123456789", "discuss:1664012345"])
async def test_a_picture_in_a_message_can_be_fetched(chat: str, tmp_path: Path) -> None:
    async with Simulator("e1") as sim, online(sim, tmp_path) as listener:
        image, message = await received(sim, listener, chat, [PICTURE, "holiday.png"])
        picture = await listener.upstream.fetch_image(image, message.upstream)
        assert (picture.content_type, picture.body[:4]) == ("image/png", b"\x89PNG")


async def test_a_listed_picture_can_be_fetched(tmp_path: Path) -> None:
    async with Simulator("e1") as sim, online(sim, tmp_path) as listener:
        sim.network.pictures["A47C.jpg"] = "stored"
        image, message = await received(sim, listener, "friend:10001", ["cface", "A47C.jpg", ""])
        assert (await listener.upstream.fetch_image(image, message.upstream)).content_type == "image/png"


@pytest.mark.parametrize(
    "answer",
    [
        Scripted(json={"retcode": 103, "errmsg": ""}),
        Scripted(status=404),
        Scripted(status=302, body=b"", headers={"Location": "file:///etc/passwd"}),
        Scripted(status=302, body=b"", headers={"Location": "http://127.0.0.1:1/latest/meta-data/iam"}),
        Scripted(status=302, body=b"", headers={"Location": "http://169.254.169.254/latest/meta-data"}),
        Scripted(status=302, body=b"", headers={"Location": "http://[::1]:1/qq.com"}),
        Scripted(status=302, body=b"", headers={"Location": "http://evil-qq.com/a.png"}),
        Scripted(status=302, body=b"", headers={"Location": "http://p.qq.com.evil.example/a.png"}),
        Scripted(status=302, body=b"", headers={"Location": "http://p.qq.com@evil.example/a.png"}),
        Scripted(body=b"<html>", headers={"Content-Type": "text/html"}),
    ],
    ids=str,
)
async def test_what_is_no_picture_is_an_error(answer: Scripted, tmp_path: Path) -> None:
    async with Simulator("e1") as sim, online(sim, tmp_path) as listener:
        image, message = await received(sim, listener, "friend:10001", [PICTURE])
        sim.next_answer("/channel/get_offpic2", answer)
        with pytest.raises(ProtocolError):
            await listener.upstream.fetch_image(image, message.upstream)


@pytest.mark.parametrize("host", ["p.qpic.cn", "gchat.qpic.cn", "q1.gtimg.cn", "web2.qq.com", "127.0.0.1"])
async def test_a_redirect_to_a_storage_host_is_followed(host: str, tmp_path: Path) -> None:
    async with Simulator("e1") as sim, online(sim, tmp_path) as listener:
        image, message = await received(sim, listener, "friend:10001", [PICTURE])
        sim.next_answer(
            "/channel/get_offpic2",
            Scripted(status=302, body=b"", headers={"Location": f"http://{host}/x.png"}),
        )
        sim.next_answer("/x.png", Scripted(body=b"\x89PNG", headers={"Content-Type": "image/png"}))
        picture = await listener.upstream.fetch_image(image, message.upstream)
        assert picture.body == b"\x89PNG"


async def test_a_picture_that_upstream_kept_cannot_be_fetched(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        image, message = await received(sim, listener, "group:123456789", [PICTURE])
        assert image == Image("missing")
        with pytest.raises(ProtocolError, match="does not say"):
            await listener.upstream.fetch_image(image, message.upstream)


async def test_the_status_can_be_changed(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        await listener.upstream.set_presence("busy")
        assert sim.world.me.status == "busy"
        with pytest.raises(ProtocolError, match="not one of"):
            await listener.upstream.set_presence("asleep")
        sim.next_answer("/channel/change_status2", Scripted(json={"retcode": 100001, "errmsg": "no"}))
        with pytest.raises(ProtocolError, match="100001 no"):
            await listener.upstream.set_presence("online")
