"""Let every background service fail in every way: messages flow on, and the failure is shown."""

import secrets
from pathlib import Path
from typing import Any

import httpx
import msgpack
import pytest

from adapter.bus.bus import Bus
from adapter.failpoints import Failpoint
from tests.support.cli import command_line
from tests.support.helpers import BEARER, wait_until
from tests.support.ports import free_port
from tests.support.system_harness import Program, System, system

pytestmark = pytest.mark.anyio

FRIEND = "friend:10001"
FAULTS = ("exception", "hang", "cancellation")
# Services that are at work all the time, and those that need a page or a call.
RESIDENT = (
    *(Failpoint.STATUS, Failpoint.RETENTION, Failpoint.WATCHDOG, Failpoint.REPLICATION),
    *(Failpoint.CONTROL, Failpoint.PAGE_SERVER),
)
ON_DEMAND = (Failpoint.PAGE, Failpoint.RPC)


def faulty(it: System, fault: str, services: tuple[Failpoint, ...], **settings: str) -> Program:
    """Start an adapter with faulty services."""
    settings |= {"QQBUS_SESSION_KEY": "a key of sixteen"}
    return it.start("tests.chaos.service_fault", fault, ",".join(services), "run", **settings)


async def flows(it: System, text: str) -> None:
    """Send a message in and out."""
    events = sum(row["type"].startswith("message.") for row in await it.rows("inbound"))
    it.sim.say(FRIEND, text)
    event = (await it.events(events + 1))[-1]
    results = len(await it.rows("results"))
    await it.ask(event["chat"], f"re: {text}")
    assert (await it.results(results + 1))[-1]["status"] == "sent"


@pytest.mark.parametrize("fault", FAULTS)
async def test_messages_flow_on_whatever_fails_beside_them(
    bus: Bus, redis_url: str, tmp_path: Path, fault: str
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        adapter = faulty(it, fault, RESIDENT, QQBUS_HTTP=f"127.0.0.1:{free_port()}")
        await it.online(adapter)
        for number in range(3):
            await flows(it, str(number))
        if fault != "hang":
            text = await wait_until(
                lambda: (
                    all(f"service {name} failed" in adapter.text() for name in RESIDENT) and adapter.text()
                ),
                "every failure is logged",
            )
            # Once for each, although each one fails again and again.
            assert [text.count(f"service {name} failed") for name in RESIDENT] == [1] * len(RESIDENT)
        # A service that hangs does not hold up the end.
        assert await adapter.stop() == 0


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_failing_page_or_call_is_shown_and_holds_up_nothing(
    bus: Bus, redis_url: str, tmp_path: Path, fault: str
) -> None:
    port, nonce = free_port(), secrets.token_hex(16)
    async with (
        system(bus, redis_url, tmp_path) as it,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, headers=BEARER) as http,
    ):
        adapter = faulty(it, fault, ON_DEMAND, QQBUS_HTTP=f"127.0.0.1:{port}")
        await it.online(adapter)
        async with http.stream("GET", "/api/stream"):
            call: Any = {"cmd": "presence", "status": "busy", "reply": nonce}
            await bus.client.xadd(bus.keys("control"), call)
            await flows(it, "hello")
            if fault != "hang":
                _, packed = await bus.client.blpop([bus.keys.reply(nonce)], 5.0)
                assert msgpack.unpackb(packed) == {
                    "error": "the adapter failed at this command: its log says why"
                }

                async def ready() -> str:
                    answer = await http.get("/readyz")
                    assert answer.status_code == 200
                    return str(answer.json()["services"])

                kind = "RuntimeError" if fault == "exception" else "CancelledError"
                await wait_until(
                    lambda: shown(ready, f"page: {kind}", f"rpc: {kind}"), "`/readyz` names both services"
                )
                metrics = (await http.get("/metrics")).text
                assert 'qqbus_service_failures_total{service="rpc"} 1.0' in metrics
                assert "secret" not in metrics + await ready()
                await wait_until(lambda: doctor(bus, redis_url, f"page: {kind}"), "the doctor names it")
        await flows(it, "again")
        assert await adapter.stop() == 0


async def shown(ready: Any, *texts: str) -> bool:
    found = await ready()
    return all(text in found for text in texts)


async def doctor(bus: Bus, redis_url: str, text: str) -> bool:
    """Tell whether `qqbus doctor` shows a text."""
    with command_line(bus, redis_url) as cli:
        return text in (await cli("doctor")).out
