"""The worker runtime when a handler, its lease or its end goes wrong: nothing is stuck, run twice or lost."""

import asyncio
import logging
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from adapter.bus.embedded import run_server
from consumers.commands import Commands, Rules
from consumers.runtime.connection import Settings
from qqbus import Event, Worker, WorkerOptions
from tests.support.bus_events import Cutter, Desk, desk_at, message, running
from tests.support.helpers import wait_until
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio

QUICK = WorkerOptions(claim_after=1.0, retry_delay=0.02, shutdown_timeout=5.0)


def worker_at(desk: Desk, options: WorkerOptions = QUICK, **more: Any) -> Worker:
    return Worker("app", options=options, settings=Settings(desk.url, desk.prefix), **more)


async def test_a_handler_whose_task_somebody_else_cancelled_fails_like_any_other(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker, tries = worker_at(desk, WorkerOptions(retry_delay=0.02, concurrency=2)), list[int]()

        @worker.on("message", text="shared")
        async def wait(event: Event) -> None:
            tries.append(event.delivery)
            shared: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            shared.cancel()
            await shared

        @worker.on("message", text="^fine")
        async def answer(event: Event) -> None:
            await event.reply(event.text)

        # As many as there are slots, with somebody waiting behind one of them.
        await desk.publish(message("shared", "group:1"), message("shared", "group:2"))
        await desk.publish(message("fine", "group:1"), message("fine too", "group:3"))
        async with running(worker):
            await wait_until(lambda: desk.all_done("app"), "all acknowledged")
        assert sorted(tries) == sorted([1, 2, 3, 4, 5] * 2)
        assert sorted(await desk.texts()) == ["fine", "fine too"]
        letters = [(row["reason"], row["detail"]) for row in await desk.rows("dead")]
        assert letters == [(b"handler.failed", b"CancelledError: ")] * 2


async def test_a_stop_ends_a_worker_whose_ack_waits_for_a_redis_that_is_gone(
    tmp_path: Path, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "qqbus.worker")
    gate, begun = asyncio.Event(), asyncio.Event()
    async with run_server(tmp_path / "redis", free_port()) as url, desk_at(url, prefix) as desk:
        worker = worker_at(desk, WorkerOptions(shutdown_timeout=0.1))

        @worker.on("message")
        async def wait(_: Event) -> None:
            begun.set()
            await gate.wait()

        task = asyncio.get_running_loop().create_task(worker.run())
        await desk.publish(message())
        await begun.wait()
    gate.set()
    await wait_until(lambda: "retrying after" in caplog.text, "the ack tried in vain")
    worker.stop()
    async with asyncio.timeout(30):
        await task
    assert "Redis took no more writes: 1 events stay pending" in caplog.text


async def test_a_command_that_a_stop_interrupted_is_not_run_again(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    rules = Rules.parse(
        'administrators = ["friend:3"]\n[commands.long]\nseconds = 60\n'
        f'argv = ["sh", "-c", "echo x >> {runs}; exec sleep 60"]\n'
    )
    async with desk_at(redis_url, prefix) as desk:
        await desk.publish(message("#long", "friend:3"))
        for stopped in (False, True):
            worker = worker_at(desk, WorkerOptions(shutdown_timeout=0.1))
            worker.on("message")(Commands(worker, rules).execute)
            async with running(worker):
                await wait_until(lambda: runs.exists() and runs.read_text(), "it runs")
                if stopped:
                    await wait_until(lambda: desk.all_done("app"), "acknowledged")
        assert await desk.texts() == ["#long was interrupted; send it again to run it"]
        assert runs.read_text() == "x\n"


async def test_stops_alone_bring_no_event_to_the_dead_letters(redis_url: str, prefix: str) -> None:
    deliveries: list[int] = []

    async def wait(event: Event) -> None:
        deliveries.append(event.delivery)
        await asyncio.Event().wait()

    async with desk_at(redis_url, prefix) as desk:
        await desk.publish(message())
        for number in range(1, 6):
            worker = worker_at(desk, WorkerOptions(shutdown_timeout=0.1, max_deliveries=3))
            worker.on("message")(wait)
            async with running(worker):
                await wait_until(lambda number=number: len(deliveries) == number, "begun")
        assert await desk.rows("dead") == []
        assert deliveries == [1, 2, 2, 2, 2]


@pytest.mark.parametrize("away", [True, False])
async def test_a_suspect_whose_lease_ended_while_it_waited_is_left_to_its_new_owner(
    redis_url: str, prefix: str, *, away: bool
) -> None:
    """`away`: its turn comes while Redis is away; otherwise after that."""
    begun: dict[str, list[str]] = defaultdict(list)
    gates = {"old one": asyncio.Event(), "new two": asyncio.Event()}

    def named(name: str, url: str) -> Worker:
        options = WorkerOptions(partitioned=True, session_timeout=1.5, retry_delay=0.02)
        worker = Worker("app", options=options, settings=Settings(url, prefix))

        @worker.on("message")
        async def handle(event: Event) -> None:
            if name == "old" and event.text != "who" and event.delivery == 1:
                begun["failed"].append(event.text)
                raise OSError("a suspect from now on")
            begun[f"{name} {event.text}"].append(event.chat)
            if gate := gates.get(f"{name} {event.text}"):
                await gate.wait()

        return worker

    async def asked_who() -> bool:
        await desk.publish(*[message("who", f"group:{chat}") for chat in range(8)])
        return len(set(begun["old who"])) > 1

    async def both_live() -> bool:
        return len(await desk.client.keys(f"{prefix}:lanes:app:live:*")) == 2

    async with (
        desk_at(redis_url, prefix) as desk,
        Cutter.before(redis_url) as cutter,
        running(named("new", redis_url)),
    ):
        async with running(named("old", cutter.url)):
            await wait_until(asked_who, "lanes given to the second member")
            one, two = sorted(set(begun["old who"]))[:2]
            await desk.publish(message("one", one))
            await wait_until(lambda: begun["old one"], "the first suspect in hand")
            await desk.publish(message("two", two))
            await wait_until(lambda: "two" in begun["failed"], "the second one behind it")
            cutter.shut = True
            cutter.cut()
            if away:
                gates["old one"].set()
            await wait_until(lambda: begun["new two"], "the first member at what the second one had", 20)
            cutter.shut = False
            await wait_until(both_live, "the second member back", 20)
            gates["old one"].set()
        gates["new two"].set()
        await wait_until(lambda: desk.all_done("app"), "all acknowledged")
    assert begun["new two"] == [two]
    assert begun["old two"] == []
