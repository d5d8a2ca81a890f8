"""What all tests share: a real server for each process of the run, and a prefix for each test."""

import asyncio
import functools
import inspect
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest
import pytest_timeout
from hypothesis import HealthCheck, settings

from adapter.bus.bus import Bus
from adapter.bus.embedded import run_server
from adapter.bus.keys import Keys
from tests.support.helpers import HASTY
from tests.support.ports import free_port

# Programs under test speak English, whatever the language of this terminal is.
os.environ["LC_ALL"] = "C.UTF-8"
# Of the time that a test has, an asynchronous one is ended in words after this part.
WORDS = 0.9
# Property tests say what holds, not how fast: each test has its time limit, and the machine may stall.
settings.register_profile("qqbus", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("qqbus")

# Seconds that taking down what a test set up may take, before its process is ended.
TAKEDOWN = 60.0


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """End an asynchronous test that takes too long inside of its event loop.

    The signal of pytest-timeout ends the loop instead, with the test still in it, and taking down the
    test's fixtures then waits for that loop for ever.
    """
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        marker = pyfuncitem.get_closest_marker("timeout")
        config = pyfuncitem.config
        seconds = marker.args[0] if marker else config.getoption("timeout") or config.getini("timeout")
        pyfuncitem.obj = _bounded(pyfuncitem.obj, WORDS * float(seconds))
    return (yield)


def _bounded(test: Callable[..., Awaitable[None]], seconds: float) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def run(*args: Any, **kwargs: Any) -> None:
        try:
            async with asyncio.timeout(seconds) as bound:
                await test(*args, **kwargs)
        except TimeoutError as error:
            if bound.expired():
                raise AssertionError(f"not done within {seconds:g} s") from error
            raise

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Bound the teardown: pytest-timeout lets go of a test once that has failed.

    The process of the run is ended with a word about where it stands; pytest-xdist starts another.
    """
    item.ihook.pytest_timeout_cancel_timer(item=item)
    settings = pytest_timeout.Settings(TAKEDOWN, "thread", func_only=False, disable_debugger_detection=False)
    item.ihook.pytest_timeout_set_timer(item=item, settings=settings)
    return (yield)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the adapter does."""
    return "asyncio"


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a server of our own on a free port."""
    folder: Path = tmp_path_factory.mktemp("redis")
    with anyio.from_thread.start_blocking_portal() as portal:
        # `make compat` runs the bus's tests on other servers.
        other = os.environ.get("QQBUS_TEST_SERVER")
        binary = Path(other) if other else None
        server = portal.wrap_async_context_manager(
            run_server(folder, free_port(), binary=binary, options=HASTY)
        )
        with server as url:
            yield url


@pytest.fixture
def prefix() -> str:
    """Keys that no other test uses."""
    return f"t{secrets.token_hex(6)}"


@pytest.fixture
async def bus(redis_url: str, prefix: str, anyio_backend: str) -> AsyncIterator[Bus]:  # noqa: ARG001
    """Open a bus; afterwards each key must have a bound or a time to live."""
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


# Streams are trimmed behind their readers; the others hold one row for each contact, account or setting, for
# each large answer that stands in results, and for each call that is confirmed and not settled.
_BOUNDED = {
    *("inbound", "outbound", "results", "dead", "control", "session", "status"),
    *(
        "calls",
        "friends",
        "groups",
        "discusses",
        "ids:epoch",
        "ids:seq",
        "ids:contacts",
        "ids:permanent",
        "ids:answers",
        "ids:position",
        "ids:seq:late",
        "ids:lapsed",
        "ids:scheduled",
        "ids:results",
        "ids:letters",
        "ids:outbound",
        "seen:new",
        "seen:old",
    ),
}
