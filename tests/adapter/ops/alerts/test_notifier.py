"""Proof of adapter/ops/alerts/notifier.py: at least once, each channel by itself, also over a restart."""

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from adapter.ops.alerts.alert import Alert
from adapter.ops.alerts.channels import configured_channels
from adapter.ops.alerts.notifier import Notifier
from adapter.ops.alerts.store import FILE, AlertStore
from tests.support.helpers import wait_until
from tests.support.webhook_server import webhook

pytestmark = pytest.mark.anyio

ALARM = Alert(active=True, reason="qr", text="a QR code waits", account="305419896", time=0.0)
CLEAR = Alert(active=False, reason="online", text="online again", account="305419896", time=0.0)


@asynccontextmanager
async def running(
    folder: Path, command: str = "", url: str = "", first_delay: float = 0.01
) -> AsyncIterator[Notifier]:
    notifier = Notifier(
        configured_channels(command, url), AlertStore(folder / FILE), first_delay=first_delay, max_delay=0.05
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(notifier.run)
        yield notifier
        tasks.cancel_scope.cancel()


def undelivered(folder: Path) -> list[str]:
    return [alert.reason for alert in AlertStore(folder / FILE).outbox("QQBUS_ALARM_URL")]


async def test_alerts_are_delivered_in_order_and_then_forgotten(tmp_path: Path) -> None:
    with webhook() as hook:
        async with running(tmp_path, url=hook.url) as notifier:
            notifier.notify(ALARM)
            notifier.notify(CLEAR)
            await wait_until(lambda: len(hook.bodies) == 2, "both were delivered")
        assert [body["event"] for body in hook.bodies] == ["alarm", "clear"]
        async with running(tmp_path, url=hook.url) as notifier:
            notifier.notify(CLEAR)
            await wait_until(lambda: len(hook.bodies) == 3, "the new one alone was delivered")
        assert [body["event"] for body in hook.bodies] == ["alarm", "clear", "clear"]


async def test_a_webhook_that_refuses_is_tried_again_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with webhook(refuse=3) as hook:
        async with running(tmp_path, url=hook.url) as notifier:
            notifier.notify(ALARM)
            await wait_until(lambda: bool(hook.bodies), "it was delivered at last")
    assert caplog.text.count("QQBUS_ALARM_URL failed, it will be tried again: HTTP 503") == 1
    assert "secret" not in "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("adapter")
    )


async def test_what_was_not_delivered_is_delivered_after_a_restart(tmp_path: Path) -> None:
    store = AlertStore(tmp_path / FILE)
    Notifier(configured_channels("", "http://127.0.0.1:9/secret"), store).notify(ALARM)
    store.save()
    assert undelivered(tmp_path) == ["qr"]
    with webhook() as hook:
        async with running(tmp_path, url=hook.url):
            await wait_until(lambda: undelivered(tmp_path) == [], "it is not noted any more")
    assert [body["reason"] for body in hook.bodies] == ["qr"]


async def test_a_new_alert_ends_the_wait_for_the_next_try(tmp_path: Path) -> None:
    with webhook(refuse=1) as hook:
        async with running(tmp_path, url=hook.url, first_delay=3600.0) as notifier:
            notifier.notify(ALARM)
            await wait_until(lambda: hook.refuse == 0, "it was refused")
            notifier.notify(CLEAR)
            await wait_until(lambda: len(hook.bodies) == 2, "both were delivered")


@pytest.mark.parametrize("command", ["/nowhere/at/all", "'unbalanced", f"{sys.executable} -c 'exit(1)'"])
async def test_one_channel_that_fails_holds_up_neither_the_other_nor_the_adapter(
    tmp_path: Path, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    with webhook() as hook:
        async with running(tmp_path, command, hook.url) as notifier:
            notifier.notify(ALARM)
            await wait_until(lambda: bool(hook.bodies), "the webhook has it")
            await wait_until(lambda: "QQBUS_ALARM_COMMAND failed" in caplog.text, "the command failed")


async def test_a_command_that_runs_does_not_hold_up_the_webhook(tmp_path: Path) -> None:
    command = f"{sys.executable} -c 'import time; time.sleep(60)'"
    with webhook() as hook, anyio.fail_after(20):
        async with running(tmp_path, command, hook.url) as notifier:
            notifier.notify(ALARM)
            await wait_until(lambda: bool(hook.bodies), "the webhook has it")
