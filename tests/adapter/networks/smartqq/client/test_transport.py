"""Prove client/transport.py: requests, aborted polls, and an answer that has begun."""

import gzip
import socket
import zlib
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest

from adapter.content import render
from adapter.errors import TransportError
from adapter.events import Message, UpstreamEvent
from adapter.networks.smartqq.client.transport import HttpTransport
from adapter.networks.smartqq.protocol.http import Request, Response
from adapter.networks.smartqq.session.cookies import Jar
from adapter.networks.smartqq.upstream import SmartQQUpstream
from tests.simulator import Simulator
from tests.support.helpers import wait_until
from tests.support.smartqq_harness import FAST, config, online

pytestmark = pytest.mark.anyio


async def slowly(stream: anyio.abc.SocketStream, begun: anyio.Event, go_on: anyio.Event) -> None:
    """Answer a poll: the headers at once, the body when told to."""
    body = b'{"retcode":0,"result":[]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nSet-Cookie: skey=@a; Domain=qq.com\r\n\r\n" % len(body)
    async with stream:
        await stream.receive()
        await stream.send(head)
        begun.set()
        await go_on.wait()
        await stream.send(body)


def origin(listener: anyio.abc.Listener[Any]) -> str:
    """Where this listener listens."""
    port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 – not Django's
    return f"http://127.0.0.1:{port}"


POLL = Request("POST", "https://d1.web2.qq.com/channel/poll2", form=(("r", "{}"),), long_poll=True)


async def test_an_answer_that_has_begun_is_read_to_its_end_whatever_happens() -> None:
    begun, go_on, found = anyio.Event(), anyio.Event(), list[Response | None]()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    client = HttpTransport(Jar(), FAST, lambda: 0.0, origin(listener))

    async def poll(scope: anyio.CancelScope) -> None:
        with scope:
            found.append(await client.long_poll(POLL))

    async with client, listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, lambda stream: slowly(stream, begun, go_on))
        scope = anyio.CancelScope()
        group.start_soon(poll, scope)
        await begun.wait()
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        client.abort_poll()
        go_on.set()
        await wait_until(lambda: found, "the answer")
        group.cancel_scope.cancel()
    assert found[0] is not None
    assert found[0].body == b'{"retcode":0,"result":[]}'
    assert client.jar.get("skey", "qq.com") == "@a"


async def hung_up(answer: bytes) -> tuple[Response | None, float]:
    """Abort a poll that upstream had answered with this at that moment; return it and after how long."""
    asked, found = anyio.Event(), list[Response | None]()

    async def on_its_way(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            asked.set()
            with suppress(anyio.EndOfStream):
                await stream.receive()
            if not answer:
                await anyio.sleep_forever()
            await stream.send(answer)

    async def poll() -> None:
        found.append(await client.long_poll(POLL))

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    client = HttpTransport(Jar(), replace(FAST, abort_grace=0.1), lambda: 0.0, origin(listener))
    async with client, listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, on_its_way)
        group.start_soon(poll)
        await asked.wait()
        began = anyio.current_time()
        assert client.abort_poll()
        await wait_until(lambda: found, "the end of the poll")
        group.cancel_scope.cancel()
    return found[0], anyio.current_time() - began


async def test_an_answer_on_its_way_is_taken_by_a_poll_that_is_hung_up() -> None:
    answer, _ = await hung_up(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert answer is not None
    assert answer.body == b"{}"


async def test_a_poll_that_is_hung_up_ends_with_the_connection() -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    asked = anyio.Event()

    async def silent(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            asked.set()
            with suppress(anyio.EndOfStream):
                await stream.receive()

    async def cut() -> None:
        await asked.wait()
        client.abort_poll()

    client = HttpTransport(Jar(), FAST, lambda: 0.0, origin(listener))
    async with client, listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, silent)
        group.start_soon(cut)
        with anyio.fail_after(10):
            assert await client.long_poll(POLL) is None
        group.cancel_scope.cancel()


async def test_a_poll_that_is_hung_up_does_not_wait_for_ever() -> None:
    answer, seconds = await hung_up(b"")
    assert answer is None
    assert seconds >= 0.1


async def test_two_cuts_one_after_the_other_cost_no_answer() -> None:
    """Upstream has answered and gone; before that is read, two tasks hang up."""
    found = list[Response | None]()

    async def poll() -> None:
        found.append(await client.long_poll(POLL))

    with socket.create_server(("127.0.0.1", 0)) as server:
        client = HttpTransport(Jar(), FAST, lambda: 0.0, f"http://127.0.0.1:{server.getsockname()[1]}")
        async with client, anyio.create_task_group() as group:
            group.start_soon(poll)
            await anyio.wait_readable(server)
            upstream, asked = server.accept()[0], b""
            while not asked.endswith(b"r=%7B%7D"):
                await anyio.wait_readable(upstream)
                asked += upstream.recv(65536)
            # No other task has a turn from here on.
            upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            upstream.close()
            assert client.abort_poll()
            assert client.abort_poll()
    assert found[0] is not None
    assert found[0].body == b"{}"


async def test_what_was_hung_up_is_not_asked_again() -> None:
    """A gateway is slow to close: the connection looks well, and can carry no further question."""
    asked, found = anyio.Event(), list[Response | None]()

    async def answer_at_the_end(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            if not asked.is_set():
                asked.set()
                with suppress(anyio.EndOfStream):
                    await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            await anyio.sleep_forever()

    async def poll() -> None:
        found.append(await client.long_poll(POLL))

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    client = HttpTransport(Jar(), FAST, lambda: 0.0, origin(listener))
    async with client, listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, answer_at_the_end)
        group.start_soon(poll)
        await asked.wait()
        assert client.abort_poll()
        await wait_until(lambda: found, "the answer on its way")
        await poll()
        group.cancel_scope.cancel()
    assert [answer and answer.body for answer in found] == [b"{}", b"{}"]


class Relay:
    """Stands between client and simulator, and holds a poll's answer after its headers."""

    def __init__(self, sim: Simulator) -> None:
        self._port = int(sim.url.rpartition(":")[2])
        self.hold = False
        self.begun, self.go_on = anyio.Event(), anyio.Event()

    async def serve(self, client: anyio.abc.SocketStream) -> None:
        upstream = await anyio.connect_tcp("127.0.0.1", self._port)
        async with client, upstream, anyio.create_task_group() as group:
            group.start_soon(self._forth, client, upstream)
            await self._back(upstream, client)
            group.cancel_scope.cancel()

    async def _forth(self, client: anyio.abc.SocketStream, upstream: anyio.abc.SocketStream) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                await upstream.send(await client.receive())
        await upstream.aclose()

    async def _back(self, upstream: anyio.abc.SocketStream, client: anyio.abc.SocketStream) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                data = await upstream.receive()
                if self.hold and b"poll_type" in data:
                    head, gap, data = data.partition(b"\r\n\r\n")
                    await client.send(head + gap)
                    self.begun.set()
                    await self.go_on.wait()
                await client.send(data)


async def test_a_batch_that_has_begun_to_arrive_is_yielded_by_a_cancelled_listener(tmp_path: Path) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    got: list[UpstreamEvent] = []

    async def listen(upstream: SmartQQUpstream, scope: anyio.CancelScope) -> None:
        with scope:
            async with aclosing(upstream.events()) as events:
                async for batch in events:
                    got.extend(batch)

    async with Simulator("e3") as sim, listener, anyio.create_task_group() as group:
        relay, scope = Relay(sim), anyio.CancelScope()
        group.start_soon(listener.serve, relay.serve)
        async with SmartQQUpstream(config(origin(listener), tmp_path), limits=FAST) as upstream:
            group.start_soon(listen, upstream, scope)
            await upstream.connected()
            await sim.wait_poll()
            relay.hold = True
            sim.say("friend:10001", "in hand")
            await relay.begun.wait()
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            relay.go_on.set()
            await wait_until(lambda: scope.cancelled_caught, "the end of the listener")
        group.cancel_scope.cancel()
    last = got[-1]
    assert isinstance(last, Message)
    assert render(last.segments) == "in hand"


async def test_what_upstream_gives_away_while_it_is_hung_up_is_yielded(tmp_path: Path) -> None:
    got: list[UpstreamEvent] = []

    async def listen() -> None:
        async with aclosing(upstream.events()) as events:
            async for batch in events:
                got.extend(batch)

    async with Simulator("e3") as sim, SmartQQUpstream(config(sim.url, tmp_path), limits=FAST) as upstream:
        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            await upstream.connected()
            await sim.wait_poll()
            sim.say("friend:10001", "on its way")
            upstream.stop_receiving()
        handed = [letter for _, letters in sim.network.journal.handed for letter in letters]
    heard = [event for event in got if isinstance(event, Message)]
    assert len(heard) == len(handed)


async def test_half_an_answer_is_an_error_that_says_so() -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")

    async def half(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    client = HttpTransport(Jar(), FAST, lambda: 0.0, origin(listener))
    async with client, listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, half)
        with pytest.raises(TransportError) as caught:
            await client.long_poll(POLL)
        group.cancel_scope.cancel()
    assert caught.value.may_have_sent


async def test_errors_name_host_and_path_and_no_parameter() -> None:
    client = HttpTransport(Jar(), FAST, lambda: 0.0, "http://127.0.0.1:1")
    async with client:
        with pytest.raises(TransportError) as caught:
            await client.request(Request("GET", "https://s.web2.qq.com/api/x?a=secret", (("b", "secret"),)))
    assert not caught.value.may_have_sent
    assert "s.web2.qq.com/api/x" in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_hosts_cookies_and_paths_stay_true_behind_one_origin(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path):
        hosts = {entry.host for entry in sim.requests}
        assert hosts >= {"ssl.ptlogin2.qq.com", "ptlogin4.web2.qq.com", "s.web2.qq.com", "d1.web2.qq.com"}
        for entry in sim.requests:
            cookies = entry.headers.get("Cookie", "")
            assert ("qrsig" in cookies) is (entry.path == "/ptqrlogin")
            assert ("superkey" in cookies) is False
        poll = next(entry for entry in sim.requests if entry.path.endswith("login2"))
        assert "p_skey=" in poll.headers["Cookie"]


@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip", "deflate, gzip"])
async def test_a_compressed_bomb_is_a_failed_answer(coding: str) -> None:
    body = bytes(40 * 2**20)
    for name in reversed(coding.split(", ")):
        body = gzip.compress(body) if name == "gzip" else zlib.compress(body)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nContent-Encoding: {coding}\r\n\r\n".encode()

    async def answer(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            with suppress(anyio.BrokenResourceError):
                await stream.send(head + body)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    client = HttpTransport(Jar(), FAST, lambda: 0.0, origin(listener))
    async with client, listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, answer)
        with pytest.raises(TransportError, match="answer"):
            await client.request(replace(POLL, long_poll=False))
        group.cancel_scope.cancel()
