"""Prove `qqbus tail`: the newest entries, one chat, what was sent, and a Redis that goes away."""

import json
import re
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from adapter.bus.bus import Bus
from adapter.bus.connection import connect
from adapter.bus.embedded import run_server
from adapter.codec.inbound import pack
from adapter.ops.wording import clock, start_id
from tests.support.cli import GOLDENS, Cli, command_line, ended, lines_of, publish
from tests.support.helpers import wait_until
from tests.support.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


async def test_the_newest_entries_come_first_and_of_one_chat_alone(bus: Bus, redis_url: str) -> None:
    for number in range(5):
        await publish(bus, "message.friend", text=str(number))
    await publish(bus, "message.group", text="elsewhere")
    await bus.hset(bus.keys("friends"), {"3680212345": pack({"name": "小林", "qq": "10001"})})
    with command_line(bus, redis_url) as cli:
        process = cli.start("tail", "-n", "3", "--chat", "10001")
        assert [line[-1] for line in await lines_of(process, 2)] == ["3", "4"]
        await publish(bus, "message.group", text="elsewhere")
        await publish(bus, "message.friend", text="5")
        assert (await lines_of(process, 1))[0].endswith("小林: 5")
        assert await ended(process) == (0, b"")


async def test_requests_and_results_are_shown_also_those_of_own_streams(bus: Bus, redis_url: str) -> None:
    async def add(stream: str, **fields: str) -> str:
        entry: Any = await bus.client.xadd(bus.keys(stream), dict[Any, Any](fields))
        await bus.client.expire(bus.keys(stream), 60)
        return str(entry.decode())

    with command_line(bus, redis_url) as cli:
        process = cli.start("tail", "--sent", "--since", "0")
        await add("outbound", to="friend:1", text="hi", id="bot/1")
        await add("results", to="friend:1", id="bot/1", status="sent", code="ok")
        lines = await lines_of(process, 2)  # within a millisecond two streams have no order
        own = await add("outbound", to="friend:1", text="ho", results=bus.keys("results:mine"))
        lines += await lines_of(process, 1)
        await add("results:mine", to="friend:1", entry=own, status="failed", code="target.unknown")
        lines += await lines_of(process, 1)
        assert [re.sub(r"^\S+  ", "", line) for line in lines] == [
            "→ send  friend:1  bot/1  hi",
            "← sent  friend:1  bot/1  ok",
            "→ send  friend:1  ho",
            "← failed  friend:1  target.unknown",
        ]
        await ended(process)
        process = cli.start("tail", "--all", "--since", "0", "--json")
        assert json.loads((await lines_of(process, 1))[0])["stream"] == "outbound"
        await ended(process)


async def test_a_redis_that_goes_away_is_waited_for(tmp_path: Path) -> None:
    port = free_port()
    cli = Cli({"REDIS_URL": f"redis://127.0.0.1:{port}"})
    try:
        async with run_server(tmp_path / "a", port) as url:
            process = cli.start("tail")
            assert process.stderr
            await wait_until(lambda: reads(url), "tail reads", 30.0)
        first = await anyio.to_thread.run_sync(process.stderr.readline, abandon_on_cancel=True)
        assert b"trying again" in first
        async with run_server(tmp_path / "b", port):
            again = await anyio.to_thread.run_sync(process.stderr.readline, abandon_on_cancel=True)
            assert b"Redis serves again" in again
            assert (await ended(process))[0] == 0
    finally:
        cli.over()


async def reads(url: str) -> bool:
    """Return whether a client waits in XREAD."""
    client = connect(url, timeout=5.0)
    try:
        rows: Any = await client.client_list()
    finally:
        await client.aclose()
    return any(row["cmd"] == "xread" for row in rows)


async def test_what_was_sent_is_printed_once_though_it_is_an_event_too(bus: Bus, redis_url: str) -> None:
    row: dict[Any, Any] = {"to": "friend:1", "text": "hi", "id": "bot/1"}
    entry: Any = await bus.client.xadd(bus.keys("outbound"), row)
    body = pack({"request": "bot/1", "entry": entry.decode(), "segments": []})
    own = GOLDENS["message.friend"].fields | {"self": "1", "text": "hi", "body": body}
    await bus.client.xadd(bus.keys("inbound"), dict[Any, Any](own))
    await publish(bus, "message.friend", text="said later")
    with command_line(bus, redis_url) as cli:
        process = cli.start("tail", "--all", "--since", "0")
        lines = await lines_of(process, 2)
        assert lines[0].endswith("bot/1  hi")
        assert lines[1].endswith("said later")
        await ended(process)
        process = cli.start("tail", "--since", "0")
        assert (await lines_of(process, 1))[0].endswith("hi"), "alone it is not printed twice"
        await ended(process)
        process = cli.start("tail", "--all", "--since", "0", "--json")
        assert [json.loads(line)["text"] for line in await lines_of(process, 3)] == ["hi", "hi", "said later"]
        await ended(process)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-30T03:40:00Z", 1796010000),
        ("11:00", None),
        ("yesterday", None),
        ("today", None),
        ("2026-11-30", None),
        ("2026-11-30 11:00", None),
        ("2026-11-30T03:40:00", None),
    ],
)
def test_times_are_taken_as_people_write_them(text: str, seconds: int | None) -> None:
    found = start_id(text, 1796050000.0)
    assert found is not None
    if seconds:
        assert found.startswith(str(seconds - 1))
    assert int(found.partition("-")[0]) < 1796050000_000


def test_a_number_alone_is_an_age() -> None:
    assert start_id("10", 1796050000.0) == start_id("10s", 1796050000.0)


def test_a_time_that_is_printed_can_be_given_back() -> None:
    for then in (time.time() - 5, time.time() - 3 * 86_400):
        found = start_id(clock(then), time.time())
        assert found is not None
        assert abs(int(found.partition("-")[0]) / 1000 - then) < 1.1
