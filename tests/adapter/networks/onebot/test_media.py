"""Prove adapter/networks/onebot/media.py: pictures come from known hosts alone, within a bound."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from adapter.content import Image
from adapter.errors import ProtocolError, TransportError
from adapter.networks.onebot.media import MAX_PICTURE_BYTES, PictureClient
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n"


@asynccontextmanager
async def pictures() -> AsyncIterator[str]:
    """Serve pictures on a port; yields the origin."""

    async def small(_: web.Request) -> web.Response:
        return web.Response(body=PNG, content_type="image/png")

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=bytes(MAX_PICTURE_BYTES + 1), content_type="image/png")

    async def moved(_: web.Request) -> web.Response:
        raise web.HTTPFound("/small")

    async def astray(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://169.254.169.254/latest")

    async def endless(_: web.Request) -> web.Response:
        raise web.HTTPFound("/endless")

    app = web.Application()
    for handler in (small, large, moved, astray, endless):
        app.router.add_get(f"/{handler.__name__}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await runner.cleanup()


async def test_a_picture_of_the_implementation_is_fetched_also_where_it_was_moved() -> None:
    client = PictureClient("ws://127.0.0.1:3001/")
    async with pictures() as origin:
        for path in ("small", "moved"):
            picture = await client.fetch(Image(url=f"{origin}/{path}"))
            assert (picture.content_type, picture.body) == ("image/png", PNG)


@pytest.mark.parametrize(
    ("path", "words"),
    [("large", "larger than"), ("astray", "none of Tencent"), ("endless", "without an end"), ("none", "404")],
)
async def test_what_is_too_large_or_elsewhere_is_refused(path: str, words: str) -> None:
    async with pictures() as origin:
        with pytest.raises(ProtocolError, match=words):
            await PictureClient("ws://127.0.0.1:3001/").fetch(Image(url=f"{origin}/{path}"))


@pytest.mark.parametrize(
    "url", ["", "http://10.0.0.1/", "file:///etc/passwd", "https://qq.com.example.org/", "ftp://x.qq.com/"]
)
async def test_an_address_that_a_stranger_made_up_is_not_asked(url: str) -> None:
    with pytest.raises(ProtocolError, match="no address at Tencent"):
        await PictureClient("ws://127.0.0.1:3001/").fetch(Image(url=url))


async def test_an_error_names_no_signature() -> None:
    url = f"http://127.0.0.1:{free_port()}/x?rkey=secret"
    with pytest.raises(TransportError) as caught:
        await PictureClient("ws://127.0.0.1:3001/").fetch(Image(url=url))
    assert "secret" not in str(caught.value)
