"""Lanes: one process at a time for each chat, in order, whoever dies or sleeps meanwhile."""

import random
from collections import defaultdict
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest

from tests.support.bus_events import Desk, Program, desk_at, message, program
from tests.support.helpers import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

CHATS = 40
EACH = 15

# Writes down when it begins and ends an event; the list in Redis is the one order that all agree on.
WORKER = """
import asyncio, os, random, sys
import redis.asyncio as redis
from qqbus import Event, Settings, Worker, WorkerOptions

log = redis.Redis.from_url(os.environ["REDIS_URL"])
key = os.environ["QQBUS_PREFIX"] + ":log"
worker = Worker("lanes", options=WorkerOptions(partitioned=True, session_timeout=2.0, concurrency=8, shutdown_timeout=5.0, claim_after=1.0))

@worker.on("message")
async def handle(event: Event) -> None:
    await log.rpush(key, f"begin {event.chat} {event.text} {os.getpid()}")
    await asyncio.sleep(random.random() * 0.02)
    await log.rpush(key, f"end {event.chat} {event.text} {os.getpid()}")
    await event.reply(event.text)

worker.main()
"""


async def _begin_publishing(desk: Desk) -> None:
    await desk.publish(*[message(str(0), f"group:{chat}") for chat in range(1, CHATS + 1)])


async def _publish(desk: Desk, number: int, chats: int = CHATS) -> None:
    await desk.publish(*[message(str(number), f"group:{chat}") for chat in range(1, chats + 1)])


async def _log(desk: Desk) -> list[list[str]]:
    rows: Any = await desk.client.lrange(desk.key("log"), 0, -1)
    return [row.decode().split() for row in rows]


def _violations(rows: list[list[str]]) -> list[str]:
    """Events begun before an older one of their chat, or while another process was at one.

    What a process had in its hands when it was paused it goes on with when it wakes: no lease can
    stop that, only the ids of its replies keep it harmless. It must not begin anything else.
    """
    wrong = []
    newest: dict[str, int] = defaultdict(lambda: -1)
    at_work: dict[str, tuple[int, str]] = {}
    woken: set[str] = set()
    for kind, chat, text, process in rows:
        number = int(text)
        match kind:
            case "killed":
                at_work = {key: work for key, work in at_work.items() if work[1] != process}
            case "woken":
                woken.add(process)
            case "end":
                if at_work.get(chat) == (number, process):
                    del at_work[chat]
            case "begin" if process in woken and number <= newest[chat]:
                pass
            case "begin":
                # One that is begun again is not out of order; one that was left out is.
                if number > newest[chat] + 1:
                    wrong.append(f"{chat}: {number} begun after {newest[chat]}")
                other = at_work.get(chat)
                if other and other[1] != process and other[0] != number:
                    wrong.append(f"{chat}: {number} begun by {process} while {other[1]} was at {other[0]}")
                newest[chat] = max(newest[chat], number)
                at_work[chat] = (number, process)
    return wrong


async def _mark(desk: Desk, what: str, worker: Program) -> None:
    await desk.client.rpush(desk.key("log"), f"{what} - 0 {worker.process.pid}")


async def _everything_done(desk: Desk) -> bool:
    return await desk.all_done("lanes")


@pytest.mark.long
async def test_no_event_overtakes_another_of_its_chat_while_workers_are_killed_and_paused(
    redis_url: str, prefix: str
) -> None:
    dice = random.Random(7)
    async with desk_at(redis_url, prefix) as desk, AsyncExitStack() as stack:

        async def hire() -> Program:
            return await stack.enter_async_context(program(desk, "-c", WORKER))

        workers = [await hire() for _ in range(3)]
        await wait_until(lambda: desk.has_group("lanes"), "the group")
        for number in range(EACH):
            await _publish(desk, number)
            victim = dice.randrange(len(workers))
            match dice.randrange(4):
                case 0:
                    workers[victim].kill()
                    await workers[victim].ended()
                    await _mark(desk, "killed", workers[victim])
                    workers[victim] = await hire()
                case 1:
                    workers[victim].pause()
                    name = f"-{workers[victim].process.pid}-"
                    await wait_until(partial(_owns_nothing, desk, name), "the lease ended", 20)
                    await _mark(desk, "woken", workers[victim])
                    workers[victim].resume()
                case 2:
                    workers[victim].terminate()
                    workers[victim] = await hire()
                case _:
                    pass
        await _all_in_order(desk, CHATS, EACH)
        for worker in workers:
            assert "Traceback" not in worker.output, worker.output


async def _all_in_order(desk: Desk, chats: int, each: int) -> int:
    """Nothing lost, nothing left over, nothing overtaken; how many events were begun more than once."""
    await wait_until(lambda: _everything_done(desk), "all acknowledged", 60)
    rows = await _log(desk)
    assert _violations(rows) == []
    assert await desk.rows("dead") == []
    assert {(chat, number) for kind, chat, number, _ in rows if kind == "end"} == {
        (f"group:{chat}", str(number)) for chat in range(1, chats + 1) for number in range(each)
    }
    ids = [row["id"] for row in await desk.rows("outbound")]
    assert len(set(ids)) == chats * each
    await desk.client.delete(desk.key("log"))
    return [row[0] for row in rows].count("begin") - chats * each


@pytest.mark.long
@pytest.mark.parametrize("seed", [3, 8])
async def test_two_hundred_chats_stay_in_order_while_eight_workers_are_killed(
    redis_url: str, prefix: str, seed: int
) -> None:
    dice = random.Random(seed)
    chats, each, team = 200, 15, 8
    async with desk_at(redis_url, prefix) as desk, AsyncExitStack() as stack:

        async def hire() -> Program:
            return await stack.enter_async_context(program(desk, "-c", WORKER))

        async def work_goes_on(length: int) -> bool:
            return int(await desk.client.llen(desk.key("log"))) >= length or await _everything_done(desk)

        workers = [await hire() for _ in range(team)]
        await wait_until(lambda: desk.has_group("lanes"), "the group")
        for number in range(each):
            await _publish(desk, number, chats)
            # Each kill meets the team in the middle of its work; every third meets whoever deals it out.
            for _ in range(dice.randrange(1, 3)):
                done = int(await desk.client.llen(desk.key("log")))
                await wait_until(partial(work_goes_on, done + dice.randrange(1, chats)), "work goes on", 20)
                victim = await _leader(desk, workers) if dice.random() < 1 / 3 else dice.randrange(team)
                workers[victim].kill()
                await workers[victim].ended()
                await _mark(desk, "killed", workers[victim])
                workers[victim] = await hire()
        assert await _all_in_order(desk, chats, each) >= each, "the kills met work in hand"
        for worker in workers:
            assert "Traceback" not in worker.output, worker.output


async def _leader(desk: Desk, workers: list[Program]) -> int:
    """Whoever leads now, or the first one where nobody does."""
    held: Any = await desk.client.get(desk.key("lanes:lanes:leader"))
    name = (held or b"").decode()
    return next((n for n, worker in enumerate(workers) if f"-{worker.process.pid}-" in name), 0)


async def _owns_nothing(desk: Desk, name: str) -> bool:
    owners: Any = await desk.client.hvals(desk.key("lanes:lanes:owners"))
    return not any(name in owner.decode() for owner in owners)


async def test_all_living_workers_have_a_part_of_the_lanes(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk, AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(program(desk, "-c", WORKER)) for _ in range(3)]

        async def shares() -> bool:
            owners = await desk.client.hgetall(desk.key("lanes:lanes:owners"))
            counts = [list(owners.values()).count(name) for name in set(owners.values())]
            return len(counts) == 3 and min(counts) >= 21

        await wait_until(shares, "64 lanes in three parts", 30)
        await _begin_publishing(desk)
        await wait_until(lambda: _everything_done(desk), "all acknowledged", 30)
        assert len({process for _, _, _, process in await _log(desk)}) == 3
        for worker in workers:
            worker.terminate()
        for worker in workers:
            assert await worker.ended() == 0
        assert await desk.client.hlen(desk.key("lanes:lanes:members")) == 0
        await desk.client.delete(desk.key("log"))


QUICK = """
from qqbus import Event, Worker, WorkerOptions

worker = Worker("lanes", options=WorkerOptions(partitioned=True, concurrency=8))

@worker.on("message")
async def handle(event: Event) -> None:
    pass

worker.main()
"""


async def test_a_worker_of_the_lanes_with_quick_handlers_reads_ahead(redis_url: str, prefix: str) -> None:
    async def reads() -> int:
        found: Any = await desk.client.info("commandstats")
        return int(found.get("cmdstat_xreadgroup", {}).get("calls", 0))

    async with desk_at(redis_url, prefix) as desk:
        async with program(desk, "-c", QUICK) as one, program(desk, "-c", QUICK) as other:

            async def shared() -> bool:
                owners = await desk.client.hvals(desk.key("lanes:lanes:owners"))
                return len(set(owners)) == 2

            await wait_until(shared, "each has a part of the lanes", 30)
            for worker in (one, other):
                worker.pause()
            for number in range(20):
                await _publish(desk, number, chats=150)
            before = await reads()
            for worker in (one, other):
                worker.resume()
            await wait_until(lambda: _everything_done(desk), "all acknowledged", 60)
        # 3,000 events: in pieces of 32, which is where they begin, this took 82 reads.
        assert await reads() - before < 40
