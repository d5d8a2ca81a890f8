"""Proof of adapter/http_server.py: silent connections end, and the health check is answered beside them."""

import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import anyio
import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from adapter.http_server import HEAD_SECONDS, BoundedProtocol, ConnectionLimits
from tests.support.helpers import wait_until

pytestmark = pytest.mark.anyio

LIMITS = ConnectionLimits(total=12, per_address=12)


class Server(uvicorn.Server):
    """A server without signal handlers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(limits: ConnectionLimits = LIMITS) -> AsyncIterator[tuple[str, int]]:
    """Serve `/healthz`, and `/slow`, which never ends."""

    async def healthz(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    async def slow(_: Request) -> PlainTextResponse:
        await anyio.sleep_forever()
        return PlainTextResponse("")

    async def read(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    routes = [Route("/healthz", healthz), Route("/slow", slow), Route("/read", read, methods=["POST"])]
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        Starlette(routes=routes),
        log_config=None,
        lifespan="off",
        ws="none",
        loop="none",
        http=BoundedProtocol.with_limits(limits),
        timeout_graceful_shutdown=0,
    )
    server = Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        await wait_until(lambda: server.started, "the server listens")
        try:
            yield listener.getsockname()[:2]
        finally:
            server.should_exit = True


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


async def get(address: tuple[str, int], path: str = "/healthz") -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=10.0) as http:
        return await http.get("http://{}:{}{}".format(*address, path))


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /healthz HT",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /hea",
    ],
)
async def test_a_head_that_does_not_come_ends_the_connection(sent: bytes) -> None:
    async with served() as address:
        with socket.create_connection(address) as silent:
            silent.sendall(sent)
            began = anyio.current_time()

            def ended() -> bool:
                try:
                    while silent.recv(4096):
                        pass
                except BlockingIOError:
                    return False
                except ConnectionError:
                    pass
                return True

            silent.setblocking(False)
            await wait_until(ended, "the connection is closed", 30.0)
            assert anyio.current_time() - began >= HEAD_SECONDS - 1


async def test_a_connection_that_is_used_stays_open() -> None:
    async with served() as address, httpx.AsyncClient(trust_env=False) as http:
        began = anyio.current_time()
        for second in range(int(HEAD_SECONDS) + 2):
            answer = await http.get("http://{}:{}/healthz".format(*address))
            assert answer.status_code == 200
            await wait_until(lambda: anyio.current_time() >= began + second, "a second is over")  # noqa: B023


async def test_health_is_answered_beside_silent_and_half_finished_requests() -> None:
    body = b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    async with served() as address:
        with ExitStack() as stack:
            silent = [stack.enter_context(socket.create_connection(address)) for _ in range(4 * LIMITS.total)]
            for one in silent[::2]:
                one.sendall(body)
            for _ in range(3):
                assert (await get(address)).text == "ok"
            await wait_until(
                lambda: sum(not is_closed(one) for one in silent) <= LIMITS.total, "the oldest are closed"
            )


async def test_one_address_leaves_room_for_others() -> None:
    limits = ConnectionLimits(total=20, per_address=4)
    async with served(limits) as address:
        with ExitStack() as stack:
            request = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
            busy = [stack.enter_context(socket.create_connection(address)) for _ in range(10)]
            for one in busy:
                one.sendall(request)
            await wait_until(
                lambda: sum(not is_closed(one) for one in busy) == limits.per_address, "the others are closed"
            )
            other = stack.enter_context(socket.create_connection(address, source_address=("127.0.0.2", 0)))
            other.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            other.setblocking(False)

            def answered() -> bool:
                try:
                    return other.recv(4096).startswith(b"HTTP/1.1 200")
                except BlockingIOError:
                    return False

            await wait_until(answered, "another address is served")


def test_the_limits_stay_below_the_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
        assert ConnectionLimits.below_descriptors(192).total == 44
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        assert ConnectionLimits.below_descriptors(192).total == 8
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert ConnectionLimits.below_descriptors(10).total == 10
