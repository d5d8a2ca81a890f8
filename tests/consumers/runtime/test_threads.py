"""Proof of consumers/runtime/threads.py: plain functions as handlers."""

import asyncio
import threading

import pytest

from adapter import read_event
from consumers.runtime.connection import Settings
from qqbus import Event, Worker
from tests.support.bus_events import desk_at, fields, mapping, message, running
from tests.support.helpers import wait_until

pytestmark = pytest.mark.anyio


async def test_a_plain_function_answers_from_a_thread_while_the_loop_goes_on(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker = Worker("app", settings=Settings(redis_url, prefix))
        go, threads, ids = threading.Event(), list[threading.Thread](), list[object]()

        @worker.on("message", text="block")
        def block(event: Event) -> None:
            threads.append(threading.current_thread())
            go.wait(20)
            ids.append(event.reply("after"))

        @worker.on("message", text="quick")
        async def quick(event: Event) -> None:
            await event.reply("at once")
            go.set()

        async with running(worker):
            blocked = message("block", "group:1")
            await desk.publish(blocked, message("quick", "group:2"))
            await wait_until(lambda: desk.all_done("app"), "both handled")
        assert await desk.texts() == ["at once", "after"]
        assert threads[0] is not threading.main_thread()
        assert ids == [f"app/{blocked.id}"]


async def test_a_plain_function_that_fails_runs_again_and_is_buried(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker = Worker("app", settings=Settings(redis_url, prefix))

        @worker.on("message")
        def fail(_event: Event) -> None:
            raise OSError("no")

        async with running(worker):
            await desk.publish(message("x"))
            await wait_until(lambda: desk.rows("dead"), "buried", 30)
        (letter,) = await desk.rows("dead")
        assert (letter["reason"], letter["attempts"]) == (b"handler.failed", b"5")


async def test_what_a_plain_function_returns_is_awaited() -> None:
    worker, gate = Worker("app"), asyncio.Event()
    worker.on("message")(lambda _event: gate.wait())
    received = read_event("1-0", mapping(fields(message())))
    task = asyncio.get_running_loop().create_task(worker.feed(received))
    done, _ = await asyncio.wait([task], timeout=0.2)
    assert not done
    gate.set()
    assert await task == []
