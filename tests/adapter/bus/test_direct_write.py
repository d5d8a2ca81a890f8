"""Proof of adapter/bus/direct_write.py: a command leaves in its caller's step, and a write has its bound."""

import asyncio
import time

import pytest
import redis

from adapter.bus.connection import connect, map_redis_errors
from adapter.errors import BusUnavailable
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


async def test_a_command_has_left_when_its_caller_has_had_one_step(redis_url: str, prefix: str) -> None:
    client, key = connect(redis_url), f"{prefix}:n"
    with redis.Redis.from_url(redis_url) as other:
        await client.ping()  # the connection is there
        writing = asyncio.create_task(client.incr(key))
        await asyncio.sleep(0)
        # From here on the event loop stands still.
        until = time.monotonic() + 10.0
        while other.get(key) != b"1":
            assert time.monotonic() < until, "the command waits for another step"
        assert await writing == 1
    await client.aclose()


async def test_a_command_that_fills_the_socket_leaves_whole(redis_url: str, prefix: str) -> None:
    client, value = connect(redis_url), bytes(range(256)) * 100_000
    await client.set(f"{prefix}:large", value)
    assert await client.get(f"{prefix}:large") == value
    await client.aclose()


async def test_a_server_that_does_not_read_ends_the_write_in_time() -> None:
    goes_on, is_gone = asyncio.Event(), asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):  # CLIENT SETNAME and two of SETINFO
            await reader.read(100)
            writer.write(b"+OK\r\n")
        await goes_on.wait()  # its buffers fill meanwhile
        while await reader.read(1_000_000):
            pass
        writer.close()
        is_gone.set()

    port = free_port()
    async with await asyncio.start_server(hang, "127.0.0.1", port):
        client = connect(f"redis://127.0.0.1:{port}", timeout=0.5)
        with pytest.raises(BusUnavailable, match="Timeout writing"), map_redis_errors():
            await client.set("large", b"x" * 20_000_000)
        goes_on.set()
        await is_gone.wait()
        await client.aclose()
