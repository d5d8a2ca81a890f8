"""Proof of adapter/ops/page/broadcaster.py and sse.py: bounded queues, and a page on a real connection."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
import uvicorn
from anyio.abc import SocketStream
from starlette.types import Receive, Scope, Send

from adapter.ops.page import sse
from adapter.ops.page.broadcaster import (
    MAX_PAGES,
    MAX_QUEUED,
    MAX_QUEUED_BYTES,
    Broadcaster,
    Subscriber,
)
from adapter.ops.page.sse import PageStream
from adapter.ops.page.state import PageState, message
from tests.support.helpers import wait_until

pytestmark = pytest.mark.anyio

NEWS = message("news", {"events": []})


def opened(count: int = 1) -> tuple[PageState, Broadcaster, list[Subscriber]]:
    """Pages that have not had their snapshot, which is ready."""
    state = PageState()
    state.ready = True
    broadcaster = Broadcaster(state)
    pages = [page for _ in range(count) if (page := broadcaster.join()) is not None]
    assert len(pages) == count
    return state, broadcaster, pages


async def take(page: Subscriber, count: int = 1) -> list[str]:
    """Return the kinds of the next messages."""
    found: list[str] = []
    messages = page.messages()
    with anyio.fail_after(10):
        while len(found) < count:
            found += [
                line.removeprefix("event: ")
                for line in (await anext(messages)).decode().split("\n")
                if line.startswith("event: ")
            ]
    return found


async def test_a_page_gets_a_snapshot_first_and_then_the_changes() -> None:
    _, broadcaster, (page,) = opened()
    broadcaster.publish(message("early", 1))
    assert await take(page, 2) == ["all", "clock"]
    broadcaster.publish(NEWS)
    assert await take(page) == ["news"]


async def test_a_page_waits_for_the_first_snapshot() -> None:
    state, broadcaster, (page,) = opened()
    state.ready = False
    async with anyio.create_task_group() as tasks:
        found: list[str] = []

        async def read() -> None:
            found.extend(await take(page, 2))

        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        assert found == []
        state.ready = True
        broadcaster.resync()
    assert found == ["all", "clock"]


@pytest.mark.parametrize(
    ("data", "count"), [(NEWS, MAX_QUEUED), (message("news", "x" * 100_000), MAX_QUEUED_BYTES // 100_000)]
)
async def test_a_page_that_falls_behind_begins_again_and_the_others_do_not(data: bytes, count: int) -> None:
    _, broadcaster, (slow, quick) = opened(2)
    for page in (slow, quick):
        await take(page, 2)
    for _ in range(count):
        broadcaster.publish(data)
    assert await take(quick, count) == ["news"] * count
    broadcaster.publish(data)
    broadcaster.publish(data)
    assert await take(slow, 2) == ["all", "clock"], "what was queued is dropped"
    assert await take(quick, 2) == ["news", "news"]
    broadcaster.publish(NEWS)
    assert await take(slow) == ["news"]


async def test_there_is_an_end_to_open_pages() -> None:
    _, broadcaster, pages = opened(MAX_PAGES)
    assert broadcaster.join() is None
    broadcaster.leave(pages[0])
    assert broadcaster.join() is not None
    broadcaster.close()
    broadcaster.leave(pages[1])
    assert broadcaster.join() is None
    assert [kind async for kind in pages[2].messages()] == []


# --- on a connection ---------------------------------------------------------------------------


@asynccontextmanager
async def connected(broadcaster: Broadcaster) -> AsyncIterator[SocketStream]:
    """Serve a page by a real server and ask for it over HTTP."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        subscriber = broadcaster.join()
        assert subscriber is not None
        await PageStream(broadcaster, subscriber)(scope, receive, send)

    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none", loop="none"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            async with await anyio.connect_tcp(*listener.getsockname()) as stream:
                await stream.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                yield stream
            broadcaster.close()
            server.should_exit = True


async def receive_until(stream: SocketStream, wanted: bytes, count: int = 1) -> bytes:
    got = b""
    with anyio.fail_after(20):
        while got.count(wanted) < count:
            got += await stream.receive()
    return got


async def test_a_page_that_was_slow_begins_again_when_it_takes_again() -> None:
    _, broadcaster, _ = opened(0)
    async with connected(broadcaster) as stream:
        got = await receive_until(stream, b"event: clock")
        assert got.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"content-type: text/event-stream" in got.lower()
        news = message("news", "x" * 100_000)
        for _ in range(200):  # more than the system keeps for a connection
            broadcaster.publish(news)
            await anyio.lowlevel.checkpoint()
        await receive_until(stream, b"event: all")
        broadcaster.publish(message("last", 1))
        await receive_until(stream, b"event: last")
        broadcaster.close()
        await receive_until(stream, b"0\r\n\r\n")


async def test_a_page_that_takes_nothing_gives_up_its_place(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sse, "SEND_TIMEOUT", 0.2)
    _, broadcaster, _ = opened(0)
    async with connected(broadcaster) as stream:
        await receive_until(stream, b"event: clock")
        news = message("news", "x" * 100_000)

        def is_free() -> bool:
            broadcaster.publish(news)
            return not len(broadcaster)

        await wait_until(is_free, "its place is free")
    assert "Traceback" not in caplog.text


async def test_a_page_that_goes_gives_up_its_place() -> None:
    state, broadcaster, _ = opened(0)
    state.set("status", {"state": "online"})
    async with connected(broadcaster) as stream:
        got = await receive_until(stream, b"event: clock")
        assert json.dumps({"state": "online"}, separators=(",", ":")).encode() in got
        await stream.aclose()
        await wait_until(lambda: not len(broadcaster), "its place is free")
