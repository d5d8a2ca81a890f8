"""Proof of `qqbus new` and of the pytest plugin: the project passes its own test."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.helpers import clean_environment

pytestmark = pytest.mark.timeout(180)


def run(folder: Path, *line: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = clean_environment(**settings) | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, timeout=150, check=False
    )


def test_a_new_project_passes_its_own_test(tmp_path: Path) -> None:
    made = run(tmp_path, sys.executable, "-m", "adapter", "new", "demo-bot")
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "demo-bot"
    assert {path.name for path in folder.iterdir()} == {
        *("bot.py", "test_bot.py", "pyproject.toml", "Makefile", "Procfile", "compose.yaml"),
        "demo-bot.service",
    }
    assert "{name}" not in "".join(path.read_text() for path in folder.iterdir())
    began = time.monotonic()
    # The plugin is an entry point of the installed package; a checkout may be installed without it.
    tested = run(folder, "make", "test", PYTEST_ADDOPTS=_plugin())
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "3 passed" in tested.stdout
    assert time.monotonic() - began < 60


def _plugin() -> str:
    from importlib.metadata import entry_points  # noqa: PLC0415 – for this test alone

    known = {one.name for one in entry_points(group="pytest11")}
    return "" if "qqbus_worker" in known else "-p qqbus.pytest_plugin"


def test_a_live_worker_goes_through_adapter_and_simulator(tmp_path: Path) -> None:
    (tmp_path / "test_live.py").write_text(
        """
from qqbus import Worker

worker = Worker("live")
worker.on("message", text="^hello")(lambda event: event.reply(f"hello {event.text[6:]}"))


def test_live(qqbus_worker):
    bot = qqbus_worker(worker, simulator=True)
    assert [request.content for request in bot.say("hello you")] == ["hello you"]
"""
    )
    done = run(tmp_path, sys.executable, "-m", "pytest", "-q", "test_live.py", PYTEST_ADDOPTS=_plugin())
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_live_worker_shows_whole_requests(tmp_path: Path) -> None:
    (tmp_path / "test_live.py").write_text(
        """
from qqbus import Event, Worker

worker = Worker("live")


@worker.on("message")
async def later(event: Event) -> None:
    await event.reply("later", at=60, expires=5, priority="high")
    await event.recall()


def test_live(qqbus_worker):
    reply, recall = qqbus_worker(worker).say("x")
    assert (reply.content, reply.at, reply.expires, reply.priority) == ("later", "60", "5", "high")
    assert (recall.op, bool(recall.message_id)) == ("recall", True)
"""
    )
    done = run(tmp_path, sys.executable, "-m", "pytest", "-q", "test_live.py", PYTEST_ADDOPTS=_plugin())
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_live_worker_whose_handler_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "test_live.py").write_text(
        """
import pytest
from qqbus import Event, Reject, Worker, WorkerOptions

worker = Worker("live", options=WorkerOptions(max_deliveries=2, retry_delay=0.05))


@worker.on("message")
async def refuse(event: Event) -> None:
    if event.text == "no":
        raise Reject("not today")
    raise ValueError("broken")


@pytest.mark.parametrize(("text", "words"), [("no", "refused: not today"), ("x", "ValueError: broken")])
def test_live(qqbus_worker, text, words):
    bot = qqbus_worker(worker)
    with pytest.raises(AssertionError, match=words):
        bot.say(text)
"""
    )
    done = run(tmp_path, sys.executable, "-m", "pytest", "-q", "test_live.py", PYTEST_ADDOPTS=_plugin())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["Demo", "1bot", "a/b", "", "x" * 41, "adapter", "中"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    made = run(tmp_path, sys.executable, "-m", "adapter", "new", name)
    assert made.returncode == 2
    assert "cannot name a bot" in made.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "bot").mkdir()
    made = run(tmp_path, sys.executable, "-m", "adapter", "new", "bot")
    assert made.returncode == 2
    assert "exists already" in made.stderr
