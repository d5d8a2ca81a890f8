"""Proof of adapter/bus/embedded_access.py and local_connection.py: who gets into the embedded server."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest

from adapter.bus.connection import connect, map_redis_errors
from adapter.bus.embedded import run_server
from adapter.bus.embedded_access import find_passwords, load_password
from adapter.errors import BusError
from tests.support.helpers import clean_environment, wait_until
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give this process a home of its own."""
    monkeypatch.delenv("QQBUS_STATE_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "qqbus"


async def enter(url: str) -> bool:
    client = connect(url)
    try:
        with map_redis_errors():
            return bool(await client.ping())
    except BusError:
        return False
    finally:
        await client.aclose()


def test_the_password_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    password = load_password(tmp_path)
    assert len(password) >= 32
    assert load_password(tmp_path) == password
    assert stat.S_IMODE((tmp_path / "password").stat().st_mode) == 0o600
    (tmp_path / "password").write_text("cut")
    assert load_password(tmp_path) not in {password, "cut"}


async def test_programs_of_the_same_user_get_in_and_others_do_not(home: Path, tmp_path: Path) -> None:
    port = free_port()
    async with run_server(tmp_path / "elsewhere", port, has_password=True) as url:
        assert await enter(url)
        # redis-cli up to 7.0 is refused where the address names no user.
        assert urlsplit(url).username == "default"
        assert (tmp_path / "elsewhere" / "url").read_text().strip() == url
        for name in ("127.0.0.1", "localhost"):
            assert await enter(f"redis://{name}:{port}")
        copy = home / "servers" / str(port)
        # The state folder is made on the way: `qqbus doctor` finds it closed to other users.
        assert [stat.S_IMODE(path.stat().st_mode) for path in (home, home / "servers")] == [0o700, 0o700]
        assert [stat.S_IMODE(path.stat().st_mode) for path in (copy, tmp_path / "elsewhere" / "url")] == [
            0o600
        ] * 2
        command_line = (await _command_line(url)).decode()
        assert str(port) in command_line
        assert load_password(tmp_path / "elsewhere") not in command_line
        copy.write_text("another user's guess")
        assert not await enter(f"redis://127.0.0.1:{port}")
        assert not await enter(f"redis://:wrong@127.0.0.1:{port}")
    assert not copy.exists() or copy.read_text() == "another user's guess"
    assert not (tmp_path / "elsewhere" / "url").exists()


async def _command_line(url: str) -> bytes:
    client = connect(url)
    try:
        pid = (await client.info("server"))["process_id"]
    finally:
        await client.aclose()
    process = await anyio.run_process(["ps", "-ww", "-o", "args=", "-p", str(pid)])
    return process.stdout


async def test_a_server_without_a_password_needs_none_though_one_is_known(home: Path, tmp_path: Path) -> None:
    port = free_port()
    (home / "servers").mkdir(parents=True)
    (home / "servers" / str(port)).write_text("stale")
    async with run_server(tmp_path / "plain", port):
        assert await enter(f"redis://127.0.0.1:{port}")


async def test_a_client_that_was_there_first_gets_in(home: Path, tmp_path: Path) -> None:
    del home
    port = free_port()
    client = connect(f"redis://127.0.0.1:{port}")

    async def answers() -> bool:
        try:
            with map_redis_errors():
                return bool(await client.ping())
        except BusError:
            return False

    assert not await answers()
    async with run_server(tmp_path / "late", port, has_password=True):
        await wait_until(answers, "it gets in")
    async with run_server(tmp_path / "other", port, has_password=True):
        await wait_until(answers, "it gets into the next one")
    await client.aclose()


def test_without_a_home_no_password_is_found() -> None:
    assert find_passwords(6379, {"HOME": "~no-such-user-here"}) == []
    assert find_passwords(6379, {"HOME": "/nonexistent", "QQBUS_STATE_DIR": "~no-such-user-here"}) == []


async def test_the_printed_address_and_bare_programs_reach_it(home: Path, tmp_path: Path) -> None:
    port = free_port()
    environment = clean_environment(
        QQBUS_STATE_DIR=str(tmp_path / "state"), XDG_STATE_HOME=str(home.parent), PYTHONWARNINGS=""
    )
    line = [sys.executable, "-m", "adapter", "redis", "--port", str(port)]
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True) as server:  # noqa: ASYNC220
        try:
            assert server.stdout is not None
            printed = server.stdout.readline().split()[0]
            assert await enter(printed)
            del environment["QQBUS_STATE_DIR"]
            environment["REDIS_URL"] = f"redis://127.0.0.1:{port}"
            done = subprocess.run(  # noqa: ASYNC221
                [sys.executable, "-m", "adapter", "status"],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert "no adapter" in done.stdout.lower(), done.stderr
        finally:
            server.terminate()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
async def test_another_user_of_the_machine_is_refused(home: Path, tmp_path: Path) -> None:
    del home
    port = free_port()
    async with run_server(tmp_path / "data", port, has_password=True):
        # bash, not Python: the interpreter of the tests may lie in a folder that only root can read.
        code = f"exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'PING\\r\\nFLUSHALL\\r\\n' >&3; timeout 9 head -n 2 <&3"
        done = subprocess.run(  # noqa: ASYNC221
            ["setpriv", "--reuid", "65534", "--clear-groups", "bash", "-c", code],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.count("NOAUTH") == 2, done.stderr
