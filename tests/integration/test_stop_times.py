"""Prove that SIGTERM ends the adapter within its grace, whatever hangs at that moment.

The grace is that of the unit for systemd and of the compose files: see deploy/.
"""

import os
import signal
import socket
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from adapter.bus.bus import Bus
from adapter.bus.embedded import run_server
from adapter.failpoints import Failpoint
from tests.simulator import Answer
from tests.support.helpers import BEARER, HASTY, wait_until
from tests.support.ports import free_port
from tests.support.system_harness import Program, system

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

SEND = "/channel/send_buddy_msg2"
# Seconds. `docker stop` gives ten. Where QQ or Redis does not answer a stop takes longer: our files give thirty.
QUICK, IN_DOUBT = 10.0, 28.0
SERVICES = (
    *(Failpoint.STATUS, Failpoint.RETENTION, Failpoint.WATCHDOG, Failpoint.REPLICATION, Failpoint.CONTROL),
    *(Failpoint.PAGE_SERVER, Failpoint.PAGE, Failpoint.RPC),
)


async def stopped_after(program: Program) -> float:
    """Ask it to end; returns the seconds until it has, with exit code 0."""
    began = time.monotonic()
    program.process.send_signal(signal.SIGTERM)
    assert await program.ended(90.0) == 0
    return time.monotonic() - began


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_that_hangs(bus: Bus, redis_url: str, tmp_path: Path, service: Failpoint) -> None:
    port = free_port()
    async with system(bus, redis_url, tmp_path) as it:
        settings = {"QQBUS_SESSION_KEY": "a key of sixteen", "QQBUS_HTTP": f"127.0.0.1:{port}"}
        adapter = it.start("tests.chaos.service_fault", "hang", service, "run", **settings)
        await it.online(adapter)
        assert await stopped_after(adapter) < QUICK


async def test_an_open_page_and_half_a_request(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    port = free_port()
    async with (
        system(bus, redis_url, tmp_path) as it,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, headers=BEARER) as http,
    ):
        adapter = await it.adapter(QQBUS_HTTP=f"127.0.0.1:{port}")
        with closing(socket.create_connection(("127.0.0.1", port))) as half:
            half.sendall(b"POST /api/send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
            async with http.stream("GET", "/api/stream"):
                assert await stopped_after(adapter) < QUICK


async def test_an_alarm_command_that_does_not_end(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    command = tmp_path / "alarm"
    command.write_text(f"#!/bin/sh\ntouch {tmp_path}/rung\nexec sleep 60\n")
    command.chmod(0o755)
    async with system(bus, redis_url, tmp_path) as it:
        adapter = await it.adapter(QQBUS_ALARM_COMMAND=str(command))
        await bus.client.set(bus.keys("ids:scheduled"), "of another program")
        await wait_until((tmp_path / "rung").exists, "the alarm rings", 90.0)
        assert await stopped_after(adapter) < QUICK
        await bus.client.delete(bus.keys("ids:scheduled"))


async def test_a_send_that_is_not_answered(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path, poll_seconds=60.0) as it:
        adapter = await it.adapter()
        it.sim.say("friend:10001", "hi")
        chat = (await it.events(1))[0]["chat"]
        it.sim.next_answer(SEND, Answer(delay=120.0))
        await it.ask(chat, "in hand", id="x/1")
        await it.sim.wait_delayed(SEND)
        assert await stopped_after(adapter) < IN_DOUBT
        (result,) = await it.rows("results")
        assert (result["id"], result["status"]) == ("x/1", "unknown")


async def test_a_redis_that_hangs(tmp_path: Path) -> None:
    async with (
        run_server(tmp_path / "redis", free_port(), options=HASTY) as url,
        Bus.open(url, "qq") as bus,
        system(bus, url, tmp_path) as it,
    ):
        adapter = await it.adapter()
        it.sim.say("friend:10001", "hi")
        await it.events(1)
        server = int((await bus.client.info("server"))["process_id"])
        os.kill(server, signal.SIGSTOP)
        try:
            assert await stopped_after(adapter) < IN_DOUBT
        finally:
            os.kill(server, signal.SIGCONT)
