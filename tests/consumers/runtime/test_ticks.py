"""Proof of consumers/runtime/ticks.py: each tick once over all processes."""

import asyncio
import random
import re
import time
from contextlib import AsyncExitStack
from datetime import datetime

import httpx
import msgpack
import pytest

from adapter.contract.lint import Linter
from qqbus import Reject, Settings, Tick, Worker, WorkerOptions
from tests.support.bus_events import Desk, Program, desk_at, program, running
from tests.support.helpers import wait_until
from tests.support.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

BOT = """
import asyncio
from qqbus import Tick, Worker

worker = Worker("clock")

@worker.every("1s")
async def beat(tick: Tick) -> None:
    await asyncio.sleep(0.1)
    await worker.send("group:1", str(tick.time.timestamp()))

worker.main()
"""


def worker_at(desk: Desk, name: str = "clock") -> Worker:
    options = WorkerOptions(retry_delay=0.05, shutdown_timeout=5.0)
    return Worker(name, settings=Settings(desk.url, desk.prefix), options=options)


async def ticks(desk: Desk) -> dict[bytes, float]:
    return {row["id"]: float(row["text"]) for row in await desk.rows("outbound")}


async def test_two_processes_run_each_tick_once(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        workers = [worker_at(desk), worker_at(desk)]
        for worker in workers:

            @worker.every(0.5, name="beat")
            async def beat(tick: Tick, worker: Worker = worker) -> None:
                await worker.send("group:1", str(tick.time.timestamp()))

        async with running(workers[0]), running(workers[1]):
            await wait_until(lambda: _count(desk, 6), "six ticks", 30)
        rows = await desk.rows("outbound")
        times = [float(row["text"]) for row in rows]
        assert len({row["id"] for row in rows}) == len(rows)
        assert sorted(times) == times == [times[0] + 0.5 * number for number in range(len(times))]
        async for key in desk.client.scan_iter(match=f"{prefix}:worker:*"):
            assert await desk.client.ttl(key) > 0


async def _count(desk: Desk, number: int) -> bool:
    return len(await ticks(desk)) >= number


@pytest.mark.parametrize("error", [OSError, asyncio.CancelledError])
async def test_a_tick_that_fails_runs_again_under_the_same_id(
    redis_url: str, prefix: str, error: type[BaseException]
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker, tries = worker_at(desk), list[Tick]()

        @worker.every("1s")
        async def beat(tick: Tick) -> None:
            tries.append(tick)
            await worker.send("group:1", "0")
            if len(tries) == 1:
                raise error("once")

        async with running(worker):
            await wait_until(lambda: len(tries) >= 2, "tried again", 20)
        assert [tick.attempt for tick in tries[:2]] == [1, 2]
        assert tries[0].id == tries[1].id
        first, second = (await desk.rows("outbound"))[:2]
        assert first["id"] == second["id"] == tries[0].id.encode()


@pytest.mark.parametrize(
    ("error", "attempts", "reason", "detail"),
    [
        (ValueError("broken"), 3, "handler.failed", "ValueError: broken"),
        (Reject("not today"), 1, "refused", "not today"),
    ],
    ids=["error", "reject"],
)
async def test_a_tick_that_fails_too_often_is_logged_counted_and_a_dead_letter(
    redis_url: str,
    prefix: str,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    attempts: int,
    reason: str,
    detail: str,
) -> None:
    port = free_port()
    async with (
        desk_at(redis_url, prefix) as desk,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as web,
    ):
        worker = Worker(
            "clock",
            settings=Settings(redis_url, prefix, f"127.0.0.1:{port}"),
            options=WorkerOptions(retry_delay=0.05, max_deliveries=3),
        )
        seen = list[Tick]()

        @worker.every("1s")
        async def beat(tick: Tick) -> None:
            seen.append(tick)
            if tick.id == seen[0].id:
                raise error

        async with running(worker):
            await wait_until(lambda: seen[-1:] and seen[-1].id != seen[0].id, "the next tick", 30)
            await wait_until(lambda: _metric(web, "ticks"), "a tick is counted", 30)
            assert await _metric(web, "failed") == attempts
            assert await _metric(web, "buried") == 1
        failed = seen[:attempts]
        assert [tick.attempt for tick in failed] == list(range(1, attempts + 1))
        assert len({tick.id for tick in failed}) == 1
        (letter,) = await desk.rows("dead")
        assert (letter["group"], letter["reason"].decode(), letter["detail"].decode()) == (
            *(b"clock", reason, detail),
        )
        assert letter["stream"].decode() == f"{prefix}:worker:clock:timer:beat"
        assert letter["entry"].decode() == f"{round(failed[0].time.timestamp() * 1000)}-0"
        assert msgpack.unpackb(letter["fields"])["id"] == failed[0].id.encode()
        linter = Linter(prefix)
        linter.dead("1-0", {name.encode(): value for name, value in letter.items()})
        assert linter.found == []
        assert f"tick {failed[0].id} moves to {prefix}:dead: {reason}: {detail}" in caplog.text
        assert ("Traceback" in caplog.text) == (reason == "handler.failed")


async def _metric(web: httpx.AsyncClient, name: str) -> float:
    text = (await web.get("/metrics")).text
    return float(re.findall(rf"(?m)^qqbus_worker_{name}_total\{{.*\}} (.*)$", text)[0])


async def test_ticks_without_a_process_are_missed_in_words_and_not_repeated(
    redis_url: str, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        seen = list[Tick]()

        def make() -> Worker:
            worker = worker_at(desk)

            @worker.every("1s")
            async def beat(tick: Tick) -> None:
                seen.append(tick)

            return worker

        async with running(make()):
            await wait_until(lambda: seen, "a tick", 20)
        before = seen[-1].time.timestamp()
        await wait_until(lambda: time.time() > before + 6, "nothing runs", 20)
        async with running(make()):
            await wait_until(lambda: seen[-1].time.timestamp() > before, "ticks again", 20)
        assert "ticks of beat were missed since" in caplog.text
        after = next(tick for tick in seen if tick.time.timestamp() > before)
        assert after.missed == after.time.timestamp() - before - 1
        assert after.time.timestamp() >= before + 6


async def test_a_tick_whose_process_is_killed_is_run_by_another(redis_url: str, prefix: str) -> None:
    stuck = BOT.replace(
        "asyncio.sleep(0.1)", "(print('in', flush=True), await asyncio.sleep(60))[1]"
    ).replace("await (print", "_ = (print")
    async with desk_at(redis_url, prefix) as desk, AsyncExitStack() as stack:
        one = await stack.enter_async_context(program(desk, "-c", stuck))
        await one.says("in")
        two = await stack.enter_async_context(program(desk, "-c", BOT))
        await two.says("reads")
        newest = float(await desk.client.get(f"{prefix}:worker:clock:timer:beat") or 0)
        one.kill()
        await one.ended()
        await wait_until(lambda: _has_run(desk, newest), "the tick of the dead one", 30)
        assert "is gone: running it again" in two.output


async def test_a_tick_that_kills_its_process_is_a_dead_letter_in_the_end(redis_url: str, prefix: str) -> None:
    deadly = BOT.replace("await asyncio.sleep(0.1)", "print('dies', flush=True); __import__('os')._exit(7)")
    deadly = deadly.replace('"1s"', '"1h"').replace(
        'Worker("clock")', 'Worker("clock", options=WorkerOptions(max_deliveries=2))'
    )
    deadly = deadly.replace("import Tick, Worker", "import Tick, Worker, WorkerOptions")
    async with desk_at(redis_url, prefix) as desk:
        # As if a process had begun a tick a minute ago and died.
        await desk.client.set(f"{prefix}:worker:clock:timer:beat", repr(round(time.time() - 60, 3)))
        async with program(desk, "-c", deadly) as bot:
            await bot.says("dies", 30)
            assert await bot.ended(30) == 7
        async with program(desk, "-c", deadly) as bot:
            await bot.says("moves to", 40)
            bot.terminate()
            assert await bot.ended(30) == 0
        (letter,) = await desk.rows("dead")
        assert (letter["reason"], letter["detail"]) == (b"deliveries", b"started 2 times and never finished")


async def _has_run(desk: Desk, due: float) -> bool:
    return due in (await ticks(desk)).values()


@pytest.mark.long
async def test_ten_processes_under_kill_9_run_each_tick_once(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk, AsyncExitStack() as stack:
        running_bots: list[Program] = []

        async def start() -> None:
            running_bots.append(await stack.enter_async_context(program(desk, "-c", BOT)))

        for _ in range(10):
            await start()
        await wait_until(lambda: _count(desk, 1), "the first tick", 60)
        end, kills = time.time() + 60, 0
        while time.time() < end:
            kills += 1
            await asyncio.sleep(random.uniform(0.5, 1.5))
            victim = running_bots.pop(random.randrange(len(running_bots)))
            victim.kill()
            await victim.ended()
            await start()
        last = time.time()
        # A tick of a killed process is taken over within the lease.
        await wait_until(lambda: _all_until(desk, last), "every tick has run", 30)
        rows = await desk.rows("outbound")
        # Only a tick whose process was killed is run again, under the same id.
        assert len(rows) - len({row["id"] for row in rows}) <= kills


async def _all_until(desk: Desk, last: float) -> bool:
    found = sorted((await ticks(desk)).values())
    wanted = [found[0] + number for number in range(int(last - found[0]) + 1)]
    assert len(found) == len(set(found)), datetime.fromtimestamp(found[0]).astimezone()
    return set(wanted) <= set(found)
