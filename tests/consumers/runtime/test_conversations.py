"""Proof of consumers/runtime/conversations.py and state.py: dialogues over processes and their deaths."""

from contextlib import AsyncExitStack

import pytest

from consumers.runtime.connection import Settings
from qqbus import Event, Worker, WorkerOptions
from tests.support.bus_events import Desk, desk_at, message, program, running
from tests.support.helpers import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

BOT = """
from qqbus import Event, Worker, WorkerOptions

worker = Worker("dialogue", options=WorkerOptions(claim_after=1.0, concurrency=2, partitioned=PARTITIONED, session_timeout=1.5))

@worker.command("weather")
async def weather(event: Event) -> None:
    print("asked by", event.sender, flush=True)
    answer = await event.ask("which city?", seconds=60)
    await answer.reply(f"{answer.text}: sunny")

@worker.on("message")
async def other(event: Event) -> None:
    if event.text != "weather":
        await event.reply(f"heard {event.text}")

worker.main()
"""


def bot(*, partitioned: bool = False) -> str:
    return BOT.replace("PARTITIONED", str(partitioned))


async def distinct(desk: Desk) -> list[str]:
    """Return the texts of the requests without repeats of an id, as the ledger of the adapter does."""
    return list({row["id"]: row["text"].decode() for row in await desk.rows("outbound")}.values())


@pytest.mark.parametrize("partitioned", [False, True])
async def test_a_dialogue_goes_on_after_a_kill_of_the_process_that_asked(
    redis_url: str, prefix: str, *, partitioned: bool
) -> None:
    async with desk_at(redis_url, prefix) as desk, AsyncExitStack() as stack:
        line = ("-c", bot(partitioned=partitioned))
        one = await stack.enter_async_context(program(desk, *line))
        await one.says("reads")
        await desk.publish(message("weather"))
        await one.says("asked by 3")
        await wait_until(desk.texts, "the question stands", 20)
        two = await stack.enter_async_context(program(desk, *line))
        await two.says("reads")
        one.kill()
        await one.ended()
        await desk.publish(message("北京"))
        await wait_until(lambda: desk.all_done("dialogue"), "all done", 60)
        assert await distinct(desk) == ["which city?", "北京: sunny"]
        assert not await desk.client.hlen(f"{prefix}:worker:dialogue:asks")


async def test_any_process_hears_the_answer_and_a_waiting_handler_holds_nothing(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk, AsyncExitStack() as stack:
        for _ in range(2):
            worker = await stack.enter_async_context(program(desk, "-c", bot()))
            await worker.says("reads")
        # More dialogues than there are slots, and a neighbour in the same chat.
        speakers = [str(number) for number in range(10, 18)]
        await desk.publish(*[message("weather", sender=sender) for sender in speakers])
        await wait_until(lambda: _counted(desk, "which city?", 8), "eight questions", 30)
        await desk.publish(message("hi", sender="9"))
        await wait_until(lambda: _counted(desk, "heard hi", 1), "the neighbour is answered", 20)
        await desk.publish(*[message(f"city {sender}", sender=sender) for sender in speakers])
        await wait_until(lambda: desk.all_done("dialogue"), "all done", 60)
        assert sorted(await distinct(desk)) == sorted(
            [*["which city?"] * 8, "heard hi", *[f"city {sender}: sunny" for sender in speakers]]
        )


async def _counted(desk: Desk, text: str, number: int) -> bool:
    return (await distinct(desk)).count(text) == number


async def test_a_question_that_is_not_answered_ends_its_handler_without_a_failure(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker = Worker("app", settings=Settings(redis_url, prefix))

        @worker.command("weather")
        async def weather(event: Event) -> None:
            await event.ask("which city?", seconds=0.3)

        async with running(worker):
            await desk.publish(message("weather"))
            await wait_until(lambda: desk.all_done("app"), "given up", 20)
        assert await desk.rows("dead") == []
        assert not await desk.client.exists(f"{prefix}:worker:app:asks")


async def test_a_stop_hands_a_dialogue_to_the_next_process_at_once(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        async with program(desk, "-c", bot()) as one:
            await desk.publish(message("weather"))
            await one.says("asked by 3")
            await wait_until(desk.texts, "the question stands", 20)
            one.terminate()
            assert await one.ended(10) == 0
        await desk.publish(message("北京"))
        async with program(desk, "-c", bot()):
            await wait_until(lambda: desk.all_done("dialogue"), "all done", 30)
        assert "heard 北京" not in await distinct(desk)
        assert (await distinct(desk))[-1] == "北京: sunny"


async def test_once_and_rates_hold_over_processes(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        firsts, counted = list[bool](), list[str]()
        options = WorkerOptions(claim_after=1.0, retry_delay=0.05)

        def make() -> Worker:
            worker = Worker("app", settings=Settings(redis_url, prefix), options=options)

            @worker.on("message", text="once")
            async def once(event: Event) -> None:
                firsts.append(await event.once("key"))
                if event.delivery == 1:
                    raise OSError("again")

            @worker.on("message", text="rate", per_sender="3/1h")
            async def rated(event: Event) -> None:
                counted.append(event.text)

            return worker

        async with running(make()), running(make()):
            await desk.publish(message("once"), *[message("rate") for _ in range(10)])
            await wait_until(lambda: desk.all_done("app"), "all done", 20)
        assert firsts == [True, False]
        assert len(counted) == 3
        async for key in desk.client.scan_iter(match=f"{prefix}:worker:*"):
            assert await desk.client.ttl(key) > 0
