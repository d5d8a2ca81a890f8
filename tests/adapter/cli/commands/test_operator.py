"""Prove what an operator needs at night: ACL files, test alarms, rights that are named, the dead of one group."""

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import anyio
import msgpack
import pytest

from adapter.bus.bus import Bus
from adapter.bus.embedded import find_server, run_server
from tests.support.cli import GOLDENS, Cli, alive, command_line
from tests.support.helpers import wait_until
from tests.support.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


async def test_without_a_command_it_helps(bus: Bus, redis_url: str) -> None:
    with command_line(bus, redis_url) as cli:
        done = await cli()
    assert (done.code, done.err) == (0, "")
    assert "status" in done.out


async def test_an_acl_file_for_all_roles_is_one_that_a_server_starts_with(tmp_path: Path) -> None:
    file, port = tmp_path / "users.acl", free_port()
    cli = Cli({"REDIS_URL": f"redis://127.0.0.1:{port}"})
    async with run_server(tmp_path / "before", port):
        written = await cli("acl", "--all", "--file", str(file))
    assert written.code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (await cli("acl", "--all", "--file", str(file))).code == 1  # never over an older one
    urls = dict(line.split() for line in written.out.splitlines() if "@HOST:PORT" in line)
    assert not any(url.split(":")[2].split("@")[0] in file.read_text() for url in urls.values())
    line = [
        str(find_server()),
        "--port",
        str(port),
        "--aclfile",
        str(file),
        "--save",
        "",
        "--dir",
        str(tmp_path),
    ]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL) as server:  # noqa: ASYNC220 – starting takes no time
        try:
            await is_open(port)
            await look_as_each_role(urls, port, tmp_path)
        finally:
            server.terminate()


async def is_open(port: int) -> None:
    async def connects() -> bool:
        try:
            stream = await anyio.connect_tcp("127.0.0.1", port)
        except OSError:
            return False
        await stream.aclose()
        return True

    await wait_until(connects, "the server serves", 30.0)


async def look_as_each_role(urls: dict[str, str], port: int, folder: Path) -> None:
    for role, url in urls.items():
        own = Cli({"REDIS_URL": url.replace("HOST:PORT", f"127.0.0.1:{port}")})
        status = await own("status")
        if role not in {"adapter", "operator"}:
            assert "use a user with the role operator" in status.err
        else:
            assert status.code == 0, status.err
        seen = await own("doctor", QQBUS_STATE_DIR=str(folder / "s"))
        assert ("may not see" in seen.out) is (role not in {"adapter", "operator"}), seen.out


async def test_a_test_alarm_reaches_the_command_or_says_why_not(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    script, got = tmp_path / "call.sh", tmp_path / "got"
    script.write_text(f'#!/bin/sh\ncat > {got}\necho "$1" >> {got}\n', encoding="utf-8")
    os.chmod(script, 0o700)  # noqa: PTH101 – as an operator would
    with command_line(bus, redis_url) as cli:
        done = await cli("alarm", "--test", QQBUS_ALARM_COMMAND=str(script))
        assert (done.code, done.out) == (0, "QQBUS_ALARM_COMMAND: delivered\n")
        assert "this is a test" in got.read_text()
        failed = await cli("alarm", "--test", QQBUS_ALARM_COMMAND="/nonexistent --now")
        assert (failed.code, failed.out) == (1, "")
        assert "FileNotFoundError" in failed.err
        found = await cli("doctor", QQBUS_ALARM_COMMAND="/nonexistent", QQBUS_STATE_DIR=str(tmp_path / "s"))
        assert "this user cannot run /nonexistent" in found.out
        assert (await cli("alarm", "--test")).code == 2


async def test_a_fatal_error_is_json_where_the_log_is(bus: Bus, redis_url: str) -> None:
    with command_line(bus, redis_url) as cli:
        done = await cli("run", QQBUS_LOG="json", QQBUS_SEND_INTERVAL="often")
    assert done.code == 2
    assert "QQBUS_SEND_INTERVAL" in json.loads(done.err)["message"]


async def test_the_adapters_own_group_does_not_lapse(bus: Bus, redis_url: str) -> None:
    await alive(bus)
    await bus.ensure_group("outbound")
    with command_line(bus, redis_url) as cli:
        done = await cli("lapse", "adapter")
    assert done.code == 1
    assert "the adapter's own group" in done.err


async def test_dead_letters_are_those_of_a_group(bus: Bus, redis_url: str) -> None:
    body = msgpack.packb({"segments": [{"type": "text", "data": {"text": "你好"}}]})
    for group in ("good", "bad"):
        letter = dict(GOLDENS["dead"].fields) | {
            "stream": bus.keys("inbound"),
            "group": group,
            "fields": msgpack.packb({"type": b"message.friend", "body": body, "text": b"hi"}),
        }
        await bus.client.xadd(bus.keys("dead"), dict[Any, Any](letter))
    with command_line(bus, redis_url) as cli:
        assert "GROUP" in (await cli("dead")).out
        only = await cli("dead", "list", "--group", "bad", "--json")
        (row,) = [json.loads(line) for line in only.out.splitlines()]
        assert row["group"] == "bad"
        assert row["fields"]["body"]["segments"][0]["data"]["text"] == "你好"
        assert (await cli("dead", "drop", "--all", "--group", "bad")).out == "1 dropped\n"
        assert await bus.client.xlen(bus.keys("dead")) == 1
