"""Prove adapter/outbound/call_guard.py: which calls a guarded account takes, on a Redis with users."""

import json
import sys
from pathlib import Path

import anyio
import pytest
import redis.asyncio as redis

from adapter.bus.bus import Bus
from adapter.contract.acl import ROLES, setuser_line
from adapter.outbound.call_guard import confirmation
from qqbus import CallError, Settings, Worker
from tests.support.bus_events import running
from tests.support.helpers import clean_environment, wait_until
from tests.support.onebot_system import onebot_system

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

BODY = json.dumps({"action": "get_group_info", "params": {"group_id": 30001}})
OTHER = json.dumps({"action": "set_group_leave", "params": {"group_id": 30001}})


async def client(bus: Bus, redis_url: str, role: str) -> "redis.Redis":
    """Return a client in a role of the contract."""
    name = f"{bus.keys.prefix}-{role}"
    words = setuser_line(ROLES[role], bus.keys.prefix, user=name, secret=">secret").split()
    await bus.client.execute_command("ACL", "SETUSER", *words)  # type: ignore[no-untyped-call]
    return redis.Redis.from_url(redis_url, username=name, password="secret", protocol=2)


async def test_a_guarded_account_takes_calls_that_a_caller_has_confirmed(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    outbound, calls = bus.keys("outbound"), bus.keys("calls")
    worker, caller = [await client(bus, redis_url, role) for role in ("worker", "caller")]
    try:
        async with onebot_system("napcat", bus, redis_url, tmp_path) as it:
            await it.adapter()
            # Not guarded: all that may add a request may call.
            await worker.xadd(outbound, {"op": "call", "id": "w/1", "body": BODY})
            await it.results(1)
            await bus.client.hset(calls, "guarded", "1")  # type: ignore[misc]
            await worker.xadd(outbound, {"op": "call", "id": "w/2", "body": BODY})
            with pytest.raises(redis.ResponseError, match="permission"):
                await worker.hset(calls, "w/3", confirmation(BODY.encode()))  # type: ignore[misc]
            await caller.hset(calls, "c/1", confirmation(BODY.encode()))  # type: ignore[misc]
            # A confirmation is for one body: nothing else passes under its id.
            await worker.xadd(outbound, {"op": "call", "id": "c/1", "body": OTHER})
            await caller.xadd(outbound, {"op": "call", "id": "c/1", "body": BODY})
            await worker.xadd(outbound, {"to": "friend:10001", "text": "messages pass", "id": "w/4"})
            rows = [(row["id"], row["status"], row["code"]) for row in await it.results(5)]
            assert sorted(rows) == [
                ("c/1", "rejected", "schema.invalid"),
                ("c/1", "sent", "ok"),
                ("w/1", "sent", "ok"),
                ("w/2", "rejected", "schema.invalid"),
                ("w/4", "sent", "ok"),
            ]
            actions = [one.action for one in it.server.record.actions.entries]
            assert "set_group_leave" not in actions
            await wait_until(lambda: _is_gone(bus), "the confirmation is dropped")
            # `qqbus call` confirms its call itself.
            command = [sys.executable, "-m", "adapter", "call", "get_group_info", '{"group_id": 30001}']
            done = await anyio.run_process(command, env=clean_environment(**it.settings))
            assert json.loads(done.stdout)["group_name"] == "茶馆"
    finally:
        await worker.aclose()
        await caller.aclose()
        names = [f"{bus.keys.prefix}-{role}" for role in ("worker", "caller")]
        await bus.client.execute_command("ACL", "DELUSER", *names)  # type: ignore[no-untyped-call]


async def test_a_worker_confirms_its_calls_where_its_user_may(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    users = {role: await client(bus, redis_url, role) for role in ("worker", "caller")}
    await bus.client.hset(bus.keys("calls"), "guarded", "1")  # type: ignore[misc]
    try:
        async with onebot_system("napcat", bus, redis_url, tmp_path) as it:
            await it.adapter()
            for role in users:
                url = redis_url.replace("://", f"://{bus.keys.prefix}-{role}:secret@")
                worker = Worker(role, settings=Settings(url, bus.keys.prefix))
                async with running(worker):
                    call = worker.call("get_group_info", {"group_id": 30001})
                    if role == "caller":
                        assert (await call)["group_name"] == "茶馆"
                    else:
                        with pytest.raises(CallError, match="calls are guarded here"):
                            await call
    finally:
        for one in users.values():
            await one.aclose()
        names = [f"{bus.keys.prefix}-{role}" for role in users]
        await bus.client.execute_command("ACL", "DELUSER", *names)  # type: ignore[no-untyped-call]


async def _is_gone(bus: Bus) -> bool:
    return not await bus.client.hexists(bus.keys("calls"), "c/1")  # type: ignore[misc]
