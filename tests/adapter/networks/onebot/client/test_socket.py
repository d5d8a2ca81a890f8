"""The WebSocket: why it cannot be opened, and why it ended."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from adapter.networks.onebot.client.errors import ConnectionFailedError, Reason
from adapter.networks.onebot.client.socket import open_socket
from adapter.networks.onebot.limits import Limits
from adapter.networks.websocket import SocketClosedError
from tests.onebot_server import OneBotServer
from tests.support.onebot_harness import limits

pytestmark = pytest.mark.anyio

QUICK = limits(connect_seconds=0.5, frame_bytes=100_000)


@asynccontextmanager
async def answering(content: bytes) -> AsyncIterator[str]:
    """Listen, answer each connection with these bytes, and end it."""

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            if content:
                await stream.send(content)
            else:
                await anyio.sleep_forever()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = int(str(listener.extra(anyio.abc.SocketAttribute.local_port)))  # noqa: S610 – no Django
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield f"ws://127.0.0.1:{port}/"
        tasks.cancel_scope.cancel()
    await listener.aclose()


async def failure(url: str, limits: Limits = QUICK) -> ConnectionFailedError:
    with pytest.raises(ConnectionFailedError) as caught:
        async with open_socket(url, "secret", limits):
            pass
    assert "secret" not in str(caught.value)
    assert not caught.value.may_have_sent
    return caught.value


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", Reason.TOKEN, "401"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", Reason.TOKEN, "403"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Reason.PATH, "404"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", Reason.UNREACHABLE, "502"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Reason.UNREACHABLE, "200"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", Reason.UNREACHABLE, "WebSocket"),
        (b"SSH-2.0-OpenSSH\r\n", Reason.UNREACHABLE, "does not speak WebSocket"),
        (b"\x00", Reason.UNREACHABLE, "does not speak WebSocket"),
        (b"", Reason.UNREACHABLE, "no answer to the handshake"),
    ],
)
async def test_what_listens_is_no_implementation(answer: bytes, reason: Reason, words: str) -> None:
    async with answering(answer) as url:
        error = await failure(url)
    assert error.reason is reason
    assert words in str(error)


async def test_nothing_listens_or_the_address_makes_no_sense() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert (await failure(f"ws://127.0.0.1:{port}/")).reason is Reason.UNREACHABLE
    assert (await failure("http://127.0.0.1/")).reason is Reason.UNREACHABLE
    async with OneBotServer("napcat") as onebot:
        assert "TLS" in str(await failure(onebot.url.replace("ws://", "wss://"), Limits()))


async def test_the_end_of_a_connection_has_a_code_and_words() -> None:
    async with OneBotServer("napcat") as server, open_socket(server.url, "", QUICK) as opened:
        assert opened.is_open
        await opened.receive()
        await server.do.close(code=4001, reason="bye")
        with pytest.raises(SocketClosedError, match="closed by the other side: 4001 bye") as caught:
            await opened.receive()
        assert caught.value.code == 4001
        with pytest.raises(SocketClosedError) as caught:
            await opened.send("{}")
        assert (opened.is_open, caught.value.may_have_sent) == (False, False)


async def test_a_frame_over_the_limit_ends_the_connection_with_its_own_words() -> None:
    async with OneBotServer("napcat") as server, open_socket(server.url, "", QUICK) as opened:
        await opened.receive()
        server.do.frame(size=200_000)
        with pytest.raises(SocketClosedError, match="larger than the limit") as caught:
            await opened.receive()
        assert caught.value.code == 1009


async def test_a_connection_that_is_reset_or_aborted_was_lost() -> None:
    async with OneBotServer("napcat") as server:
        for end in (server.do.reset, None):
            async with open_socket(server.url, "", QUICK) as opened:
                await opened.receive()
                if end is None:
                    opened.abort()
                else:
                    end()
                with pytest.raises(SocketClosedError, match="the connection was lost"):
                    await opened.receive()
