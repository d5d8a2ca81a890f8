"""Proof of consumers/runtime/name_conflict.py: two bots of one name are named, two processes of one bot are not."""

import logging

import pytest

from consumers.runtime import name_conflict
from qqbus import Event, Settings, Worker
from tests.support.bus_events import desk_at, running
from tests.support.helpers import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


def bot(url: str, prefix: str, text: str) -> Worker:
    worker = Worker("shop", settings=Settings(url, prefix))

    @worker.on("message", text=text)
    async def order(event: Event) -> None:
        await event.reply("ordered")

    return worker


async def test_another_bot_of_the_same_name_is_a_warning(
    redis_url: str, prefix: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_conflict, "LOOK_SECONDS", 0.1)
    async with desk_at(redis_url, prefix) as desk, running(bot(redis_url, prefix, "^order")):
        await wait_until(lambda: desk.client.get(desk.key("worker:shop:program")), "the key", 30)
        async with running(bot(redis_url, prefix, "^pay")):
            await wait_until(lambda: "another bot under the name shop" in caplog.text, "the warning", 30)
        assert 0 < await desk.client.ttl(desk.key("worker:shop:program")) <= 12


async def test_a_second_process_and_a_changed_bot_are_no_conflict(
    redis_url: str, prefix: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_conflict, "LOOK_SECONDS", 0.2)
    caplog.set_level(logging.WARNING)
    async with desk_at(redis_url, prefix) as desk:
        key = desk.key("worker:shop:program")
        async with running(bot(redis_url, prefix, "^order")):
            await wait_until(lambda: desk.client.get(key), "the key", 30)
            first = await desk.client.get(key)
            async with running(bot(redis_url, prefix, "^order")):

                async def renewed_by_the_second() -> bool:
                    return await desk.client.get(key) != first

                await wait_until(renewed_by_the_second, "the second process renews it", 30)
        async with running(bot(redis_url, prefix, "^pay")):
            # The key of the former bot ends, as that of a dead process does.
            await desk.client.pexpire(key, 100)
            old = await desk.client.get(key)

            async def changed() -> bool:
                found: bytes | None = await desk.client.get(key)
                return found is not None and found.split()[0] != (old or b" ").split()[0]

            await wait_until(changed, "the new bot holds the key", 30)
        assert "another bot" not in caplog.text
