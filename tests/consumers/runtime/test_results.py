"""Proof of consumers/runtime/results.py: the log of what was not sent."""

import pytest

from consumers.runtime.connection import Settings
from qqbus import Event, Worker
from tests.support.bus_events import desk_at, message, running
from tests.support.helpers import wait_until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("rejected", "schema.invalid"),
        ("failed", "target.unknown"),
        ("expired", "expired"),
        ("unknown", "crash"),
    ],
)
async def test_a_request_that_was_not_sent_is_a_warning_with_id_code_and_detail(
    redis_url: str, prefix: str, caplog: pytest.LogCaptureFixture, status: str, code: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker = Worker("app", settings=Settings(redis_url, prefix))
        worker.on("message")(lambda event: event.reply("answer"))
        told = message("x")
        async with running(worker):
            other = {"to": "group:2", "text": "of another", "id": "other/1"}
            await desk.client.xadd(desk.key("outbound"), dict(other.items()))
            await desk.publish(told)
            await wait_until(lambda: desk.all_done("app"), "answered")
            await desk.settle(status, code)
            await wait_until(lambda: code in caplog.text, "logged")
        (line,) = [one for one in caplog.records if code in one.getMessage()]
        assert line.levelname == "WARNING"
        assert f"request app/{told.id} to group:2: {status} {code}: " in line.getMessage()


async def test_what_was_sent_is_not_logged_and_what_was_before_is_not_read(
    redis_url: str, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker = Worker("app", settings=Settings(redis_url, prefix))

        @worker.on("message")
        async def answer(event: Event) -> None:
            await event.reply(event.text)

        async with running(worker):
            for text, status in (("one", "sent"), ("two", "failed")):
                await desk.publish(message(text))
                await wait_until(lambda: desk.all_done("app"), "answered")
                await desk.settle(status, "ok" if status == "sent" else "upstream.denied")
            await wait_until(lambda: "upstream.denied" in caplog.text, "logged")
        assert len([one for one in caplog.records if "request app/" in one.getMessage()]) == 1
