"""The worker runtime on a real server: filters, replies, redelivery, dead letters, outages, the end."""

import asyncio
import contextlib
import random
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgpack
import pytest

from adapter import Face, Priority, Received, Text, read_event
from adapter.bus.embedded import free_port, served
from adapter.contract.acl import ROLES, line
from consumers.connection import Settings
from consumers.event import request_id
from consumers.worker import Event, Plan, Refused, Worker
from tests.bus_events import Cutter, Desk, desk_at, fields, mapping, message, notice, program, running
from tests.helpers import wait_until

pytestmark = pytest.mark.anyio

QUICK = Plan(claim_after=1.0, retry_first=0.02, grace=5.0)


def received(text: str = "hello", chat: str = "group:2", sender: str = "3", *, own: bool = False) -> Received:
    return read_event("1-0", mapping(fields(message(text, chat, sender, own=own))))


def worker_at(desk: Desk, name: str = "app", plan: Plan = QUICK, **options: Any) -> Worker:
    return Worker(name, plan=plan, settings=Settings(desk.url, desk.prefix), **options)


# --- without Redis -----------------------------------------------------------------------------


async def test_a_handler_gets_what_its_filters_let_through() -> None:
    worker, calls = Worker("app"), []

    def named(name: str) -> Any:
        async def handler(event: Event) -> None:
            calls.append((name, event.text))

        return handler

    worker.on()(named("all"))
    worker.on("message.group")(named("group"))
    worker.on("message", chat="friend:9", sender=["3", "4"])(named("chat and sender"))
    worker.on("message", text=r"^#(\w+)")(named("text"))
    worker.on("notice")(named("notice"))
    worker.on("message", own=True)(named("own"))
    await worker.feed(received("hello"))
    assert calls == [("all", "hello"), ("group", "hello"), ("own", "hello")]
    calls.clear()
    await worker.feed(received("#go", "friend:9", "4"))
    assert [name for name, _ in calls] == ["all", "chat and sender", "text", "own"]
    calls.clear()
    await worker.feed(received("mine", own=True))
    assert [name for name, _ in calls] == ["own"]
    calls.clear()
    await worker.feed(read_event("1-0", mapping(fields(notice()))))
    assert [name for name, _ in calls] == ["all", "notice"]


async def test_what_the_text_filter_found_is_in_the_event() -> None:
    worker = Worker("app")

    @worker.on("message", text=r"^#(\w+) (.*)")
    async def command(event: Event) -> None:
        assert event.match
        await event.reply(f"{event.match[2]} {event.match[1]}")

    (request,) = await worker.feed(received("#one two"))
    assert request.content == "two one"


async def test_replies_carry_ids_made_from_the_event_and_its_id_as_cause() -> None:
    worker = Worker("app")

    @worker.on("message")
    async def twice(event: Event) -> None:
        await event.reply("one")
        await event.reply((Text("two"), Face(14, "微笑")), expires=60, priority=Priority.HIGH)

    event = received()
    one, two = await worker.feed(event)
    assert (one.to, one.id, one.cause) == ("group:2", f"app/{event.id}", event.id)
    assert two.id == f"app/{event.id}/2"
    values = mapping(two.fields())
    body = msgpack.unpackb(values[b"body"])
    assert body["segments"][1] == {"type": "face", "data": {"id": 14, "name": "微笑"}}
    assert (values[b"expires"], values[b"priority"]) == (b"60", b"high")
    assert await worker.feed(event) == [one, two]


def test_an_id_that_the_contract_would_refuse_becomes_a_digest_of_the_same_length_for_ever() -> None:
    assert request_id("app", "a.b", 1) == "app/a.b"
    for event in ("x" * 200, "has blank", "中"):
        ident = request_id("a" * 40, event, 12)
        assert len(ident) <= 128
        assert ident.isascii()
        assert ident == request_id("a" * 40, event, 12) != request_id("a" * 40, event + "!", 12)


@pytest.mark.parametrize("name", ["", "adapter", "a" * 41, "a b", "a/b", "中"])
def test_a_name_that_cannot_be_a_group_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name an application"):
        Worker(name)


async def test_an_event_of_no_chat_cannot_be_answered() -> None:
    worker = Worker("app")
    worker.on()(lambda event: event.reply("x"))
    with pytest.raises(ValueError, match="belongs to no chat"):
        await worker.feed(read_event("1-0", mapping(fields(message())) | {b"chat": b""}))


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
            raise Refused(f"no use for {event.text}")

        garbage = fields(message())
        garbage[-1] = b"\xc1"
        await desk.client.execute_command("XADD", desk.key("inbound"), "*", *garbage)  # type: ignore[no-untyped-call]
        await desk.client.xadd(desk.key("inbound"), {"hello": "world"})
        await desk.publish(message("it"))
        async with running(worker):
            await wait_until(lambda: desk.all_done("app"), "all acknowledged")
        reasons = [(row["reason"].decode(), row["detail"].decode()) for row in await desk.rows("dead")]
        assert sorted(reasons) == [
            ("refused", "no use for it"),
            ("schema.invalid", "the field v is missing"),
            ("schema.invalid", "the map cannot be unpacked"),
        ]


KILLED = """
import os
from consumers.worker import Event, Plan, Worker
worker = Worker("app", plan=Plan(claim_after=0.4))

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


async def _dead_or_ended(desk: Desk, worker: Any) -> bool:
    return worker.process.returncode is not None or bool(await desk.rows("dead"))


STUCK = """
import asyncio
from consumers.worker import Event, Plan, Worker
worker = Worker("app", plan=Plan(claim_after=0.5, grace=2.0))

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
        worker = worker_at(desk, plan=Plan(claim_after=0.5))
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
        plan = Plan(claim_after=0.3)
        slow, idle, gate, begun = worker_at(desk, plan=plan), worker_at(desk, plan=plan), asyncio.Event(), []

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
                    lambda: asyncio.get_running_loop().time() > started + 1.2, "four claims' time"
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
        worker = worker_at(desk, plan=Plan(claim_after=60.0))
        deliveries = []

        @worker.on("message")
        async def take(event: Event) -> None:
            deliveries.append((event.text, event.delivery))

        async with running(worker):
            await wait_until(lambda: desk.all_done("app"), "all acknowledged")
        assert deliveries == [("a", 1), ("b", 1), ("c", 1)]


async def _pending_is(desk: Desk, number: int) -> bool:
    return await desk.pending("app") == number


@pytest.mark.parametrize("lanes", [False, True])
async def test_a_group_that_vanished_begins_where_this_worker_was(
    redis_url: str, prefix: str, *, lanes: bool
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker = worker_at(desk, plan=Plan(lanes=lanes))
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


async def test_entries_whose_delivery_was_lost_on_the_way_are_found_in_the_own_pending_list(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk, Cutter.before(redis_url) as cutter:
        worker = Worker("app", plan=Plan(claim_after=600.0), settings=Settings(cutter.url, prefix))
        seen: list[str] = []

        @worker.on("message")
        async def note(event: Event) -> None:
            seen.append(event.text)

        async with running(worker):
            for number in range(10):
                cutter.cut_at = b"message.group"
                await desk.publish(message(str(number)), message(f"{number} too"))
                await wait_until(lambda: desk.all_done("app"), "acknowledged all the same")
        assert cutter.cuts == 10
        assert seen == [text for number in range(10) for text in (str(number), f"{number} too")]


async def test_a_lost_answer_to_a_reply_repeats_it_under_the_same_id(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk, Cutter.before(redis_url) as cutter:
        worker = Worker("app", plan=QUICK, settings=Settings(cutter.url, prefix))

        @worker.on("message")
        async def answer(event: Event) -> None:
            cutter.cut_at = b"QUEUED"
            await event.reply(event.text)

        async with running(worker):
            await desk.publish(*[message(str(n)) for n in range(5)])
            await wait_until(lambda: desk.all_done("app"), "all acknowledged")
        assert len({row["id"] for row in await desk.rows("outbound")}) == 5


async def test_a_full_server_gets_the_ack_only_together_with_the_reply(tmp_path: Path, prefix: str) -> None:
    async with served(tmp_path / "redis", free_port()) as url, desk_at(url, prefix) as desk:
        worker, handled = worker_at(desk), list[str]()

        @worker.on("message")
        async def answer(event: Event) -> None:
            handled.append(event.text)
            await event.reply(event.text)

        async with running(worker):
            await desk.publish(message("one"))
            await desk.client.config_set("maxmemory", "1")
            await desk.client.config_set("maxmemory", "0")
            await wait_until(lambda: desk.all_done("app"), "the first")
            (entry,) = await desk.publish(message("two"))
            await wait_until(lambda: len(handled) == 2, "the second handled")
            await wait_until(lambda: desk.all_done("app"), "the second")
            gate = asyncio.Event()
            worker.on("message", text="three")(lambda _: gate.wait())
            await desk.publish(message("three"))
            await wait_until(lambda: len(handled) == 3, "the third handled")
            await desk.client.config_set("maxmemory", "1")
            gate.set()
            await desk.client.ping()
            assert await desk.pending("app") <= 1
            if await desk.pending("app") == 0:  # its reply had left before the server was full
                assert len(await desk.rows("outbound")) == 3
            await desk.client.config_set("maxmemory", "0")
            await wait_until(lambda: desk.all_done("app"), "the third")
        assert await desk.texts() == ["one", "two", "three"]
        assert entry


async def test_a_server_that_restarts_loses_no_event_and_no_reply(tmp_path: Path, prefix: str) -> None:
    folder, port = tmp_path / "redis", free_port()
    url = f"redis://127.0.0.1:{port}"
    async with contextlib.AsyncExitStack() as stack:
        desk = await stack.enter_async_context(desk_at(url, prefix))
        worker = worker_at(desk, plan=Plan(claim_after=600.0))
        worker.on("message")(lambda event: event.reply(event.text))
        async with served(folder, port):
            await desk.publish(message("one"))
            task = asyncio.get_running_loop().create_task(worker.run())
            await wait_until(lambda: desk.all_done("app"), "the first")
        async with served(folder, port), desk_at(url, prefix) as again:
            await again.publish(message("two"))
            await wait_until(lambda: again.all_done("app"), "the second", 20)
            worker.stop()
            await asyncio.wait_for(task, 10)
            assert await again.texts() == ["one", "two"]


async def test_send_waits_for_the_bus_and_ask_for_the_result(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker, told = worker_at(desk), list[str]()

        @worker.on("message")
        async def ask(event: Event) -> None:
            result = await event.ask("really?")
            told.append(f"{result.status} {result.code} {result.id == f'app/{event.id}'}")

        async with running(worker):
            assert await worker.send("friend:1", "hello", id="mine/1") == "mine/1"
            assert (await desk.rows("outbound"))[0]["id"] == b"mine/1"
            await desk.settle()
            await desk.publish(message())
            await wait_until(desk.texts, "the question")
            (row,) = await desk.rows("outbound")
            assert row["results"].startswith(desk.key("results:app.").encode())
            assert len(row["results"].decode().removeprefix(desk.key("results:"))) <= 64
            await desk.settle("unknown", "upstream.maybe")
            await wait_until(lambda: told, "the result")
            with pytest.raises(TimeoutError):
                await worker.ask("friend:1", "anybody?", seconds=0.05)
        assert told == ["unknown upstream.maybe True"]


def test_sending_needs_a_worker_that_runs() -> None:
    with pytest.raises(RuntimeError, match="does not run"):
        asyncio.run(Worker("app").send("friend:1", "x"))


async def _settled(desk: Desk, group: str) -> bool:
    await desk.settle()
    return await desk.all_done(group)


@pytest.mark.parametrize("protocol", [2, 3])
async def test_both_protocols_of_redis_will_do(redis_url: str, prefix: str, protocol: int) -> None:
    async with desk_at(redis_url, prefix) as desk:
        for lanes in (False, True):
            name = f"app{lanes}"
            settings = Settings(f"{redis_url}?protocol={protocol}", prefix)
            worker = Worker(name, plan=Plan(claim_after=0.3, lanes=lanes, lease=1.0), settings=settings)
            worker.on("message")(lambda event: event.ask(event.text))
            async with running(worker):
                await desk.publish(message("one"))
                await wait_until(partial(_settled, desk, name), "acknowledged")


async def test_health_and_numbers_are_served_as_plain_text(redis_url: str, prefix: str) -> None:
    port = free_port()
    async with desk_at(redis_url, prefix) as desk:
        worker = Worker("app", settings=Settings(redis_url, prefix, f"127.0.0.1:{port}"))
        worker.on("message")(lambda event: event.reply("x"))
        async with running(worker):
            await desk.publish(message())
            await wait_until(lambda: desk.all_done("app"), "acknowledged")
            assert "200 OK" in await _get(port, "/healthz")
            numbers = await _get(port, "/metrics")
            assert 'qqbus_worker_handled_total{application="app"} 1' in numbers
            assert 'qqbus_worker_requests_total{application="app"} 1' in numbers
            assert "404" in await _get(port, "/x")


async def _get(port: int, path: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = (await asyncio.wait_for(reader.read(), 5)).decode()
    writer.close()
    return answer


# What the role of a worker must be given; with lanes also the last selector.
async def test_the_rights_of_the_workers_role_are_enough(tmp_path: Path, prefix: str) -> None:
    async with served(tmp_path / "redis", free_port()) as url, desk_at(url, prefix) as desk:
        rules = _rules(line(ROLES["worker"], prefix, user="few", secret=">pw"))
        await desk.client.execute_command("ACL", "SETUSER", *rules)  # type: ignore[no-untyped-call]
        for lanes in (False, True):
            name = f"app{lanes}"
            settings = Settings(url.replace("//", "//few:pw@"), prefix)
            worker = Worker(name, plan=Plan(claim_after=0.2, lanes=lanes, lease=0.9), settings=settings)
            tries: list[int] = []

            async def fail_once(event: Event, tries: list[int] = tries) -> None:
                tries.append(event.delivery)
                if len(tries) == 1:
                    raise OSError("once")
                await event.ask("x")

            worker.on("message", text="^say")(fail_once)
            await desk.publish(message("say"))
            async with running(worker):
                await wait_until(partial(_settled, desk, name), "acknowledged")


def _rules(text: str) -> list[str]:
    """Split at blanks outside of brackets."""
    rules, depth = [""], 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == " " and not depth:
            rules.append("")
        else:
            rules[-1] += char
    return rules


async def test_a_wrong_password_ends_the_program_in_words(tmp_path: Path, prefix: str) -> None:
    async with served(tmp_path / "redis", free_port()) as url, desk_at(url, prefix) as desk:
        desk.url = url.replace("//", "//nobody:wrong@")
        async with program(desk, "-m", "consumers.echo") as echo:
            assert await echo.ended() == 3
            assert "Redis cannot be used" in echo.output
            assert "Traceback" not in echo.output


async def test_help_is_there(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        for name in ("echo", "console", "commands", "archive", "webhook", "relay"):
            async with program(desk, "-m", f"consumers.{name}", "--help") as helped:
                assert await helped.ended() == 0
                assert f"python -m consumers.{name}" in helped.output
