"""The whole way, with real processes: embedded server, simulated QQ, adapter and echo worker."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from tests.simulator import Answer
from tests.support.helpers import clean_environment, wait_until
from tests.support.system_harness import system

pytestmark = pytest.mark.anyio

GROUP, DISCUSS, FRIEND = "group:123456789", "discuss:1664012345", "friend:10001"
TEXTS = (
    "hello",
    "emoji 😀👨‍👩‍👧 🇨🇳",
    "faces [微笑][呲牙] and [not a face]",
    "quotes \" ' ` and \\ backslashes \\\\ \\n",
    "lines\nof\ntext",
    "<&> &amp; &lt;b&gt; <img src=x onerror=alert(1)>",
    "中文，标点。全角！",
    "100% + a=b&c=d ; #hash",
    "a  b   c",
    "[微笑]",
)


@pytest.mark.parametrize("profile", ["e1", "e3"])
async def test_ten_messages_of_each_kind_there_and_back_unchanged(
    bus: Bus, redis_url: str, tmp_path: Path, profile: str
) -> None:
    async with system(bus, redis_url, tmp_path, profile) as it:
        it.start("consumers.echo")
        await it.adapter()
        for text in TEXTS:
            it.sim.say(FRIEND, text)
            it.sim.say(GROUP, text, sender=10001)
            it.sim.say(DISCUSS, text, sender=20002)
        received = await it.sim.wait_received(3 * len(TEXTS), 30.0)
        for chat in (FRIEND, GROUP, DISCUSS):
            assert [message.text for message in received if message.chat == chat] == list(TEXTS)
        events = await it.events(3 * len(TEXTS))
        for kind in ("friend", "group", "discuss"):
            texts = [row["text"] for row in events if row["type"] == f"message.{kind}"]
            assert texts == list(TEXTS)
        results = await it.results(3 * len(TEXTS))
        assert {row["status"] for row in results} == {"sent"}
        assert len({row["id"] for row in results}) == 3 * len(TEXTS)
        assert [int(row["seq"]) for row in await it.rows("inbound")] == list(
            range(1, 1 + len(await it.rows("inbound")))
        )


async def test_sigterm_during_a_poll_ends_at_once(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path, poll_seconds=60.0) as it:
        adapter = await it.adapter()
        assert await adapter.stop() == 0
        assert (await it.rows("session"))[-1]["state"] == "stopped"
        assert (await bus.hgetall(bus.keys("status")))["state"] == b"stopped"
        assert not await bus.client.exists(bus.keys("lease"))


async def test_sigterm_during_a_send_finishes_it(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path, poll_seconds=60.0) as it:
        adapter = await it.adapter()
        it.sim.say(FRIEND, "hi")
        chat = (await it.events(1))[0]["chat"]
        it.sim.next_answer("/channel/send_buddy_msg2", Answer(delay=0.7))
        await it.ask(chat, "in hand", id="x/1")
        await it.ask(chat, "not begun", id="x/2")
        await it.sim.wait_delayed("/channel/send_buddy_msg2")
        assert await adapter.stop() == 0
        assert [(row["id"], row["status"]) for row in await it.rows("results")] == [("x/1", "sent")]
        # What was not begun is sent by the next one, without a scan.
        await it.adapter()
        assert (await it.results(2))[1]["id"] == "x/2"
        assert [message.text for message in it.sim.received] == ["in hand", "not begun"]


def run_once(**settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "adapter", "run"],
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_a_bad_setting_names_its_variable_and_exits_2(tmp_path: Path) -> None:
    ended = run_once(QQBUS_STATE_DIR=str(tmp_path), QQBUS_SEND_INTERVAL="fast")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "QQBUS_SEND_INTERVAL='fast' is not valid: give a number" in ended.stderr


def test_no_redis_exits_3_in_words(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"redis://:hunter2@127.0.0.1:{taken.getsockname()[1]}"
        ended = run_once(QQBUS_STATE_DIR=str(tmp_path), REDIS_URL=url)
    assert ended.returncode == 3
    assert "is REDIS_URL right" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "hunter2" not in ended.stderr


async def test_two_adapters_on_one_state_folder_are_told_apart(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        second = it.start("adapter", "run")
        assert await second.ended() == 2
        assert "QQBUS_STATE_DIR" in second.text()


async def test_with_a_key_the_one_that_stands_by_needs_no_login(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        it.settings |= {"QQBUS_SESSION_KEY": "a key of many characters", "QQBUS_LEASE": "1"}
        first = await it.adapter()
        second = it.start("adapter", "run", state="second")
        await wait_until(lambda: "standing by" in second.text(), "the second one stands by")

        async def copied() -> bool:
            return bool(await bus.client.exists(bus.keys("ids:session")))

        await wait_until(copied, "the session is copied")
        sealed = await bus.client.hget(bus.keys("ids:session"), "sealed")
        kept = (tmp_path / "state" / "smartqq.json").read_text(encoding="utf-8")
        secrets = [word for word in kept.replace('"', " ").split() if len(word) >= 40]
        assert secrets
        assert not any(word.encode() in bytes(sealed) for word in secrets)
        os.kill(first.process.pid, signal.SIGKILL)
        await it.online(second)
        assert [row["state"] for row in await it.rows("session")].count("qr") == 1
        it.sim.say(FRIEND, "still here")
        assert (await it.events(1))[0]["text"] == "still here"


async def test_a_second_adapter_stands_by_and_takes_over(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        first = await it.adapter()
        second = it.start("adapter", "run", state="second")
        os.kill(first.process.pid, signal.SIGTERM)
        assert await first.ended() == 0
        await it.online(second)
        assert "standing by" in second.text() or first.process.returncode == 0
