"""Proof of consumers/runtime/connection.py: lost replies, full servers, restarts, missing rights."""

import asyncio
import contextlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import NoPermissionError

from adapter import Received, read_event
from adapter.bus.embedded import run_server
from adapter.contract.acl import ROLES, setuser_line
from consumers.runtime.connection import Settings
from qqbus import CallError, Event, Reject, Worker, WorkerOptions
from tests.support.bus_events import Cutter, Desk, desk_at, fields, mapping, message, program, running
from tests.support.helpers import wait_until
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio

QUICK = WorkerOptions(claim_after=1.0, retry_delay=0.02, shutdown_timeout=5.0)


def received(text: str = "hello", chat: str = "group:2", sender: str = "3", *, own: bool = False) -> Received:
    return read_event("1-0", mapping(fields(message(text, chat, sender, own=own))))


def worker_at(desk: Desk, name: str = "app", options: WorkerOptions = QUICK, **more: Any) -> Worker:
    return Worker(name, options=options, settings=Settings(desk.url, desk.prefix), **more)


async def test_entries_whose_delivery_was_lost_on_the_way_are_found_in_the_own_pending_list(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk, Cutter.before(redis_url) as cutter:
        worker = Worker(
            "app", options=WorkerOptions(claim_after=600.0), settings=Settings(cutter.url, prefix)
        )
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
        worker = Worker("app", options=QUICK, settings=Settings(cutter.url, prefix))

        @worker.on("message")
        async def answer(event: Event) -> None:
            cutter.cut_at = b"QUEUED"
            await event.reply(event.text)

        async with running(worker):
            await desk.publish(*[message(str(n)) for n in range(5)])
            await wait_until(lambda: desk.all_done("app"), "all acknowledged")
        assert len({row["id"] for row in await desk.rows("outbound")}) == 5


async def test_a_full_server_gets_the_ack_only_together_with_the_reply(tmp_path: Path, prefix: str) -> None:
    async with run_server(tmp_path / "redis", free_port()) as url, desk_at(url, prefix) as desk:
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
        worker = worker_at(desk, options=WorkerOptions(claim_after=600.0))
        worker.on("message")(lambda event: event.reply(event.text))
        async with run_server(folder, port):
            await desk.publish(message("one"))
            task = asyncio.get_running_loop().create_task(worker.run())
            await wait_until(lambda: desk.all_done("app"), "the first")
        async with run_server(folder, port), desk_at(url, prefix) as again:
            await again.publish(message("two"))
            await wait_until(lambda: again.all_done("app"), "the second", 20)
            worker.stop()
            await asyncio.wait_for(task, 10)
            assert await again.texts() == ["one", "two"]


async def test_call_returns_the_data_of_its_result_or_raises_with_it(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker = worker_at(desk)
        async with running(worker):
            loop = asyncio.get_running_loop()
            call = loop.create_task(worker.call("get_group_info", {"group_id": 2}))
            await wait_until(lambda: desk.rows("outbound"), "requested")
            (row,) = await desk.rows("outbound")
            assert (row["op"], "to" in row) == (b"call", False)
            await desk.settle(data='{"group_id":2}')
            assert await call == {"group_id": 2}
            call = loop.create_task(worker.call("get_nothing"))
            await wait_until(lambda: desk.rows("outbound"), "requested again")
            await desk.settle("failed", "content.unsupported")
            with pytest.raises(CallError, match=r"get_nothing: failed content\.unsupported") as refused:
                await call
            assert refused.value.result.code == "content.unsupported"


async def test_send_waits_for_the_bus_and_ask_for_the_result(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker, told = worker_at(desk), list[str]()

        @worker.on("message")
        async def ask(event: Event) -> None:
            result = await event.confirm("really?")
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


# What the role of a worker must be given; with lanes also the last selector.
async def test_the_rights_of_the_workers_role_are_enough(tmp_path: Path, prefix: str) -> None:
    async with run_server(tmp_path / "redis", free_port()) as url, desk_at(url, prefix) as desk:
        rules = _rules(setuser_line(ROLES["worker"], prefix, user="few", secret=">pw"))
        await desk.client.execute_command("ACL", "SETUSER", *rules)  # type: ignore[no-untyped-call]
        for lanes in (False, True):
            name = f"app{lanes}"
            settings = Settings(url.replace("//", "//few:pw@"), prefix)
            worker = Worker(
                name,
                options=WorkerOptions(claim_after=0.2, partitioned=lanes, session_timeout=0.9),
                settings=settings,
            )
            tries: list[int] = []

            async def fail_once(event: Event, tries: list[int] = tries) -> None:
                tries.append(event.delivery)
                if len(tries) == 1:
                    raise OSError("once")
                await event.confirm("x")

            worker.on("message", text="^say")(fail_once)
            await desk.publish(message("say"))
            async with running(worker):
                await wait_until(partial(_settled, desk, name), "acknowledged")


@pytest.mark.parametrize("is_former", [False, True], ids=["present", "former"])
async def test_rights_on_the_keys_of_workers_are_needed_for_timers_and_dialogues_alone(
    tmp_path: Path, prefix: str, *, is_former: bool
) -> None:
    """A user that `qqbus acl` of 0.1 made has none of them: its worker answers as before."""
    async with run_server(tmp_path / "redis", free_port()) as url, desk_at(url, prefix) as desk:
        rules = _rules(setuser_line(ROLES["worker"], prefix, user="few", secret=">pw"))
        if is_former:
            rules = [rule for rule in rules if f"{prefix}:worker:*" not in rule]
        await desk.client.execute_command("ACL", "SETUSER", *rules)  # type: ignore[no-untyped-call]
        worker = Worker("app", settings=Settings(url.replace("//", "//few:pw@"), prefix))
        worker.on("message", text="^say")(lambda event: event.reply("x"))
        if is_former:
            async with running(worker):
                await desk.publish(message("say"))
                await wait_until(lambda: desk.all_done("app"), "acknowledged", 30)
            assert await desk.texts() == ["x"]
            worker.every("1s", name="beat")(lambda: None)
            with pytest.raises(NoPermissionError, match="timers need the rights of the role worker"):
                await worker.run()
            return

        @worker.command("talk", per_chat="5/1m", per_sender="5/1m")
        async def talk(event: Event) -> None:
            if await event.once("asked"):
                await event.reply((await event.ask("what?")).text)

        @worker.every("1s")
        async def beat() -> None:
            raise Reject("no")

        async with running(worker):
            await desk.publish(message("talk"))
            await wait_until(desk.texts, "asked", 30)
            await desk.publish(message("that"))
            await wait_until(lambda: desk.all_done("app"), "acknowledged", 30)
            await wait_until(lambda: desk.rows("dead"), "a tick was buried", 30)
        assert await desk.texts() == ["what?", "that"]


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
    async with run_server(tmp_path / "redis", free_port()) as url, desk_at(url, prefix) as desk:
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
