"""Proof of adapter/ops/page/pictures.py: the page asks as `qqbus image` does, once for each picture."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgpack
import pytest

from adapter.bus.admin import MonitorClient
from adapter.bus.bus import Bus
from adapter.ops.page.pictures import PictureError, PictureLoader

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n and so on"


@asynccontextmanager
async def loading(bus: Bus, redis_url: str, reply: Any) -> AsyncIterator[tuple[PictureLoader, list[Any]]]:
    """Answer calls for pictures as the lease holder does; the list has the calls."""
    calls: list[Any] = []
    monitor = MonitorClient.from_url(redis_url, bus.keys.prefix)

    async def answer() -> None:
        last: Any = "0"
        while True:
            found: Any = await bus.client.xread({bus.keys("control"): last}, block=500)
            for entry, fields in found[0][1] if found else []:
                last = entry
                calls.append(fields)
                await bus.client.rpush(bus.keys.reply(fields[b"reply"].decode()), msgpack.packb(reply))

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer)
            yield PictureLoader(monitor), calls
            tasks.cancel_scope.cancel()
    finally:
        await monitor.close()


async def test_pages_that_ask_at_once_share_one_call(bus: Bus, redis_url: str) -> None:
    async with loading(bus, redis_url, {"type": "text/html", "body": PNG}) as (loader, calls):
        found = []

        async def load() -> None:
            found.append(await loader.load("5-0", 1))

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(load)
        assert {(one.body, one.media_type) for one in found} == {(PNG, "image/png")}
        assert len(calls) <= 2  # two ask at a time
        await loader.load("5-0", 1)
        assert len(calls) <= 2


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"error": "not supported by onebot"}, "not supported by onebot"),
        ({"type": "image/png", "body": b"<svg onload=alert(1)>"}, "no picture"),
        ({}, "no picture"),
        (7, "not a map"),
    ],
)
async def test_what_is_no_picture_is_refused_and_not_asked_for_again(
    bus: Bus, redis_url: str, reply: Any, words: str
) -> None:
    async with loading(bus, redis_url, reply) as (loader, calls):
        for _ in range(3):
            with pytest.raises(PictureError, match=words):
                await loader.load("5-0", 1)
        assert len(calls) == 1
