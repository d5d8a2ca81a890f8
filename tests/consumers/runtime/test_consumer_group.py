"""The worker runtime on a real server: order, redelivery, dead letters, the end."""

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

import msgpack
import pytest

from adapter import Received, read_event
from consumers.runtime.connection import Settings
from qqbus import Event, Reject, Worker, WorkerOptions
from tests.support.bus_events import Desk, desk_at, fields, mapping, message, program, running
from tests.support.helpers import wait_until

pytestmark = pytest.mark.anyio

QUICK = WorkerOptions(claim_after=1.0, retry_delay=0.02, shutdown_timeout=5.0)


def received(text: str = "hello", chat: str = "group:2", sender: str = "3", *, own: bool = False) -> Received:
    return read_event("1-0", mapping(fields(message(text, chat, sender, own=own))))


def worker_at(desk: Desk, name: str = "app", options: WorkerOptions = QUICK, **more: Any) -> Worker:
    return Worker(name, options=options, settings=Settings(desk.url, desk.prefix), **more)


# --- with Redis --------------------------------------------------------------------------------


async def test_a_new_group_gets_what_was_said_before_it(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await desk.publish(message("before"), message("mine", own=True))
        worker = worker_at(desk)
        worker.on("message")(lambda event: event.reply(event.text))
        async with running(worker):
            await desk.publish(message("after"))
            await wait_until(lambda: desk.all_done("app"), "all acknowledged")
        assert await desk.texts() == ["before", "after"]


async def test_a_group_can_begin_at_the_end_or_at_a_time(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        (old,) = await desk.publish(message("old"))
        server_time = await desk.client.time()
        since = datetime.fromtimestamp(server_time[0] + server_time[1] / 1e6, UTC)
        await wait_until(lambda: _clock_is_past(desk, since), "a millisecond gone")
        await desk.publish(message("in between"))
        late, timed = worker_at(desk, "late", start="$"), worker_at(desk, "timed", start=since)
        for worker in (late, timed):
            worker.on()(lambda event: event.reply(event.text))
        async with running(late), running(timed):
            await desk.publish(message("new"))
            await wait_until(lambda: desk.all_done("late"), "acknowledged by the late one")
            await wait_until(lambda: desk.all_done("timed"), "acknowledged by the timed one")
        said = [(row["id"].decode().partition("/")[0], row["text"]) for row in await desk.rows("outbound")]
        assert sorted(said) == [("late", b"new"), ("timed", b"in between"), ("timed", b"new")]
        assert old


async def _clock_is_past(desk: Desk, moment: datetime) -> bool:
    now = await desk.client.time()
    return now[0] + now[1] / 1e6 > moment.timestamp() + 0.002


async def test_events_of_a_chat_are_in_order_and_chats_do_not_wait_for_each_other(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker, seen, gate = worker_at(desk), list[str](), asyncio.Event()
        dice = random.Random(3)

        @worker.on("message")
        async def note(event: Event) -> None:
            if event.chat == "group:1":
                await gate.wait()
            await asyncio.sleep(dice.random() * 0.003)
            seen.append(f"{event.chat} {event.text}")

        await desk.publish(*[message(str(n), f"group:{chat}") for n in range(20) for chat in (1, 2, 3)])
        async with running(worker):
            await wait_until(lambda: len(seen) == 40, "the two open chats done")
            assert not any(line.startswith("group:1 ") for line in seen)
            gate.set()
            await wait_until(lambda: desk.all_done("app"), "all acknowledged")
        for chat in (1, 2, 3):
            mine = [line.split()[1] for line in seen if line.startswith(f"group:{chat} ")]
            assert mine == [str(n) for n in range(20)]


async def test_a_failing_handler_is_tried_again_then_buried_and_holds_only_its_own_chat(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker, tries, order = worker_at(desk), list[int](), list[str]()

        @worker.on("message")
        async def handle(event: Event) -> None:
            if event.text == "bad":
                tries.append(event.delivery)
                raise LookupError("no such thing")
            if event.text == "shaky" and event.delivery < 3:
                raise OSError("for now")
            order.append(event.text)

        bad = message("bad", "group:1")
        (entry, *_) = await desk.publish(bad, message("behind", "group:1"), message("shaky", "group:2"))
        async with running(worker):
            await wait_until(lambda: desk.all_done("app"), "all acknowledged")
        assert tries == [1, 2, 3, 4, 5]
        assert order == ["shaky", "behind"]
        (letter,) = await desk.rows("dead")
        assert {name: value.decode() for name, value in letter.items() if name not in {"fields", "time"}} == {
            "v": "1",
            "stream": desk.key("inbound"),
            "entry": entry,
            "group": "app",
            "consumer": letter["consumer"].decode(),
            "reason": "handler.failed",
            "detail": "LookupError: no such thing",
            "attempts": "5",
        }
        original = mapping(fields(bad))
        assert msgpack.unpackb(letter["fields"]) == {name.decode(): value for name, value in original.items()}


async def test_what_cannot_be_read_or_is_refused_goes_to_the_dead_letters_at_once(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker = worker_at(desk)

        @worker.on("message")
        async def refuse(event: Event) -> None:
            raise Reject(f"no use for {len(event.segments)} pieces of {event.text}")

        garbage = fields(message())
        garbage[-1] = b"\xc1"
        await desk.client.execute_command("XADD", desk.key("inbound"), "*", *garbage)  # type: ignore[no-untyped-call]
        await desk.client.xadd(desk.key("inbound"), {"hello": "world"})
        await desk.publish(message("it"))
        async with running(worker):
            await wait_until(lambda: desk.all_done("app"), "all acknowledged")
        reasons = [(row["reason"].decode(), row["detail"].decode()) for row in await desk.rows("dead")]
        assert sorted(reasons) == [
            ("refused", "no use for 1 pieces of it"),
            ("schema.invalid", "the field v is missing"),
            ("schema.invalid", "the map cannot be unpacked"),
        ]


async def test_a_body_that_cannot_be_unpacked_does_no_harm_to_handlers_that_never_ask_for_it(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker = worker_at(desk)
        worker.on("message")(lambda event: event.reply(event.text))
        garbage = fields(message("hello"))
        garbage[-1] = b"\xc1"
        await desk.client.execute_command("XADD", desk.key("inbound"), "*", *garbage)  # type: ignore[no-untyped-call]
        async with running(worker):
            await wait_until(lambda: desk.all_done("app"), "acknowledged")
        assert await desk.texts() == ["hello"]
        assert await desk.rows("dead") == []


KILLED = """
import os
from qqbus import Event, Worker, WorkerOptions
worker = Worker("app", options=WorkerOptions(claim_after=0.4))

@worker.on("message")
async def handle(event: Event) -> None:
    if event.text == "poison":
        os._exit(9)
    await event.reply(event.text)

worker.main()
"""


async def test_an_event_that_kills_its_worker_is_buried_and_takes_no_neighbour_with_it(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        texts = [f"good {n}" for n in range(30)]
        events = [message(text, f"group:{n}") for n, text in enumerate(texts, 1)]
        await desk.publish(*events[:15], message("poison", "group:99"), *events[15:])
        deaths = 0
        while not await desk.rows("dead"):
            async with program(desk, "-c", KILLED) as worker:
                await wait_until(
                    lambda: _dead_or_ended(desk, worker), "the worker dead or the event buried", 20
                )
                deaths += worker.process.returncode == 9
        assert deaths == 5
        async with program(desk, "-c", KILLED) as worker:
            await wait_until(lambda: desk.all_done("app"), "all acknowledged", 20)
        (letter,) = await desk.rows("dead")
        assert (letter["reason"], letter["attempts"]) == (b"deliveries", b"5")
        assert sorted(set(await desk.texts())) == sorted(texts)


@pytest.mark.parametrize("partitioned", [False, True], ids=["shared", "partitioned"])
async def test_a_suspect_runs_when_the_one_before_is_acknowledged(
    redis_url: str, prefix: str, *, partitioned: bool
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        options = WorkerOptions(claim_after=0.3, partitioned=partitioned, session_timeout=1.0)
        worker, unacknowledged = worker_at(desk, options=options), list[list[str]]()

        @worker.on("message")
        async def handle(event: Event) -> None:
            publisher: Any = event.publisher
            unacknowledged.append(publisher.writer.unacknowledged)
            await event.reply(event.text)

        await desk.publish(*[message(str(n), f"group:{n}") for n in range(1, 6)])
        stream = desk.key("inbound")
        await desk.client.xgroup_create(stream, "app", "0")
        await desk.client.xreadgroup("app", "killed", {stream: ">"}, count=10)
        async with running(worker):
            await wait_until(lambda: desk.all_done("app"), "all acknowledged", 20)
        assert unacknowledged == [[]] * 5


async def _dead_or_ended(desk: Desk, worker: Any) -> bool:
    """Whether it has ended, or has buried the event and acknowledged it: a kill between repeats the letter."""
    is_buried = bool(await desk.rows("dead")) and await desk.all_done("app")
    return worker.process.returncode is not None or is_buried


STUCK = """
import asyncio
from qqbus import Event, Worker, WorkerOptions
worker = Worker("app", options=WorkerOptions(claim_after=0.5, shutdown_timeout=2.0))

@worker.on("message")
async def wait(event: Event) -> None:
    await event.reply(f"took {event.text}")
    await asyncio.sleep(60)

worker.main()
"""


async def test_what_a_killed_worker_had_in_hand_is_claimed_by_an_idle_peer_and_answered_once(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker = worker_at(desk, options=WorkerOptions(claim_after=0.5))
        worker.on("message")(lambda event: event.reply(f"took {event.text}"))
        async with program(desk, "-c", STUCK) as stuck:
            await desk.publish(message("one"))
            await wait_until(desk.texts, "the first reply")
            async with running(worker):
                stuck.kill()
                await wait_until(lambda: desk.all_done("app"), "claimed and acknowledged")
        ids = [row["id"] for row in await desk.rows("outbound")]
        assert (len(ids), len(set(ids))) == (2, 1)


async def test_a_slow_handler_of_a_living_worker_keeps_its_event(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        options = WorkerOptions(claim_after=1.5)
        slow, idle, gate, begun = (
            worker_at(desk, options=options),
            worker_at(desk, options=options),
            asyncio.Event(),
            [],
        )

        async def wait(event: Event) -> None:
            begun.append(event.id)
            await gate.wait()

        slow.on("message")(wait)
        idle.on("message")(wait)
        async with running(slow):
            await desk.publish(message())
            await wait_until(lambda: begun, "begun")
            async with running(idle):
                started = asyncio.get_running_loop().time()
                await wait_until(
                    lambda: asyncio.get_running_loop().time() > started + 5.0, "three claims' time"
                )
                assert len(begun) == 1
                gate.set()
                await wait_until(lambda: desk.all_done("app"), "acknowledged")


async def test_sigterm_finishes_what_is_begun_and_gives_the_rest_back_at_once(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await desk.publish(message("a", "group:1"), message("b", "group:1"), message("c", "group:1"))
        async with program(desk, "-c", STUCK) as stuck:
            await wait_until(desk.texts, "the first begun")
            await wait_until(lambda: _pending_is(desk, 3), "the others read ahead")
            stuck.terminate()
            assert await stuck.ended() == 0
        # The peer claims only after a minute; what was given back counts as left behind long ago.
        worker = worker_at(desk, options=WorkerOptions(claim_after=60.0))
        deliveries = []

        @worker.on("message")
        async def take(event: Event) -> None:
            deliveries.append((event.text, event.delivery))

        async with running(worker):
            await wait_until(lambda: desk.all_done("app"), "all acknowledged")
        assert deliveries == [("a", 2), ("b", 1), ("c", 1)]


async def _pending_is(desk: Desk, number: int) -> bool:
    return await desk.pending("app") == number


@pytest.mark.parametrize("lanes", [False, True])
async def test_a_group_that_vanished_begins_where_this_worker_was(
    redis_url: str, prefix: str, *, lanes: bool
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker = worker_at(desk, options=WorkerOptions(partitioned=lanes))
        worker.on("message")(lambda event: event.reply(event.text))
        async with running(worker):
            await desk.publish(message("one"))
            await wait_until(lambda: desk.all_done("app"), "the first")
            await desk.client.xgroup_destroy(desk.key("inbound"), "app")
            await desk.publish(message("two"))
            await wait_until(lambda: desk.all_done("app"), "the second")
            await desk.client.delete(desk.key("inbound"))
            await desk.publish(message("three"))
            await wait_until(lambda: desk.all_done("app"), "the third")
        assert await desk.texts() == ["one", "two", "three"]
