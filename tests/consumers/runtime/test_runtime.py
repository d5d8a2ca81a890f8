"""Proof of consumers/runtime/runtime.py: a loop that fails ends the worker, and nothing is lost with it."""

import asyncio
from functools import partial
from pathlib import Path

import httpx
import pytest
from redis.exceptions import ResponseError

from adapter.bus.embedded import run_server
from qqbus import Event, Reject, Settings, Worker, WorkerOptions
from tests.support.bus_events import Desk, desk_at, message, program, running
from tests.support.helpers import wait_until
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


# Replies to "reply", rejects the rest; a long shutdown must not delay the end of a worker that cannot write.
WORKER = """
from qqbus import Event, Reject, Worker

worker = Worker("app")

@worker.on("message")
async def handle(event: Event) -> None:
    if event.text == "reply":
        await event.reply("hello")
    else:
        raise Reject("no")

worker.main()
"""


async def _occupy(desk: Desk, name: str) -> None:
    """Append the last possible id, as another worker with XADD can: every later XADD fails at run time."""
    await desk.client.set(desk.key(name), "of another program")


@pytest.mark.parametrize(("text", "stream"), [("reject", "dead"), ("reply", "outbound")])
async def test_an_event_is_not_acknowledged_when_the_xadd_before_its_ack_fails(
    redis_url: str, prefix: str, text: str, stream: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await _occupy(desk, stream)
        await desk.publish(*[message(text, f"group:{chat}") for chat in range(1, 9)])
        async with program(desk, "-c", WORKER) as worker:
            assert await worker.ended(30) == 3
            assert "Redis cannot be used: WRONGTYPE" in worker.output
            assert "Traceback" not in worker.output
        assert await desk.pending("app") == 8
        # The operator mends the stream; the next worker handles all eight.
        await desk.client.delete(desk.key(stream))
        async with program(desk, "-c", WORKER):
            await wait_until(lambda: desk.all_done("app"), "all acknowledged")
        assert len(await desk.rows(stream)) == 8


async def test_run_raises_the_error_of_a_loop_every_time(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await _occupy(desk, "dead")
        await desk.publish(message("x"))
        for _ in range(8):
            worker = Worker(
                "app", options=WorkerOptions(claim_after=600.0), settings=Settings(desk.url, desk.prefix)
            )

            @worker.on("message")
            async def refuse(_: Event) -> None:
                raise Reject("no")

            with pytest.raises(ResponseError, match="WRONGTYPE"):
                await asyncio.wait_for(worker.run(), 30)
            assert await desk.pending("app") == 1


async def test_missing_rights_on_the_dead_letters_end_the_worker(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await desk.publish(message("reject"))
        rules = ("on", ">pw", f"~{prefix}:inbound", "+@all")
        await desk.client.execute_command("ACL", "SETUSER", prefix, *rules)  # type: ignore[no-untyped-call]
        desk.url = redis_url.replace("//", f"//{prefix}:pw@")
        async with program(desk, "-c", WORKER) as worker:
            assert await worker.ended(30) == 3
            assert "Redis cannot be used" in worker.output
        assert await desk.pending("app") == 1
        await desk.client.execute_command("ACL", "DELUSER", prefix)  # type: ignore[no-untyped-call]


STUBBORN = """
import asyncio, time
from qqbus import Event, Worker, WorkerOptions

worker = Worker("app", options=WorkerOptions(shutdown_timeout=0.4))

@worker.on("message")
async def handle(event: Event) -> None:
    await event.reply("started")
    while event.text == "ignores":
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
    await asyncio.sleep(0.2)
    time.sleep(60)

worker.main()
"""


@pytest.mark.parametrize("text", ["ignores", "blocks"])
async def test_sigterm_ends_a_worker_whose_handler_does_not_end(
    redis_url: str, prefix: str, text: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        async with program(desk, "-c", STUBBORN) as worker:
            await desk.publish(message(text))
            await wait_until(desk.texts, "the handler started")
            worker.terminate()
            assert await worker.ended(30) == 1
            assert "a handler does not end" in worker.output
        assert await desk.pending("app") == 1


async def test_a_worker_that_waits_for_redis_ends_on_sigterm(prefix: str) -> None:
    async with (
        desk_at(f"redis://127.0.0.1:{free_port()}", prefix) as desk,
        program(desk, "-c", WORKER) as worker,
    ):
        await worker.says("Redis does not serve")
        worker.terminate()
        assert await worker.ended(30) == 0


async def test_health_names_a_command_that_redis_refuses_for_long(
    tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full server serves the reader and refuses the writer."""
    monkeypatch.setattr("consumers.runtime.runtime.STALL_SECONDS", 1.5)
    port = free_port()
    async with (
        run_server(tmp_path / "redis", free_port()) as url,
        desk_at(url, prefix) as desk,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as web,
    ):
        options = WorkerOptions(claim_after=0.3, shutdown_timeout=2.0)
        worker = Worker("app", options=options, settings=Settings(url, prefix, f"127.0.0.1:{port}"))
        worker.on("message")(lambda event: event.reply(event.text))

        async def health(status: int, words: str) -> bool:
            response = await web.get("/healthz")
            return response.status_code == status and words in response.text

        async with running(worker):
            await wait_until(partial(health, 200, "ok"), "healthy")
            await desk.publish(message())
            await wait_until(lambda: desk.all_done("app"), "the first")
            await desk.client.xgroup_setid(desk.key("inbound"), "app", "0")
            await desk.client.config_set("maxmemory", "1")
            await wait_until(partial(health, 503, "OutOfMemoryError"), "the refused command named")
            await desk.client.config_set("maxmemory", "0")
            await wait_until(partial(health, 200, "ok"), "healthy again")
            await wait_until(lambda: desk.all_done("app"), "the second time")
