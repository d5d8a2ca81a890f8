"""Proof of the parts of adapter/ops/page that need no network: access, hub, board, views."""

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from adapter.codec.inbound import pack
from adapter.ops.page.auth import COOKIE, COOKIE_SECONDS, PageAuth, access, csrf_error, is_loopback
from adapter.ops.page.broadcaster import MAX_PAGES, SLICE, Broadcaster, Subscriber
from adapter.ops.page.sse import EventStream
from adapter.ops.page.state import EVENTS, PageState, message
from adapter.ops.page.transport import BEHIND, Line, Protocol, frame
from adapter.ops.page.views import (
    LONG_BODY,
    event_view,
    letter_fields,
    letter_view,
    media_type,
    request_view,
    session_view,
)

TOKEN = "correct-horse-battery"


def cookie(rules: PageAuth, now: float) -> dict[str, str]:
    return {"cookie": rules.cookie(now, secure=False).partition(";")[0]}


def test_a_cookie_is_good_until_it_ends_and_for_its_token_alone() -> None:
    rules = PageAuth(TOKEN)
    given = cookie(rules, 1_000.0)
    assert rules.is_authenticated(given, 1_000.0)
    assert rules.is_authenticated(given, 999.0 + COOKIE_SECONDS)
    assert not rules.is_authenticated(given, 1_001.0 + COOKIE_SECONDS)
    assert not PageAuth(TOKEN + "2").is_authenticated(given, 1_000.0)


@pytest.mark.parametrize(
    "value", ["", "x", "9999999999", "9999999999.", "9999999999.abc", "١٢٣٤.abc", "1e9.x", "é"]
)
def test_an_invented_cookie_opens_nothing(value: str) -> None:
    assert not PageAuth(TOKEN).is_authenticated({"cookie": f"{COOKIE}={value}"}, 0.0)


def test_a_cookie_cannot_be_made_to_last_longer() -> None:
    rules = PageAuth(TOKEN)
    until, _, seal = cookie(rules, 0.0)["cookie"].partition("=")[2].partition(".")
    assert not rules.is_authenticated({"cookie": f"{COOKIE}={int(until) + 1}.{seal}"}, 0.0)


def test_a_program_with_the_token_needs_no_origin() -> None:
    assert csrf_error({"authorization": f"Bearer {TOKEN}"}) == ""
    assert csrf_error({"host": "127.0.0.1:1", "x-qqbus": "1"}) != ""


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("192.0.2.1", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, loopback: bool, tmp_path: Path) -> None:  # noqa: FBT001
    assert is_loopback(host) is loopback
    rules, file = access(host, "", tmp_path)
    assert bool(rules.token) is not loopback
    assert (file is None) is loopback


# --- hub ---------------------------------------------------------------------------------------


@dataclass
class Tab:
    """A seat of the hub, on a real connection, and the other end of it."""

    seat: Subscriber
    transport: asyncio.Transport
    peer: socket.socket

    def took(self) -> bytes:
        """What has come by now."""
        with suppress(BlockingIOError):
            return self.peer.recv(1 << 20)
        return b""


@asynccontextmanager
async def opened(hub: Broadcaster, count: int = 1, version: str = "1.1") -> AsyncIterator[list[Tab]]:
    """So many pages that have had their picture."""
    async with AsyncExitStack() as stack:
        tabs = []
        for _ in range(count):
            near, far = socket.socketpair()
            stack.enter_context(far).setblocking(False)
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
            stack.callback(transport.abort)
            seat = hub.join(Line({"http_version": version, "extensions": {"qqbus.transport": transport}}))
            assert seat is not None
            seat.stale = False
            tabs.append(Tab(seat, transport, far))
        yield tabs


@pytest.mark.anyio
async def test_a_slow_page_is_passed_over() -> None:
    hub = Broadcaster()
    async with opened(hub, 2) as (quick, slow):
        while not slow.seat.line.behind():
            slow.transport.write(bytes(BEHIND))
        await hub.publish(b"one")
        assert slow.seat.stale
        assert await slow.seat.bell.wait(0), "it is told to see to its picture"
        while slow.transport.get_write_buffer_size():
            slow.took()
            await anyio.lowlevel.checkpoint()
        await hub.publish(b"two")
        assert quick.took() == frame(b"one") + frame(b"two")
        assert not slow.took().strip(b"\0"), "no news before the picture"


@pytest.mark.anyio
async def test_all_pages_are_told_and_way_is_given_between_them() -> None:
    hub, told = Broadcaster(), [0]
    async with opened(hub, 3 * SLICE) as tabs, anyio.create_task_group() as tasks:

        async def meanwhile() -> None:
            while told[-1] < len(tabs):
                told.append(told[-1] + sum(tab.took() == frame(b"news") for tab in tabs))
                await anyio.lowlevel.checkpoint()

        tasks.start_soon(meanwhile)
        await hub.publish(b"news")
    assert max(later - earlier for earlier, later in itertools.pairwise(told)) <= SLICE


@pytest.mark.anyio
async def test_a_page_that_has_not_begun_or_has_gone_gets_no_news() -> None:
    hub = Broadcaster()
    async with opened(hub, 2) as (fresh, gone):
        fresh.seat.stale = True
        gone.transport.close()
        await hub.publish(b"news")
        assert fresh.took() == gone.took() == b""


@pytest.mark.anyio
async def test_a_page_behind_an_old_proxy_is_told_without_chunks() -> None:
    hub = Broadcaster()
    async with opened(hub, version="1.0") as (tab,):
        await hub.publish(b"news")
        tab.seat.line.tell(b" more")
        assert tab.took() == b"news more"


@pytest.mark.anyio
async def test_there_is_an_end_to_open_pages() -> None:
    hub = Broadcaster()
    async with opened(hub, MAX_PAGES) as tabs:
        assert hub.join(tabs[0].seat.line) is None
        hub.leave(tabs[0].seat)
        assert hub.join(tabs[0].seat.line) is not None


@pytest.mark.anyio
async def test_a_page_that_was_slow_starts_afresh_when_it_takes_again() -> None:
    hub, board = Broadcaster(), PageState()
    board.ready = True
    seats: list[Subscriber] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seat = hub.join(Line(scope))
        assert seat is not None
        seats.append(seat)
        await EventStream(hub, seat, board)(scope, receive, send)

    config = uvicorn.Config(app, http=Protocol, log_config=None, lifespan="off", ws="none", loop="none")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            async with await anyio.connect_tcp(*listener.getsockname()) as stream:
                await stream.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                got = await stream.receive()
                while b"event: clock" not in got:
                    got += await stream.receive()
                news = message("news", "x" * 100_000)
                while not seats[0].stale:
                    await hub.publish(news)
                while got.count(b"event: all") < 2:
                    got += await stream.receive()
                hub.close()
                while not got.endswith(b"\r\n0\r\n\r\n"):
                    got += await stream.receive()
            server.should_exit = True


# --- board -------------------------------------------------------------------------------------


def read(event: bytes) -> Any:
    kind, data = event.decode().strip().split("\n")
    assert kind.startswith("event: ")
    return json.loads(data.removeprefix("data: "))


def test_the_same_again_is_no_news() -> None:
    board = PageState()
    board.set("status", {"state": "online"})
    board.add("events", [{"entry": "1-0"}])
    assert read(board.delta()) == {"status": {"state": "online"}, "events": [{"entry": "1-0"}]}
    board.set("status", {"state": "online"})
    assert board.delta() == b""
    assert read(board.snapshot())["events"] == [{"entry": "1-0"}]


def test_the_picture_is_bounded() -> None:
    board = PageState()
    for number in range(EVENTS * 3):
        board.add("events", [{"entry": f"{number}-0"}])
    assert len(read(board.snapshot())["events"]) == EVENTS


def test_a_graph_tells_only_its_newest_rows() -> None:
    board = PageState()
    board.grow("trend", [[10, 1], [20, 1]], since=0)
    board.delta()
    board.grow("trend", [[10, 1], [20, 2]], since=20)
    assert read(board.delta()) == {"trend": [[20, 2]]}
    assert read(board.snapshot())["trend"] == [[10, 1], [20, 2]]


def test_a_message_is_one_event_whatever_is_in_it() -> None:
    event = message("news", {"text": "a\n\nevent: all\ndata: {}\r\u2028\ud800"})
    assert event.count(b"\n") == 3
    assert event.decode().startswith("event: news\ndata: {")


# --- views -------------------------------------------------------------------------------------


def test_an_event_that_cannot_be_read_is_shown_with_the_reason() -> None:
    view = event_view("1-0", {b"v": b"9", b"type": b"message.friend", b"text": b"\xff\xfe"})
    assert "v is not 1" in view["note"]
    assert view["text"] == "\ufffd\ufffd"
    assert event_view("1-0", {})["type"] == ""


def test_a_request_is_shown_as_it_will_be_read() -> None:
    body = pack(
        {"segments": [{"type": "text", "data": {"text": "hi"}}, {"type": "face", "data": {"id": 14}}]}
    )
    assert request_view("1000-0", {b"to": b"friend:1", b"body": body}, "qq")["text"].startswith("hi[")
    assert "is not one of" in request_view("1-0", {b"to": b"moon", b"text": b"x"}, "qq")["note"]
    long = request_view("1-0", {b"to": b"friend:1", b"body": b"{" * (LONG_BODY + 1)}, "qq")
    assert long["note"] == "long content"


def test_a_session_is_told_without_its_picture_and_its_link() -> None:
    view = session_view("1-0", {b"state": b"qr", b"png": b"PNG", b"text": b"https://x", b"expires": b"soon"})
    assert view["picture"] is True
    assert set(view) == {"state", "reason", "detail", "time", "expires", "entry", "picture"}
    assert session_view("1-0", {b"state": b"online", b"png": b"PNG"})["picture"] is False


def test_a_dead_letter_that_cannot_be_read_is_shown_and_not_redriven() -> None:
    broken = {b"reason": b"poison", b"stream": b"qq:inbound", b"fields": b"\xc1"}
    assert letter_view("1-0", broken)["reason"] == "poison"
    assert letter_fields(broken) == []


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"<svg onload=x>", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_a_picture_is_only_what_it_is(head: bytes, kind: str) -> None:
    assert media_type(head) == kind
