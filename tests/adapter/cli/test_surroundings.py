"""Proof of adapter/cli/surroundings.py: `qqbus doctor` finds what others and the machine did."""

import json
import sys
from pathlib import Path

import anyio
import pytest

from adapter.bus.aof import newest_file
from adapter.bus.connection import connect
from adapter.bus.embedded import run_server
from adapter.bus.inspection import BusFindings
from adapter.cli.diagnostics import Level
from adapter.cli.surroundings import check_append_only_file, check_findings
from tests.support.helpers import clean_environment
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


def test_each_finding_says_what_to_change() -> None:
    found = BusFindings(
        ("qq:dead is a string, not a stream",),
        ("qq:outbound",),
        ("qq:results",),
        "bot",
        (("adapter", ("EVAL qq:ids:epoch",)), ("operator", ("XDEL qq:dead",))),
        (("onebot", "host-127.0.0.1:3001"),),
    )
    checks = [*check_findings(found), *check_append_only_file("/s/x.aof", ("/s/damaged-1.aof",))]
    assert len(checks) == 7
    assert all(check.change and check.level is not Level.GOOD for check in checks)
    assert [check.level for check in check_findings(BusFindings(missing_rights=(("adapter", ("x",)),)))] == [
        Level.GOOD
    ]
    assert list(check_findings(BusFindings())) == []


async def test_the_doctor_finds_them_on_a_real_server_and_disk(tmp_path: Path) -> None:
    async with run_server(tmp_path / "redis", free_port()) as url:
        client = connect(url)
        await client.xadd("qq:dead", {"a": "b"}, id="18446744073709551615-18446744073709551615")
        await client.set("qq:outbound", "x")
        data = tmp_path / "state" / "redis"
        async with run_server(data, free_port()):
            pass
        file = newest_file(data)
        assert file is not None
        file.write_bytes(file.read_bytes() + b"*1\r\n\0\0")
        (data / "damaged-1.aof").write_text("")
        with anyio.fail_after(60):
            done = await anyio.run_process(
                [sys.executable, "-m", "adapter", "doctor", "--json"],
                env=clean_environment(
                    REDIS_URL=url, QQBUS_STATE_DIR=str(tmp_path / "state"), QQBUS_HTTP="off"
                ),
                check=False,
            )
        await client.aclose()
    whats = [json.loads(line)["what"] for line in done.stdout.splitlines()]
    for words in (
        "qq:dead takes no more entries",
        "qq:outbound is a string, not a stream: another program",
        f"{file} does not end as a whole command",
        "damaged-1.aof is a copy",
    ):
        assert any(words in what for what in whats), (words, whats)
    assert done.returncode == 1
