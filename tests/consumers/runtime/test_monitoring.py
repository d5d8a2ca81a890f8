"""Proof of consumers/runtime/monitoring.py: metrics, and a /healthz that follows the loops."""

import asyncio

import httpx
import pytest

from qqbus import Event, Settings, Worker
from tests.support.bus_events import Cutter, desk_at, message, running
from tests.support.helpers import wait_until
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


async def test_health_and_metrics_are_served(redis_url: str, prefix: str) -> None:
    port = free_port()
    async with (
        desk_at(redis_url, prefix) as desk,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as web,
    ):
        worker = Worker("app", settings=Settings(redis_url, prefix, f"127.0.0.1:{port}"))
        worker.on("message")(lambda event: event.reply("x"))
        async with running(worker):
            await desk.publish(message())
            await wait_until(lambda: desk.all_done("app"), "acknowledged")
            health = await web.get("/healthz")
            assert (health.status_code, health.text) == (200, "ok\n")
            metrics = (await web.get("/metrics")).text
            assert 'qqbus_worker_handled_total{application="app"} 1.0' in metrics
            assert 'qqbus_worker_requests_total{application="app"} 1.0' in metrics
            assert 'qqbus_worker_redis_serves{application="app"} 1.0' in metrics
            assert (await web.get("/x")).status_code == 404


async def test_health_fails_while_redis_is_away_and_while_stopping(redis_url: str, prefix: str) -> None:
    port, gate, begun = free_port(), asyncio.Event(), asyncio.Event()
    async with (
        desk_at(redis_url, prefix) as desk,
        Cutter.before(redis_url) as cutter,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as web,
    ):
        worker = Worker("app", settings=Settings(cutter.url, prefix, f"127.0.0.1:{port}"))

        @worker.on("message")
        async def handle(_: Event) -> None:
            begun.set()
            await gate.wait()

        async def answers(status: int) -> bool:
            return (await web.get("/healthz")).status_code == status

        async with running(worker):
            await wait_until(lambda: answers(200), "healthy")
            cutter.shut = True
            cutter.cut()
            await wait_until(lambda: answers(503), "Redis away")
            cutter.shut = False
            await wait_until(lambda: answers(200), "healthy again")
            await desk.publish(message())
            await begun.wait()
            worker.stop()
            assert (await web.get("/healthz")).text == "stopping\n"
            gate.set()


async def test_a_silent_connection_is_closed(redis_url: str, prefix: str) -> None:
    port = free_port()
    async with desk_at(redis_url, prefix):
        worker = Worker("app", settings=Settings(redis_url, prefix, f"127.0.0.1:{port}"))
        async with running(worker):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.timeout(20):
                assert await reader.read() == b""
            writer.close()
