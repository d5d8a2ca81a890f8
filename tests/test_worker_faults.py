"""The worker runtime when a handler, its lease or its end goes wrong: nothing is stuck, run twice or lost."""

import asyncio
from typing import Any

import pytest

from consumers.connection import Settings
from consumers.worker import Event, Plan, Worker
from tests.bus_events import Desk, desk_at, message, running
from tests.helpers import wait_until

pytestmark = pytest.mark.anyio

QUICK = Plan(claim_after=1.0, retry_first=0.02, grace=5.0)


def worker_at(desk: Desk, plan: Plan = QUICK, **options: Any) -> Worker:
    return Worker("app", plan=plan, settings=Settings(desk.url, desk.prefix), **options)


async def test_a_handler_whose_task_somebody_else_cancelled_fails_like_any_other(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker, tries = worker_at(desk, Plan(retry_first=0.02, concurrency=2)), list[int]()

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
