"""Numbers of 5,000 digits in every field of commands and requests, on a real adapter: Python refuses to parse them."""

import json
from pathlib import Path
from typing import Any

import msgpack
import pytest

from adapter.bus.bus import Bus
from adapter.control import COMMANDS
from tests.support.helpers import wait_until
from tests.support.system_harness import system

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

HUGE = "9" * 5_000
NONCE = "0123456789abcdef" * 2
COMMAND_FIELDS = ("number", "status", "to", "group", "reply", "entry", "text", "by", "at", "id")
REQUEST_FIELDS = (
    *("to", "text", "id", "expires", "at", "cause", "delivery", "priority", "results", "traceparent"),
    *("op", "message_id", "event", "scheduled", "__data__", "v", "body"),
)
SEGMENTS = {"segments": [{"type": "face", "data": {"id": HUGE}}, {"type": "at", "data": {"qq": HUGE}}]}
BODIES: tuple[bytes, ...] = (
    HUGE.encode(),
    b'{"segments":[{"type":"face","data":{"id":' + HUGE.encode() + b"}}]}",
    b'{"font":{"name":"x","size":' + HUGE.encode() + b',"style":[0,0,0],"color":"0"},"segments":[]}',
    b'{"action":"x","params":{"id":-' + HUGE.encode() + b"}}",
    b'{"segments":[' + HUGE.encode() + b"." + HUGE.encode() + b"e" + HUGE.encode() + b"]}",
    json.dumps(SEGMENTS).encode(),
    msgpack.packb(SEGMENTS),
)


async def test_commands(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        adapter = await it.adapter()
        it.sim.say("friend:10001", "hi")
        (event,) = await it.events(1)
        entries: Any = await bus.client.xrange(bus.keys("inbound"))
        entry = next(name.decode() for name, fields in entries if fields[b"id"].decode() == event["id"])
        commands: list[dict[str, str]] = [
            {"cmd": command, field: HUGE}
            for command in COMMANDS
            if command not in {"login", "logout", "pause"}
            for field in COMMAND_FIELDS
        ]
        commands += [{"cmd": HUGE}, {HUGE: HUGE}]
        commands += [
            {"cmd": "image", "entry": given, "number": number, "reply": NONCE}
            for given in (entry, HUGE, f"{HUGE}-{HUGE}", f"1-{HUGE}")
            for number in ("1", HUGE, f"-{HUGE}", f"{HUGE}.5", "１", "٣")
        ]
        for fields in commands:
            await bus.client.xadd(bus.keys("control"), dict[Any, Any](fields))

        async def executed() -> bool:
            found: Any = await bus.client.xpending(bus.keys("control"), "adapter")
            groups: Any = await bus.client.xinfo_groups(bus.keys("control"))
            return bool(found["pending"] == 0 and groups[0]["entries-read"] == len(commands))

        await wait_until(executed, "all are executed", 90.0)
        await it.ask(event["chat"], "hello", id="x/1")
        assert (await it.results(1, 60.0))[0]["status"] == "sent"
        assert adapter.process.poll() is None
        assert "Traceback" not in adapter.text()
        assert await adapter.stop() == 0


async def test_requests(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        adapter = await it.adapter()
        it.sim.say("friend:10001", "hi")
        chat = (await it.events(1))[0]["chat"]
        smallest = {"to": chat, "text": "x"}
        requests: list[dict[Any, Any]] = [
            {**smallest, field: value}
            for field in REQUEST_FIELDS
            if field not in {"text", "cause", "scheduled", "v"}
            for value in (HUGE, f"-{HUGE}", f"{HUGE}.{HUGE}", f"1e{HUGE}", f"friend:{HUGE}", f"reply:{HUGE}")
        ]
        requests += [{"to": chat, "op": op, "body": body} for op in ("send", "call") for body in BODIES]
        for fields in requests:
            await bus.client.xadd(bus.keys("outbound"), fields)
        await it.ask(chat, "hello", id="x/1", priority="high")
        results = await it.results(len(requests) + 1, 90.0)
        assert len(results) == len(requests) + 1
        assert {row["status"] for row in results if row["id"] == "x/1"} == {"sent"}
        assert max(len(row["detail"]) for row in results) <= 500
        assert adapter.process.poll() is None
        assert "Traceback" not in adapter.text()
        assert await adapter.stop() == 0
