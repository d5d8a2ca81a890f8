"""What all tests share: a real server for each process of the run, and a prefix for each test."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from adapter.bus.embedded import free_port, served
from adapter.bus.keys import Keys
from adapter.bus.streams import Bus
from tests.helpers import HASTY


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the adapter does."""
    return "asyncio"


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of our own on a free port."""
    folder: Path = tmp_path_factory.mktemp("redis")
    with anyio.from_thread.start_blocking_portal() as portal:
        # `make compat` runs the bus's tests on other servers.
        other = os.environ.get("QQBUS_TEST_SERVER")
        binary = Path(other) if other else None
        server = portal.wrap_async_context_manager(served(folder, free_port(), binary=binary, options=HASTY))
        with server as url:
            yield url


@pytest.fixture
def prefix() -> str:
    """Keys that no other test uses."""
    return f"t{secrets.token_hex(6)}"


@pytest.fixture
async def bus(redis_url: str, prefix: str, anyio_backend: str) -> AsyncIterator[Bus]:  # noqa: ARG001
    """A bus; afterwards no key may be left without a bound or a time to live."""
    async with Bus.open(redis_url, prefix) as opened:
        yield opened
        await _no_unbounded_keys(opened)


async def _no_unbounded_keys(bus: Bus) -> None:
    keys = Keys(bus.keys.prefix)
    bounded = {keys(name) for name in _BOUNDED}
    async for key in bus.client.scan_iter(match=f"{bus.keys.prefix}:*"):
        name = key.decode()
        if name not in bounded and await bus.client.ttl(key) == -1:
            raise AssertionError(f"{name} has neither a bound nor a time to live")


# Streams are trimmed behind their readers; the others hold one row for each contact, account or setting.
_BOUNDED = {
    *("inbound", "outbound", "results", "dead", "control", "session", "status"),
    *(
        "friends",
        "groups",
        "discusses",
        "ids:epoch",
        "ids:seq",
        "ids:contacts",
        "ids:late",
        "ids:lapsed",
        "seen:new",
        "seen:old",
    ),
}
