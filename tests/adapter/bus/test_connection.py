"""Proof of adapter/bus/connection.py: Sentinels on IPv6 with a password, and what their errors say."""

import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapter.bus.connection import connect, map_redis_errors, unreachable_error
from adapter.bus.embedded import find_server, run_server
from adapter.errors import BusUnavailable
from tests.support.helpers import wait_until
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@asynccontextmanager
async def _sentinel(folder: Path, master: str) -> AsyncIterator[int]:
    """Run a Sentinel with a password; yield its port."""
    port = free_port()
    config = folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1 -::1\ndir {folder}\nrequirepass senpw\n"
        f"sentinel monitor qq 127.0.0.1 {master} 1\n"
    )
    line = [str(find_server()), str(config), "--sentinel", "--logfile", str(folder / "sentinel.log")]
    with subprocess.Popen(line, stdin=subprocess.DEVNULL) as process:  # noqa: ASYNC220 – starting takes no time
        try:
            yield port
        finally:
            process.kill()


async def _ping(url: str) -> str:
    """Return the error of a PING, or nothing."""
    client = connect(url)
    try:
        with map_redis_errors():
            await client.ping()
    except BusUnavailable as exc:
        return str(unreachable_error(url, exc))
    finally:
        await client.aclose()
        # redis-py leaves these open until the process ends.
        for sentinel in client.connection_pool.sentinel_manager.sentinels:
            await sentinel.aclose()
    return ""


async def _serves(url: str) -> bool:
    return not await _ping(url)


async def test_a_sentinel_with_a_password_of_its_own(tmp_path: Path) -> None:
    async with (
        run_server(tmp_path / "redis", free_port()) as url,
        _sentinel(tmp_path, url.rpartition(":")[2]) as port,
    ):
        hosts = f"[::1]:{port}, 127.0.0.1:{port}" if _has_ipv6() else f"127.0.0.1:{port}"
        good = f"redis+sentinel://{hosts}/qq?sentinel_password=senpw"
        await wait_until(lambda: _serves(good), "the master behind the Sentinel")
        refused = await _ping(f"redis+sentinel://{hosts}/qq")
        assert "a Sentinel refuses us, give its password as ?sentinel_password=" in refused
        assert len(refused) < 300
        wrong = await _ping(f"redis+sentinel://{hosts}/qq?sentinel_password=wrongpw")
        assert "a Sentinel refuses us" in wrong
        assert "wrongpw" not in wrong


async def test_options_of_the_address_never_replace_those_the_code_relies_on() -> None:
    client = connect("redis://h")
    kept = client.connection_pool.connection_kwargs
    assert (kept["protocol"], kept["retry"], kept["client_name"]) == (2, None, "qqbus")
    for option in ("decode_responses=true", "protocol=3", "retry=x", "encoding=latin-1", "socket_timeout=1"):
        given = connect(f"redis://h?{option}").connection_pool.connection_kwargs
        assert {name: value for name, value in given.items() if name != "himport_registry"} == {
            name: value for name, value in kept.items() if name != "himport_registry"
        }
