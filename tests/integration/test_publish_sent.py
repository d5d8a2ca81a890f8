"""QQBUS_PUBLISH_SENT=1: what was sent is an event, once, whatever the network reports of it."""

from pathlib import Path
from typing import Any

import pytest

from adapter.bus.bus import Bus
from tests.support.helpers import wait_until
from tests.support.onebot_system import onebot_system

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]


@pytest.mark.parametrize("reports", [False, True])
async def test_what_was_sent_is_one_event_with_the_entry_of_its_request(
    bus: Bus,
    redis_url: str,
    tmp_path: Path,
    reports: bool,  # noqa: FBT001 – a parameter
) -> None:
    async with onebot_system("napcat", bus, redis_url, tmp_path, report_self=reports) as system:
        await system.adapter(QQBUS_PUBLISH_SENT="1")
        for number in range(10):
            await system.ask("group:30001", f"said {number}", id=f"bot/{number}")
        results = await system.results(10)
        assert {row["status"] for row in results} == {"sent"}
        # What came after them shows that no report is on its way any more.
        system.server.say("group:30001", "hello", sender=10002)
        await wait_until(lambda: _texts(system, "hello"), "the message of a person")
        events = [row for row in await system.events(11) if row["type"].startswith("message.")]
        own = [row for row in events if row["self"] == "1"]
        assert [row["text"] for row in own] == [f"said {number}" for number in range(10)]
        bodies = [body for body in await system.bodies("message.") if "request" in body]
        assert [(body["request"], body["entry"]) for body in bodies] == [
            (row["id"], row["entry"]) for row in results
        ]
        assert [body["message_id"] for body in bodies] == [row["message_id"] for row in results]
        rows = await system.rows("inbound")
        assert [int(row["seq"]) for row in rows] == list(range(1, len(rows) + 1))


async def _texts(system: Any, text: str) -> bool:
    rows = await system.events(0)
    return any(row["text"] == text for row in rows)
