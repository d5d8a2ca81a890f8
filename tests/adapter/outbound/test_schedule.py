"""Proof of adapter/outbound/schedule.py and its scripts: requests with `at`."""

import contextlib
import os
import signal
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from adapter.bus.bus import Bus
from adapter.bus.embedded import run_server
from adapter.bus.lease import Lease
from adapter.codec.outbound import decode_request
from adapter.errors import BusUnavailable, SchemaError
from adapter.outbound import schedule
from tests.support.helpers import wait_until
from tests.support.ports import free_port
from tests.support.system_harness import System, system

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
FRIEND = 10001
NOW = 1_445_653_507.0
ENTRY = f"{int(NOW * 1000)}-0"


async def chat_of_friend(it: System) -> str:
    it.sim.say(f"friend:{FRIEND}", "hi")
    return (await it.events(1))[-1]["chat"]


def texts(it: System) -> list[str]:
    return [message.text for message in it.sim.received]


@pytest.mark.parametrize(
    ("at", "expires", "expected"),
    [
        (b"60", b"", (NOW + 60, None)),
        (b"60", b"30", (NOW + 60, NOW + 90)),
        (b"2015-10-24T02:26:07Z", b"10", (NOW + 60, NOW + 70)),
        (b"2592000", b"", (NOW + 2_592_000, None)),
        (b"", b"30", (None, NOW + 30)),
    ],
)
def test_expires_counts_from_at(
    at: bytes, expires: bytes, expected: tuple[float | None, float | None]
) -> None:
    fields = {b"to": b"group:2", b"text": b"x", b"at": at, b"expires": expires}
    request = decode_request(ENTRY, fields, "qq")
    assert (request.at, request.expires) == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({b"at": b"tomorrow"}, "at is neither an RFC 3339 time nor"),
        ({b"at": b"2015-10-24T02:26:07"}, "at has no time zone"),
        ({b"at": b"-1"}, "at is not a number of seconds"),
        ({b"at": b"nan"}, "at is not a number of seconds"),
        ({b"at": b"2592001"}, "at is more than 30 days away"),
        ({b"at": b"2016-10-24T02:26:07Z"}, "at is more than 30 days away"),
        ({b"at": b"60", b"expires": b"2015-10-24T02:25:10Z"}, "expires is before at"),
    ],
)
def test_a_time_that_cannot_be_is_rejected_in_words(changes: dict[bytes, bytes], words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        decode_request(ENTRY, {b"to": b"group:2", b"text": b"x", **changes}, "qq")


async def test_a_scheduled_request_is_sent_in_time_and_holds_nothing(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        chat = await chat_of_friend(it)
        began = time.time()
        entry = await it.ask(chat, "later", at="3", id="x/later")
        when = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
        bare = await it.ask(chat, "sooner", at=when, results=bus.keys("results:mine"))
        await it.ask(chat, "at once")
        await wait_until(lambda: texts(it) == ["at once"], "the one without at is sent first")
        await wait_until(lambda: len(texts(it)) == 3, "all are sent", 20)
        assert texts(it) == ["at once", "sooner", "later"]
        assert 3 <= time.time() - began < 8
        results = await it.results(2)
        assert [(row["id"], row["entry"], row["status"]) for row in results][1:] == [
            ("x/later", entry, "sent")
        ]
        (mine,) = await it.results(1, stream="results:mine")
        assert (mine["id"], mine["entry"], mine["replayed"]) == (f"entry:{bare}", bare, "0")
        assert not await bus.client.exists(bus.keys("ids:scheduled"))


async def test_what_expires_counts_from_its_time_and_a_repeat_is_not_sent_twice(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        chat = await chat_of_friend(it)
        for _ in range(2):
            await it.ask(chat, "once", at="0.5", expires="60", id="x/once")
        results = await it.results(2)
        assert [(row["status"], row["replayed"]) for row in results] == [("sent", "0"), ("sent", "1")]
        assert texts(it) == ["once"]
        entry = await it.ask(chat, "another", at="0.5", id="x/once")
        refused = (await it.results(3))[-1]
        assert (refused["code"], refused["entry"]) == ("id.conflict", entry)


async def test_a_scheduled_request_survives_a_kill_of_adapter_and_server(tmp_path: Path) -> None:
    folder, port = tmp_path / "redis", free_port()
    async with (
        Bus.open(f"redis://127.0.0.1:{port}", "qq") as bus,
        run_server(folder, port) as url,
        system(bus, url, tmp_path) as it,
    ):
        adapter = await it.adapter()
        chat = await chat_of_friend(it)
        entry = await it.ask(chat, "after the storm", at="20")
        due = int(entry.partition("-")[0]) / 1000 + 20

        async def is_kept() -> bool:
            return bool(await bus.client.hlen("qq:ids:scheduled"))

        await wait_until(is_kept, "it is put aside")
        assert await bus.pending_count("outbound") == 0
        adapter.process.kill()
        await bus.client.config_set("appendfsync", "always")
        pid = (await bus.client.info("server"))["process_id"]
        os.kill(pid, signal.SIGKILL)
        # The supervisor of the embedded server starts it again on its data.

        async def is_back() -> bool:
            with contextlib.suppress(BusUnavailable):
                await bus.ping()
                return True
            return False

        await wait_until(is_back, "the server is back", 30)
        await it.adapter()
        await wait_until(lambda: texts(it), "it is sent", 40)
        late = time.time() - due
        assert 0 <= late < 1
        assert texts(it) == ["after the storm"]
        (result,) = await it.results(1)
        assert result["status"] == "sent"
        assert 0 <= datetime.fromisoformat(result["time"]).timestamp() - due < 1


async def test_what_scheduled_requests_say_stays_in_redis(bus: Bus) -> None:
    lease = Lease(bus, "holder", 30.0, time.monotonic)
    await lease.acquire()
    await bus.ensure_group("outbound")
    now = [NOW]
    first = schedule.Schedule(bus, lease, lambda: now[0])
    texts = [b"x" * 30_000 + str(number).encode() for number in range(450)]
    for number, text in enumerate(texts):
        fields = {b"to": b"group:2", b"text": text, b"at": b"60"}
        request = decode_request(f"{int(NOW * 1000)}-{number}", fields, bus.keys.prefix)
        await first.keep(request, fields)
    again = schedule.Schedule(bus, lease, lambda: now[0])
    tracemalloc.start()
    try:
        stop = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(again.run, stop)
            await anyio.lowlevel.checkpoint()
            now[0] += 61

            async def all_due() -> bool:
                return int(await bus.client.xlen(bus.keys("outbound"))) == len(texts)

            await wait_until(all_due, "all are appended", 60)
            stop.set()
            again.wake()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000
    assert not await bus.client.exists(bus.keys(schedule.KEY))
    await lease.release()


async def test_too_many_scheduled_requests_are_refused(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "MAX_SCHEDULED", 1)
    lease = Lease(bus, "holder", 30.0, time.monotonic)
    await lease.acquire()
    kept = schedule.Schedule(bus, lease, lambda: NOW)
    await bus.ensure_group("outbound")
    fields = {b"to": b"group:2", b"text": b"x", b"at": b"60"}
    await kept.keep(decode_request(ENTRY, fields, bus.keys.prefix), fields)
    with pytest.raises(SchemaError, match="1 requests wait for their time already"):
        await kept.keep(decode_request(f"{int(NOW * 1000)}-1", fields, bus.keys.prefix), fields)
    await lease.release()
