"""Proof of adapter/bus/embedded.py."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from anyio import create_task_group, create_tcp_listener
from anyio.abc import SocketAttribute, SocketStream

from adapter.bus.aof import newest_file
from adapter.bus.connection import connect, map_redis_errors
from adapter.bus.embedded import probe_port, run_server
from adapter.errors import BusUnavailable, UnsupportedServer
from tests.support.helpers import clean_environment, wait_until
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    port = free_port()
    for turn in range(2):
        async with run_server(tmp_path, port) as url:
            client = connect(url)
            assert await client.xlen("s") == turn
            await client.xadd("s", {"a": "b"})
            await client.aclose()
    assert not await probe_port(port)


async def test_two_servers_cannot_share_a_folder(tmp_path: Path) -> None:
    async with run_server(tmp_path, free_port()):
        with pytest.raises(UnsupportedServer, match="another server"):
            async with run_server(tmp_path, free_port()):
                pass


async def test_a_redis_is_told_from_a_stranger(tmp_path: Path) -> None:
    port = free_port()
    assert not await probe_port(port)
    async with run_server(tmp_path, port):
        assert await probe_port(port)

    async def stranger(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with await create_tcp_listener(local_host="127.0.0.1") as listener, create_task_group() as tasks:
        tasks.start_soon(listener.serve, stranger)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 – anyio's word, not Django's
        with pytest.raises(UnsupportedServer, match="REDIS_URL"):
            await probe_port(port)
        tasks.cancel_scope.cancel()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
async def test_a_killed_parent_takes_the_server_with_it(tmp_path: Path) -> None:
    port = free_port()
    line = [sys.executable, "-m", "adapter", "redis", "--port", str(port)]
    environment = clean_environment(QQBUS_STATE_DIR=str(tmp_path))
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        url = process.stdout.readline().split()[0].decode()
        assert url.endswith(f"@127.0.0.1:{port}")
        client = connect(url)
        await client.xadd("s", {"a": "b"})
        await client.aclose()
        os.kill(process.pid, signal.SIGKILL)

    async def gone() -> bool:
        try:
            return not await probe_port(port)
        except UnsupportedServer:
            return False  # on its way out it answers nobody

    await wait_until(gone, "the server is gone")
    async with run_server(tmp_path / "redis", port) as url:
        client = connect(url)
        assert await client.xlen("s") == 1
        await client.aclose()


async def test_a_server_that_is_away_is_told_as_such() -> None:
    client = connect("redis://127.0.0.1:1")
    with pytest.raises(BusUnavailable), map_redis_errors():
        await client.ping()
    await client.aclose()


async def test_a_killed_server_is_started_again_with_its_data(tmp_path: Path) -> None:
    async with run_server(tmp_path, free_port()) as url:
        client = connect(url)
        await client.xadd("s", {"a": "b"})
        pid = (await client.info("server"))["process_id"]
        os.kill(pid, signal.SIGKILL)

        async def back() -> bool:
            try:
                with map_redis_errors():
                    return bool((await client.info("server"))["process_id"] != pid)
            except BusUnavailable:
                return False

        await wait_until(back, "another server answers")
        assert await client.xlen("s") == 1
        await client.aclose()


async def test_a_damaged_end_of_the_file_is_cut_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    async with run_server(tmp_path, port) as url:
        client = connect(url)
        await client.xadd("s", {"a": "b"})
        await client.aclose()
    file = newest_file(tmp_path)
    assert file is not None
    with file.open("ab") as end:
        end.write(b"\0" * 12)
    async with run_server(tmp_path, port) as url:
        client = connect(url)
        assert await client.xlen("s") == 1
        await client.aclose()
    [warning] = [record.getMessage() for record in caplog.records if "damaged" in record.getMessage()]
    assert "12 bytes" in warning
    [copy] = tmp_path.glob("damaged-*.aof")
    assert copy.read_bytes().endswith(b"\0" * 12)


async def test_damage_in_the_middle_of_the_file_names_it(tmp_path: Path) -> None:
    async with run_server(tmp_path, free_port()) as url:
        client = connect(url)
        await client.xadd("s", {"a": "b"})
        await client.aclose()
    file = newest_file(tmp_path)
    assert file is not None
    data = file.read_bytes()
    file.write_bytes(data + b"\0\0\0" + data)
    with pytest.raises(UnsupportedServer, match=f"{file} is damaged at byte {len(data)}"):
        async with run_server(tmp_path, free_port()):
            pass
    assert file.read_bytes() == data + b"\0\0\0" + data
