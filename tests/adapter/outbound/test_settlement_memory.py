"""Proof of adapter/outbound/settlement.py and pipeline.py: what Redis forgets, or gave to a former lease holder."""

import time
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from adapter.bus.keys import CONSUMER, GROUP
from adapter.bus.lease import Lease
from adapter.bus.ledger import RESULT_TTL
from adapter.bus.spool.log import Spool
from adapter.bus.spool.publisher import DurablePublisher
from adapter.codec.outbound import decode_request
from adapter.events import Outcome, Status
from adapter.ops.metrics import Metrics
from adapter.ops.status_reporter import StatusReporter
from adapter.outbound.settlement import Settlement
from tests.adapter.outbound.test_pipeline import chat_of_friend
from tests.support.system_harness import system

pytestmark = pytest.mark.anyio


async def test_what_a_former_holder_has_read_and_cannot_send_is_sent(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        chat, outbound = await chat_of_friend(it), bus.keys("outbound")
        for number in range(2):
            # It does not know yet that it is no holder any more: in one step, so that it is read there.
            async with bus.client.pipeline() as pipe:
                pipe.xadd(outbound, {"to": chat, "text": f"say {number}", "id": f"x/{number}"})
                pipe.xreadgroup(GROUP, CONSUMER, {outbound: ">"})
                _, read = await pipe.execute()
            assert read
            rows = await it.results(number + 1)
            assert (rows[-1]["id"], rows[-1]["status"]) == (f"x/{number}", "sent")
        assert [message.text for message in it.sim.received] == ["say 0", "say 1"]


@pytest.mark.parametrize("delivery", ["at-most-once", "at-least-once"])
async def test_how_it_ended_is_known_though_the_server_only_knows_that_it_began(
    bus: Bus, redis_url: str, tmp_path: Path, delivery: str
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        chat, ledger = await chat_of_friend(it), bus.keys.ledger("x/1")
        entry = await it.ask(chat, "hello", id="x/1", delivery=delivery)
        (result,) = await it.results(1)
        # A server that came back as it was before the result.
        begun = {"state": "begun", "entry": entry, "token": "this/1", "attempts": 1, "sent": 0}
        async with bus.client.pipeline() as pipe:
            pipe.delete(ledger, bus.keys("results"))
            pipe.hset(ledger, mapping=begun | {"messages": result["message_id"], "total": 1})
            pipe.xgroup_setid(bus.keys("outbound"), GROUP, "0")
            await pipe.execute()
        (again,) = await it.results(1)
        assert again | {"time": ""} == result | {"time": ""}
        assert (await bus.hgetall(ledger))["state"] == b"done"
        assert [message.text for message in it.sim.received] == ["hello"]


async def test_an_id_is_free_again_when_the_ledger_forgets_it(bus: Bus, tmp_path: Path) -> None:
    now, metrics = [1_000_000.0], Metrics()
    lease = Lease(bus, "a", 30.0, time.monotonic)
    await lease.acquire()
    with Spool(tmp_path) as spool:
        reporter = StatusReporter(bus, lease, DurablePublisher(bus, lease, spool), metrics, "0", time.time)
        settlement = Settlement(bus, lease, reporter, metrics, lambda: now[0])
    await bus.ensure_group("outbound")
    entry: bytes = await bus.client.xadd(bus.keys("outbound"), {"to": "friend:1", "text": "a", "id": "daily"})
    request = decode_request(
        entry.decode(), {b"to": b"friend:1", b"text": b"a", b"id": b"daily"}, bus.keys.prefix
    )
    await settlement.settle(request, Outcome(Status.SENT, "ok"))
    assert b'qqbus_sends_total{code="ok",status="sent"} 1.0' in metrics.expose(None, 0, 0, 0)
    now[0] += RESULT_TTL - 1
    assert settlement.recent_result("daily")
    now[0] += 1
    assert settlement.recent_result("daily") is None
